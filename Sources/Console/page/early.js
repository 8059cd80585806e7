// Asks the node what every first view needs, while the rest of the page is still being loaded.
import { command, get, takeToken } from './api.js';

// Answers that may be used once; a refusal is left to whoever asks again.
export const early = {};

if (takeToken()) {
  for (const name of ['node', 'layers', 'neighbours']) early[name] = get(`/v1/${name}`);
  early.rumors = early.node.then((node) => node.layers.some((layer) => layer.name === 'gossip')
    ? command('gossip', 'rumors', { limit: 200 }) : null);
  for (const promise of Object.values(early)) promise.catch(() => {});
}

// The answer that was asked for early, or a new one.
export function once(name, ask) {
  const promise = early[name];
  delete early[name];
  return promise ? promise.then((answer) => answer ?? ask()) : ask();
}
