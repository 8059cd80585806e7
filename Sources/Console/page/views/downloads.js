// Downloads: what is on its way, from whom, and which parts are there.
import { command } from '../api.js';
import { later, whileVisible } from '../bus.js';
import { fill, foreign, h, text } from '../dom.js';
import { byteRate, bytes, hue, plural, seconds } from '../format.js';
import { badge, empty, fault, toast } from '../parts.js';
import { state } from '../state.js';
import { kindOf, saveFile, showFile, verbOf } from './preview.js';

const over = ['finished', 'failed', 'cancelled'];
const shown = 200;

// The parts of a file as a strip of a hundred cells, each in the colour of who brought most of it.
function strip(map, isWhole) {
  const label = (holder) => holder.name ?? state.nameOf(holder.address);
  return h('div', { class: 'chunk-map', role: 'img', 'aria-label': `Of ${map.holders.length ? map.holders.map(label).join(', ') : 'nobody yet'}` },
    map.cells.map((part, cell) => {
      const percent = isWhole ? 100 : part;
      const best = map.holders.reduce((most, one) => (one.cells[cell] > (most?.cells[cell] ?? 0) ? one : most), null)
        // A file of few chunks has cells that none begins in.
        ?? (isWhole ? map.holders.reduce((most, one) => (one.bytes > (most?.bytes ?? 0) ? one : most), null) : null);
      return h('span', { class: percent ? 'here' : '', title: best ? `${percent} % here, most from ${label(best)}` : null,
        style: percent ? { '--hue': best ? hue(label(best)) : 180, opacity: 0.35 + percent / 154 } : {} });
    }));
}

const holderLine = (holder) => h('li', {}, h('span', { class: 'swatch', style: { '--hue': hue(holder.name ?? state.nameOf(holder.address)) } }),
  foreign(holder.name ?? state.nameOf(holder.address)), h('span', { class: 'mono muted small' }, holder.address),
  h('span', { class: 'small muted' }, holder.state === 'ready' ? `${bytes(holder.bytes)}${holder.rate ? `, ${byteRate(holder.rate)}` : ''}` : holder.state));

export function downloadList(bag, preview) {
  const root = h('div', { class: 'downloads' });
  const maps = new Map(), rows = new Map();
  const act = (item, name, label) => h('button', { type: 'button', class: 'small', onclick: async () => {
    try { take(await command('fileshare', name, { root: item.root })); } catch (error) { toast(error.message, 'bad'); }
  } }, label);

  // One row is made once and then changed, so that a button is still there when it is pressed.
  function row(item) {
    const parts = { state: h('span', {}), bar: h('span', {}), note: h('p', { class: 'muted small' }), map: h('div', {}), buttons: h('div', { class: 'row' }) };
    parts.progress = h('div', { class: 'bar', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': item.name }, parts.bar);
    parts.root = h('article', { class: 'download', data: { root: item.root } }, h('div', { class: 'row' }, foreign(item.name, { class: 'name' }), parts.state),
      parts.progress, parts.map, parts.note, parts.buttons);
    return parts;
  }

  function draw(parts, item) {
    const share = item.size ? item.bytes / item.size : item.state === 'finished' ? 1 : 0;
    const isOver = over.includes(item.state);
    fill(parts.state, badge(item.state, item.state === 'failed' ? 'bad' : item.state === 'finished' ? 'good' : ''));
    parts.bar.style.width = `${share * 100}%`;
    parts.progress.setAttribute('aria-valuenow', Math.round(share * 100));
    parts.progress.hidden = item.state === 'finished';
    text(parts.note, [item.size === undefined ? 'looking for somebody who has it' : item.state === 'finished' ? bytes(item.size) : `${bytes(item.bytes)} of ${bytes(item.size)}`,
      item.rate && !isOver ? byteRate(item.rate) : '', item.secondsLeft !== undefined && !isOver ? `${seconds(item.secondsLeft)} left` : '',
      isOver ? '' : `from ${plural(item.holders, 'holder')}`, item.note ?? ''].filter(Boolean).join(', '));
    const map = maps.get(item.root);
    // Once it is over, only who has sent something is of interest.
    const holders = map ? map.holders.filter((one) => !isOver || one.bytes > 0) : [];
    fill(parts.map, map && (holders.length || !isOver) ? [strip(map, item.state === 'finished'), h('ul', { class: 'holders' }, holders.slice(0, 12).map(holderLine))] : null);
    const wanted = `${item.state} ${item.name}`;
    if (parts.wanted === wanted) return;
    parts.wanted = wanted;
    const canShow = verbOf(item.name) && !['failed', 'cancelled'].includes(item.state);
    fill(parts.buttons,
      canShow ? h('button', { type: 'button', class: 'small', onclick: () => showFile(preview, item.root, item.name, item.size) }, verbOf(item.name)) : null,
      item.state === 'finished' ? h('button', { type: 'button', class: 'small', onclick: () => saveFile(item.root, item.name) }, 'Save a copy') : null,
      item.state === 'paused' ? act(item, 'resume', 'Go on') : ['locating', 'checking', 'fetching'].includes(item.state) ? act(item, 'pause', 'Pause') : null,
      isOver ? null : act(item, 'cancel', 'Cancel'));
  }

  const none = empty('Nothing is being fetched.', 'Search for a word, or paste a link above.');
  function take(item) {
    if (!item?.root) return;
    none.remove();
    let parts = rows.get(item.root);
    if (!parts) {
      if (rows.size >= shown) return;
      rows.set(item.root, parts = row(item));
      root.prepend(parts.root);
    }
    parts.item = item;
    draw(parts, item);
  }

  async function load() {
    if (!state.hasCommand('fileshare', 'downloads')) return;
    try {
      const list = (await command('fileshare', 'downloads')).downloads;
      const there = new Set(list.map((item) => item.root));
      for (const [key, parts] of rows) if (!there.has(key)) { parts.root.remove(); rows.delete(key); maps.delete(key); }
      for (const item of list.slice(-shown)) {
        if (!maps.has(item.root)) await loadMap(item.root);
        take(item);
      }
      if (!list.length) fill(root, none);
    } catch (error) { fill(root, fault(error.message)); rows.clear(); }
  }
  async function loadMap(key) {
    try { maps.set(key, await command('fileshare', 'holders', { root: key })); } catch { /* It is gone meanwhile. */ }
  }

  const soon = later(300, load);
  bag.add(whileVisible(10000, load), state.on('events', (batch) => {
    for (const { layer, event, data } of batch) {
      if (layer !== 'fileshare') continue;
      if (event === 'download-map') { if (rows.has(data.root)) { maps.set(data.root, data); draw(rows.get(data.root), rows.get(data.root).item); } }
      else if (event === 'progress') take(data);
      else if (event === 'download') { if (over.includes(data.state)) loadMap(data.root).then(soon); else soon(); }
      else if (event === 'holder-banned') toast(`${data.name ?? state.nameOf(data.address)} sent a wrong part and is asked no more for this file.`, 'bad');
    }
  }));
  load();
  return { root, load, take };
}
