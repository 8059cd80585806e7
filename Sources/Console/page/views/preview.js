// Shows what a file holds, on the page or beside it: the node sends what is asked for first, even while it fetches it.
import { getBlob, post } from '../api.js';
import { fill, foreign, h } from '../dom.js';
import { bytes } from '../format.js';
import { icon } from '../icons.js';
import { fault, toast } from '../parts.js';

const kinds = [
  ['video', /\.(mp4|m4v|webm|ogv|mov|mkv)$/i], ['audio', /\.(mp3|ogg|oga|opus|wav|flac|m4a)$/i],
  ['picture', /\.(png|jpe?g|gif|webp|avif)$/i], ['text', /\.(txt|md|csv|log|srt)$/i], ['document', /\.pdf$/i],
];
export const kindOf = (name) => kinds.find(([, pattern]) => pattern.test(name))?.[0] ?? null;
const verbs = { video: 'Play', audio: 'Play', picture: 'Show', text: 'Read', document: 'Open' };
export const verbOf = (name) => verbs[kindOf(name)];

const contentPath = (root) => `/v1/fileshare/content/${encodeURIComponent(root)}`;
const textLimit = 100000;

// A path that a player or a link can use without the token, for this file only and for a while.
const ticket = async (root) => (await post(`${contentPath(root)}/ticket`)).path;

function follow(href, more) {
  const link = h('a', { href, rel: 'noopener', ...more });
  document.body.append(link);
  link.click();
  link.remove();
}

// Saves a file through the browser.
export async function saveFile(root, name) {
  try { follow(await ticket(root), { download: name }); } catch (error) { toast(error.message, 'bad'); }
}

// Shows a file in a place of the page; a document opens in a tab of its own.
export async function showFile(place, root, name, size) {
  const kind = kindOf(name);
  try {
    if (kind === 'document') return follow(await ticket(root), { target: '_blank' });
    const close = h('button', { type: 'button', class: 'ghost icon-only', 'aria-label': 'Close the preview', onclick: () => fill(place) }, icon('close', 18));
    const body = h('div', { class: 'preview-body' }, h('p', { class: 'muted' }, 'Fetching …'));
    fill(place, h('figure', { class: 'preview' }, h('figcaption', {}, foreign(name, { class: 'name' }), h('span', { class: 'muted small' }, size ? bytes(size) : ''), close), body));
    place.scrollIntoView?.({ block: 'nearest', behavior: 'smooth' });
    const failed = () => fill(body, fault('This can’t be shown: it did not all come, or the browser doesn’t know its format.'));
    if (kind === 'text') {
      const blob = await getBlob(contentPath(root), undefined, { Range: `bytes=0-${textLimit - 1}` });
      fill(body, h('pre', { class: 'file-text', tabindex: '0', 'aria-label': name }, foreign(await blob.text())), size > textLimit ? h('p', { class: 'muted small' }, `The first ${bytes(textLimit)} are shown.`) : null);
    } else {
      const src = await ticket(root);
      if (kind === 'picture') fill(body, h('img', { src, alt: name, onerror: failed }));
      else fill(body, h(kind, { controls: true, autoplay: true, src, 'aria-label': name, onerror: failed }));
    }
  } catch (error) { fill(place, fault(error.message)); }
}
