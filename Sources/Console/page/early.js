// Asks the node what every first view needs, while the rest of the page is still being loaded.
import { Refusal, command, get, keepToken, takeToken } from './api.js';

// Answers that may be used once; a refusal is left to whoever asks again.
export const early = {};

if (takeToken()) {
  // Both at once, over the connections that brought the page and its script. Without Gossip there are no rumors.
  early.overview = get('/v1/overview');
  early.rumors = command('gossip', 'rumors', { limit: 200 }).catch((error) => {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  });
  for (const promise of Object.values(early)) promise.catch(() => {});
  keepToken();
}

// The answer that was asked for early, or a new one.
export function once(name, ask) {
  const promise = early[name];
  delete early[name];
  return promise ? promise.then((answer) => answer ?? ask()) : ask();
}
