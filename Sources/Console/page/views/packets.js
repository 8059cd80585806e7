// Packets as they fly: a list that fills while it is watched, by type and direction, and one packet's fields.
import { Ring, perFrame } from '../bus.js';
import { fill, foreign, h, text } from '../dom.js';
import { bytes, clock, count, plural } from '../format.js';
import { icon } from '../icons.js';
import { VirtualList } from '../list.js';
import { drawer, empty, tree } from '../parts.js';
import { state } from '../state.js';

const kept = 2000;

// Each type of packet has a colour, as far from those before it as can be; the same in the list and in the drawing.
const hues = new Map();
export function colourOf(type) {
  if (!hues.has(type)) hues.set(type, Math.round(175 + 137.5 * hues.size) % 360);
  return `light-dark(hsl(${hues.get(type)} 62% 33%), hsl(${hues.get(type)} 62% 70%))`;
}

// What a packet says, in one line.
function gist(packet) {
  if (packet.fault) return packet.fault;
  if (!packet.fields) return 'too large to be shown in full';
  const parts = [];
  const walk = (value, depth) => {
    if (parts.length > 6 || value === null) return;
    if (Array.isArray(value)) { parts.push(`${value.length} of them`); return; }
    if (typeof value !== 'object') return;
    for (const [key, item] of Object.entries(value)) {
      if (item && typeof item === 'object') { if (Array.isArray(item)) parts.push(`${key}: ${item.length}`); else if (depth < 2) walk(item, depth + 1); }
      else parts.push(`${key} ${String(item).slice(0, 80)}`);
    }
  };
  walk(packet.fields, 0);
  return parts.join(' · ');
}

export function showPacket(packet) {
  drawer(`${packet.type} packet`,
    h('dl', { class: 'facts-list' },
      h('dt', {}, 'Direction'), h('dd', {}, packet.in ? 'came in from ' : 'went out to ', foreign(state.nameOf(packet.peer))),
      h('dt', {}, 'Address'), h('dd', { class: 'mono' }, packet.peer),
      h('dt', {}, 'When'), h('dd', {}, clock(Date.parse(packet.time))),
      h('dt', {}, 'Size'), h('dd', {}, bytes(packet.bytes), packet.copies ? `, the first of ${packet.copies} equal pieces` : ''),
      h('dt', {}, 'Layer'), h('dd', {}, packet.layer ? `${packet.layer}, packet field ${packet.number}` : 'none that is on here')),
    h('div', {}, h('h3', {}, 'Its fields, as they are registered'), h('div', { class: 'fields-box' },
      packet.fault ? h('p', { class: 'fault' }, packet.fault) : packet.fields ? tree(packet.fields) : h('p', { class: 'muted' }, 'A packet of more than 4 KiB is shown by its type and size only.'))));
}

export function packetList() {
  const ring = new Ring(kept);
  const types = new Map();
  let isPaused = false, onlyType = null, direction = 'both', hidden = 0;
  const list = new VirtualList({
    key: (item) => item.id, estimate: 34, label: 'Packets, the newest first', class: 'packets',
    render: (packet) => h('button', { type: 'button', class: 'packet', onclick: () => showPacket(packet) },
      h('span', { class: `way ${packet.in ? 'in' : 'out'}` }, icon(packet.in ? 'in' : 'out', 15), h('span', { class: 'sr-only' }, packet.in ? 'in' : 'out')),
      h('span', { class: 'packet-time mono' }, clock(Date.parse(packet.time))),
      h('span', { class: 'packet-type', style: { '--line': colourOf(packet.type) } }, packet.type, packet.copies ? ` ×${packet.copies}` : ''),
      foreign(state.nameOf(packet.peer), { class: 'packet-peer' }), h('span', { class: 'packet-size mono' }, bytes(packet.bytes)),
      foreign(gist(packet), { class: 'packet-gist' })),
  });
  const chips = h('div', { class: 'row chips', role: 'group', 'aria-label': 'Show only' });
  const note = h('p', { class: 'muted small' });
  const pause = h('button', { type: 'button', class: 'small', 'aria-pressed': 'false', onclick: () => {
    isPaused = !isPaused;
    pause.setAttribute('aria-pressed', String(isPaused));
    fill(pause, icon(isPaused ? 'play' : 'pause', 16), isPaused ? 'Go on' : 'Pause');
    draw();
  } }, icon('pause', 16), 'Pause');
  const nothing = empty('No packets yet.', 'Those that come and go from now on are shown here.');
  const root = h('div', { class: 'packets-box' }, chips, list.root, nothing, note);

  const drawChips = () => {
    const chip = (label, isOn, press, colour) => h('button', { type: 'button', class: 'chip', 'aria-pressed': String(isOn), onclick: press },
      colour ? h('span', { class: 'swatch', style: { '--line': colour } }) : null, label);
    fill(chips, pause,
      ['both', 'in', 'out'].map((item) => chip({ both: 'Both ways', in: 'In', out: 'Out' }[item], direction === item, () => { direction = item; drawChips(); draw(); })),
      [...types.values()].sort((a, b) => b.packets - a.packets).slice(0, 14).map((item) =>
        chip(`${item.type} ${count(item.packets)}`, onlyType === item.type, () => { onlyType = onlyType === item.type ? null : item.type; drawChips(); draw(); }, colourOf(item.type))));
  };
  let chipsAt = 0;
  const draw = perFrame(() => {
    const all = ring.toArray().filter((item) => (!onlyType || item.type === onlyType) && (direction === 'both' || item.in === (direction === 'in'))).reverse();
    nothing.hidden = all.length > 0;
    list.root.hidden = all.length === 0;
    list.set(all);
    text(note, `${plural(ring.length, 'packet')} shown${hidden ? `, ${count(hidden)} more only counted` : ''}; the newest ${count(kept)} are kept.`);
    if (Date.now() - chipsAt > 1000 && !chips.contains(document.activeElement)) { chipsAt = Date.now(); drawChips(); }
  });
  drawChips();
  return {
    root, close: () => list.close(),
    take(batch) {
      let passed = 0;
      for (const item of batch.counts) {
        passed += item.packets;
        if (!types.has(item.type) && types.size < 64) types.set(item.type, { type: item.type, layer: item.layer, packets: 0 });
        if (types.has(item.type)) types.get(item.type).packets += item.packets;
      }
      hidden += Math.max(0, passed - batch.packets.reduce((sum, item) => sum + (item.copies ?? 1), 0));
      if (isPaused) return;
      for (const packet of batch.packets) ring.push(packet);
      draw();
    },
  };
}

