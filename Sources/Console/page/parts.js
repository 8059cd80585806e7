// Pieces that several views share.
import { add, fill, foreign, h, s, text, uniqueID } from './dom.js';
import { ago, dayAndClock, hue } from './format.js';
import { icon } from './icons.js';
import { whileVisible } from './bus.js';

// A time that stays right while it is shown.
export function timeAgo(milliseconds, none = 'never') {
  if (!milliseconds) return h('span', { class: 'muted' }, none);
  return h('time', {
    class: 'ago', data: { at: milliseconds }, datetime: new Date(milliseconds).toISOString(),
    title: dayAndClock(milliseconds),
  }, ago(milliseconds));
}

whileVisible(1000, () => {
  for (const node of document.querySelectorAll('time.ago')) text(node, ago(Number(node.dataset.at)));
});

export const avatar = (name, small) => h('span', {
  class: small ? 'avatar small' : 'avatar', style: { '--hue': hue(name) }, 'aria-hidden': 'true',
}, [...name][0] ?? '?');

export const dot = (kind, label) => h('span', { class: `dot ${kind}`, role: 'img', 'aria-label': label, title: label });

export const badge = (label, kind = '') => h('span', { class: `badge ${kind}` }, label);

// A heading with one line that says what it is about, and more for who wants it.
export function head(titleText, lead, ...more) {
  return h('header', { class: 'view-head' },
    h('div', {}, h('h1', { tabindex: '-1' }, titleText), lead ? h('p', { class: 'lead' }, lead) : null),
    more.length ? h('div', { class: 'head-actions' }, more) : null);
}

// An explanation that can be put away for good.
export function explain(key, ...children) {
  const name = `strata.known.${key}`;
  if (localStorage.getItem(name)) return null;
  const box = h('aside', { class: 'explain', 'aria-label': 'Explanation' }, icon('info'), h('div', {}, children),
    h('button', { type: 'button', class: 'ghost icon-only', 'aria-label': 'Got it, hide this explanation', onclick: () => {
      localStorage.setItem(name, '1');
      box.remove();
    } }, icon('close', 18)));
  return box;
}

export function card(titleText, props, ...children) {
  const id = uniqueID('card');
  return h('section', { ...props, class: `card ${props?.class ?? ''}`, 'aria-labelledby': id },
    h('div', { class: 'card-head' }, h('h2', { id }, titleText), props?.aside ?? null), children);
}

export const empty = (words, more) => h('div', { class: 'empty' }, h('p', {}, words), more ? h('p', { class: 'muted' }, more) : null);

export function tile(label) {
  const value = h('span', { class: 'tile-value' }, '–');
  const note = h('span', { class: 'tile-note' });
  return { root: h('div', { class: 'tile' }, h('span', { class: 'tile-label' }, label), value, note), value, note };
}

// Says something to whoever can't see it, and to whoever can.
export function say(words) { text(document.getElementById('news'), words); }

export function toast(words, kind = '') {
  const box = h('div', { class: `toast ${kind}` }, kind === 'bad' ? icon('warn', 18) : icon('check', 18), h('span', {}, words));
  const place = document.getElementById('toasts');
  place.append(box);
  while (place.children.length > 3) place.firstChild.remove();
  say(words);
  setTimeout(() => box.remove(), kind === 'bad' ? 9000 : 4000);
}

// What a refusal says, beside what was refused.
export const fault = (words) => h('p', { class: 'fault', role: 'alert' }, icon('warn', 16), h('span', {}, words));

// Any JSON as a tree of names and values; what peers wrote stays text.
export function tree(value, depth = 0) {
  if (value === null || value === undefined) return h('span', { class: 'value none' }, 'none');
  if (Array.isArray(value)) {
    if (value.length === 0) return h('span', { class: 'value none' }, 'empty');
    const list = h('ol', { class: 'tree list', start: '0' }, value.slice(0, 200).map((item) => h('li', {}, tree(item, depth + 1))));
    return value.length > 200 ? h('div', {}, list, h('p', { class: 'muted' }, `and ${value.length - 200} more`)) : list;
  }
  if (typeof value === 'object') {
    const entries = Object.entries(value);
    if (entries.length === 0) return h('span', { class: 'value none' }, 'nothing');
    return h('dl', { class: 'tree' }, entries.map(([key, item]) => h('div', { class: item && typeof item === 'object' ? 'pair nested' : 'pair' },
      h('dt', {}, key), h('dd', {}, tree(item, depth + 1)))));
  }
  return foreign(String(value), { class: `value ${typeof value}` });
}

// A panel over the page's edge; Escape or a press beside it closes it, and the focus goes back to where it was.
export function drawer(titleText, ...children) {
  const before = document.activeElement;
  const body = h('div', { class: 'drawer-body' }, children);
  const id = uniqueID('drawer');
  const dialog = h('dialog', { class: 'drawer', 'aria-labelledby': id },
    h('div', { class: 'drawer-head' }, h('h2', { id }, titleText),
      h('button', { type: 'button', class: 'ghost icon-only', 'aria-label': 'Close', onclick: () => dialog.close() }, icon('close'))),
    body);
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => { dialog.remove(); before?.focus?.(); });
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, body, set: (...content) => fill(body, content) };
}

// Asks before something that can't be taken back.
export function confirmBox(titleText, words, action) {
  return new Promise((resolve) => {
    const dialog = h('dialog', { class: 'box', 'aria-label': titleText },
      h('h2', {}, titleText), h('p', {}, words),
      h('div', { class: 'row end' },
        h('button', { type: 'button', onclick: () => dialog.close('') }, 'Cancel'),
        h('button', { type: 'button', class: 'danger', onclick: () => dialog.close('yes') }, action)));
    dialog.addEventListener('close', () => { dialog.remove(); resolve(dialog.returnValue === 'yes'); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// A switch that says what it switches.
export function toggle(label, checked, onchange) {
  const input = h('input', { type: 'checkbox', role: 'switch', class: 'switch', checked, 'aria-label': label });
  input.addEventListener('change', () => onchange(input.checked, input));
  return input;
}

// How much of what is sent to a neighbour gets no answer, in words.
export const lossOf = (neighbour) => neighbour.probes ? `${(neighbour.loss * 100).toFixed(neighbour.loss && neighbour.loss < 0.1 ? 1 : 0)} %` : null;

// A small line of what was measured of late, the newest at the right.
export function spark(points, label) {
  const most = Math.max(...points.map((point) => point.value), 1e-9), step = 58 / Math.max(1, points.length - 1);
  const d = points.map((point, place) => `${place ? 'L' : 'M'}${(1 + place * step).toFixed(1)} ${(15 - 13 * point.value / most).toFixed(1)}`).join('');
  return s('svg', { class: 'spark', viewBox: '0 0 60 16', role: 'img', 'aria-label': label }, s('path', { d }));
}

// A table with a caption for those who can't see it.
export function table(caption, heads, rows) {
  return h('div', { class: 'table-wrap', tabindex: '0', role: 'region', 'aria-label': caption },
    h('table', {}, h('caption', { class: 'sr-only' }, caption),
      h('thead', {}, h('tr', {}, heads.map((item) => h('th', { scope: 'col', class: item.startsWith('#') ? 'number' : '' }, item.replace('#', ''))))),
      add(h('tbody', {}), rows)));
}
