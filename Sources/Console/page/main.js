// The page itself: who the node is, the way between the views, and what is said when the node can't be reached.
// First of all, so that the node is asked while the rest is made.
import { early } from './early.js';
import { forgetToken, get, hasToken, setToken, whenRefused } from './api.js';
import { drawWaiting } from './bus.js';
import { h, fill, foreign, text } from './dom.js';
import { icon, logo } from './icons.js';
import { say } from './parts.js';
import { state } from './state.js';
import { talk } from './talkmodel.js';
import { applyTheme, themeButton } from './theme.js';
import { loadRest, views } from './views.js';

const app = document.getElementById('app');
let current = null;
let nav, main, banner, nodeName, nodeState, nodeDot;

function start() {
  applyTheme();
  whenRefused(() => askForToken('That is not this node’s token any more.'));
  if (!hasToken()) return askForToken();
  return open();
}

async function open() {
  try {
    await state.loadAll();
  } catch (error) {
    if (error.status === 401) return askForToken('That is not this node’s token.');
    return unreachable(error);
  }
  // What was said belongs to the first frame; but nobody waits long for it.
  await Promise.race([talk.loadRumors(), new Promise((done) => setTimeout(done, 60))]);
  draw();
  state.start();
  talk.loadRest();
  state.on('events', (batch) => talk.take(batch));
  state.on('resync', () => talk.load());
  state.on('layers', () => { drawNav(); talk.load(); route(); });
  state.on('node', drawNode);
  state.on('stream', drawNode);
  // What was heard between the first answers and the first event.
  const caughtUp = state.on('stream', (now) => { if (now === 'open') { caughtUp(); talk.loadRumors(); } });
  talk.on('unread', drawUnread);
  window.addEventListener('hashchange', route);
  await route();
  // All that is known is on the page with the first frame.
  drawWaiting();
  document.documentElement.dataset.ready = Math.round(performance.now());
  setTimeout(loadRest, 1500);
}

function unreachable(error) {
  fill(app, h('main', { class: 'gate', id: 'main' }, logo(48), h('h1', {}, 'The node does not answer'),
    h('p', {}, error.message), h('button', { type: 'button', class: 'primary', onclick: () => location.reload() }, 'Try again')));
}

// Without the token nothing is shown: it opens all that the node can do.
function askForToken(why) {
  if (document.getElementById('token')) return;
  forgetToken();
  state.feed?.close();
  const input = h('input', { id: 'token', type: 'password', autocomplete: 'off', spellcheck: 'false', required: true });
  fill(app, h('main', { class: 'gate', id: 'main' }, logo(48), h('h1', {}, 'Strata'),
    h('p', {}, why ? `${why} ` : '', 'This page drives a node, so it needs the node’s token. The address that ',
      h('code', {}, 'strata node'), ' or ', h('code', {}, 'strata console'), ' prints has it; it also lies in the file ',
      h('code', {}, 'control.token'), ' of the node’s data folder.'),
    h('form', { class: 'gate-form', onsubmit: async (event) => {
      event.preventDefault();
      setToken(input.value.trim());
      try { await get('/v1/node'); location.reload(); } catch (error) { if (error.status !== 401) unreachable(error); }
    } }, h('label', { for: 'token' }, 'Token'), input, h('button', { type: 'submit', class: 'primary' }, 'Open'))));
  input.focus();
}

function draw() {
  nodeName = foreign('', { class: 'node-name' });
  nodeState = h('span', { class: 'node-state' });
  nodeDot = h('span', { class: 'dot', 'aria-hidden': 'true' });
  nav = h('nav', { class: 'nav', 'aria-label': 'Views' });
  banner = h('div', { class: 'banner', role: 'status', hidden: true });
  main = h('main', { id: 'main', tabindex: '-1' });
  fill(app,
    h('header', { class: 'rail' },
      h('div', { class: 'brand' }, logo(30), h('span', { class: 'brand-name' }, 'Strata')),
      h('div', { class: 'who' }, nodeDot, h('div', {}, nodeName, nodeState)),
      nav, h('div', { class: 'rail-foot' }, themeButton())),
    h('div', { class: 'stage' }, banner, main));
  drawNav();
  drawNode();
}

const shown = () => views.filter((view) => view.isThere(state));

function drawNav() {
  const link = (id, label, name, small) => h('a', { href: `#/${id}`, data: { id }, class: small ? 'small' : '' },
    icon(name), h('span', { class: 'label' }, label), h('span', { class: 'count', hidden: true }));
  const layers = state.layers.filter((layer) => layer.name !== 'core');
  fill(nav, h('ul', {}, shown().map((view) => h('li', {}, link(view.id, view.title, view.icon)))),
    layers.length ? h('div', { class: 'nav-group' }, h('h2', { class: 'nav-head' }, 'Layers'),
      h('ul', {}, layers.map((layer) => h('li', {}, link(`layer/${layer.name}`, layer.name, 'layer', true))),
        h('li', {}, link('layer/core', 'core', 'layer', true)))) : null);
  mark();
  drawUnread();
}

function drawUnread() {
  const count = nav.querySelector('[data-id="talk"] .count');
  if (!count) return;
  const total = [...talk.unread.values()].reduce((sum, item) => sum + item, 0);
  count.hidden = !total;
  text(count, total > 99 ? '99+' : total);
  count.setAttribute('aria-label', `${total} unread`);
}

const troubles = {
  waiting: 'The node has stopped answering. Trying again …',
  connecting: null, open: null, paused: null, closed: null,
};

function drawNode() {
  const node = state.node;
  if (!node) return;
  text(nodeName, node.name);
  document.title = `${node.name} · Strata`;
  const isHere = state.stream !== 'waiting';
  nodeDot.title = isHere ? node.state : 'not answering';
  nodeDot.className = `dot ${isHere && node.state === 'running' ? 'good' : 'bad'}`;
  text(nodeState, !isHere ? 'not answering' : node.state === 'running' ? node.address : `${node.state}, ${node.address}`);
  const trouble = troubles[state.stream];
  if (banner.hidden !== !trouble) {
    banner.hidden = !trouble;
    fill(banner, trouble ? [icon('warn', 18), trouble] : null);
  }
}

function mark() {
  for (const link of nav.querySelectorAll('a')) {
    const isHere = current && (link.dataset.id === current.id);
    if (isHere) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
    if (isHere) link.scrollIntoView?.({ block: 'nearest', inline: 'nearest' });
  }
}

let turns = 0;

// The view that the address names; else the first.
async function route() {
  const turn = ++turns;
  const [id, ...rest] = location.hash.replace(/^#\/?/, '').split('/').map((part) => {
    try { return decodeURIComponent(part); } catch { return ''; }
  });
  let view = shown().find((item) => item.id === id), name = id, place = rest;
  if (id === 'layer' && state.layer(rest[0])) {
    view = { id: 'layer', title: rest[0], load: async () => (await import('./views/layer.js')).layerView(rest[0]) };
    name = `layer/${rest[0]}`;
    place = rest.slice(1);
  }
  if (!view) { view = shown()[0]; name = view.id; place = []; }
  if (current?.id === name) return current.shown.show?.(place);
  const drawn = await view.load();
  // Somebody was quicker.
  if (turn !== turns) return;
  const isFirst = !current;
  current?.shown.close?.();
  main.replaceChildren();
  main.className = `view view-${view.id}`;
  current = { id: name, shown: drawn.mount(main, place) ?? {} };
  main.scrollTop = 0;
  mark();
  say(`${view.title}`);
  if (!isFirst) (main.querySelector('h1') ?? main).focus?.({ preventScroll: true });
}

start();
