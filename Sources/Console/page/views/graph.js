// The network as one node knows it, drawn: itself in the middle, neighbours around it, and beyond them whom they lead to.
import { add, fill, s } from '../dom.js';
import { clip, hue, seconds } from '../format.js';
import { lossOf } from '../parts.js';
import { state } from '../state.js';
import { talk } from '../talkmodel.js';
import { colourOf } from './packets.js';

let width = 660, height = 420, centre = { x: width / 2, y: height / 2 };
const mostShown = 120;
const still = matchMedia('(prefers-reduced-motion: reduce)');

// Where each node stands. A destination stands behind the neighbour that is its next hop, as far out as it has hops.
export function arrange() {
  const neighbours = state.neighbours.slice(0, 48);
  const behind = new Map(neighbours.map((item) => [item.address, []]));
  const direct = new Map();
  const near = new Set(neighbours.map((item) => item.claimedName));
  for (const [name, way] of talk.routes) {
    // A neighbour whose newest rumor came the long way round is a neighbour all the same.
    if (way.hops !== 0 && near.has(name)) continue;
    if (way.hops === 0) direct.set(way.nextHop, name);
    else if (behind.has(way.nextHop)) behind.get(way.nextHop).push({ name, hops: way.hops ?? 1 });
  }
  const deepest = Math.max(1, ...[...behind.values()].flat().map((item) => item.hops + 1));
  // The first ring has room for labels, however many there are.
  const share = (depth) => deepest === 1 ? 0.75 : 0.48 + 0.52 * (depth - 1) / (deepest - 1);
  const ring = (depth) => ({ x: (width / 2 - 60) * share(depth), y: (height / 2 - 52) * share(depth) });
  // Each neighbour gets as wide a piece of the circle as it has nodes behind it.
  const weights = neighbours.map((item) => 1 + Math.min(10, behind.get(item.address).length));
  const total = weights.reduce((sum, item) => sum + item, 0) || 1;
  const nodes = [{ id: 'me', name: state.node.name, x: centre.x, y: centre.y, kind: 'me' }];
  const edges = [];
  // A wide drawing begins at its left, a high one at its top.
  let angle = (width > height ? -Math.PI : -Math.PI / 2) - Math.PI * (weights[0] ?? 1) / total;
  neighbours.forEach((item, place) => {
    const width2 = 2 * Math.PI * weights[place] / total;
    const middle = angle + width2 / 2, size = ring(1);
    const at = { x: centre.x + size.x * Math.cos(middle), y: centre.y + size.y * Math.sin(middle) };
    nodes.push({ id: item.address, address: item.address, name: item.claimedName ?? direct.get(item.address) ?? item.address, ...at, kind: 'neighbour', isSilent: state.isSilent(item), item });
    edges.push({ from: nodes[0], to: nodes.at(-1), isSilent: state.isSilent(item) });
    const near2 = nodes.at(-1);
    const far = behind.get(item.address).sort((a, b) => a.hops - b.hops || (a.name < b.name ? -1 : 1)).slice(0, 40);
    const byDepth = new Map();
    for (const one of far) byDepth.set(one.hops, [...byDepth.get(one.hops) ?? [], one]);
    for (const [hops, group] of byDepth) group.forEach((one, number) => {
      const spread = Math.min(width2 * 0.86, Math.PI * 0.9);
      const turn = middle + spread * ((number + 1) / (group.length + 1) - 0.5) + (group.length === 1 ? (hops % 2 ? 0.34 : -0.34) : 0);
      const radius = ring(hops + 1);
      const place2 = { x: centre.x + radius.x * Math.cos(turn), y: centre.y + radius.y * Math.sin(turn) };
      if (nodes.length < mostShown) {
        nodes.push({ id: `far ${one.name}`, name: one.name, ...place2, kind: 'far', hops, over: item.address });
        edges.push({ from: near2, to: nodes.at(-1), isFar: true });
      }
    });
    angle += width2;
  });
  fit(nodes);
  part(nodes);
  return { nodes, edges };
}

// Moves apart what stands so close that names would lie over each other, as far as there is room.
function part(nodes) {
  const wide = nodes.map((item) => Math.max(46, 8 * Math.min(18, item.name.length) + 10));
  for (let round = 0, isCrowded = true; isCrowded && round < 30; round += 1) {
    isCrowded = false;
    for (let a = 0; a < nodes.length; a += 1) for (let b = a + 1; b < nodes.length; b += 1) {
      const one = nodes[a], other = nodes[b], dx = other.x - one.x, dy = other.y - one.y;
      const overX = (wide[a] + wide[b]) / 2 - Math.abs(dx), overY = 64 - Math.abs(dy);
      if (overX <= 0 || overY <= 0) continue;
      isCrowded = true;
      const [axis, over, sign] = overX < overY ? ['x', overX, dx < 0 ? -1 : 1] : ['y', overY, dy < 0 ? -1 : 1];
      // This node stays where it is.
      const share = one.kind === 'me' || other.kind === 'me' ? 1 : 0.5;
      if (one.kind !== 'me') one[axis] -= sign * (over * share + 0.5);
      if (other.kind !== 'me') other[axis] += sign * (over * share + 0.5);
    }
    for (const item of nodes) {
      item.x = Math.min(width - 40, Math.max(40, item.x));
      item.y = Math.min(height - 44, Math.max(44, item.y));
    }
  }
}

// Stretches the drawing over the room there is, each way by itself, since it says who is linked and not how far.
function fit(nodes) {
  for (const [axis, size, margin] of [['x', width, 56], ['y', height, 54]]) {
    const values = nodes.map((item) => item[axis]);
    const low = Math.min(...values), high = Math.max(...values);
    const scale = high > low ? Math.min(2.6, (size - 2 * margin) / (high - low)) : 1;
    for (const item of nodes) item[axis] = size / 2 + (item[axis] - (low + high) / 2) * scale;
  }
}

// The drawing, and a function that lets a packet fly along an edge.
export function graph(onPick) {
  const lines = s('g', { class: 'graph-lines' }), flights = s('g', { class: 'graph-flights', 'aria-hidden': 'true' }), points = s('g', {});
  const root = s('svg', { viewBox: `0 0 ${width} ${height}`, class: 'graph', role: 'group', 'aria-label': 'The network as this node knows it' }, lines, flights, points);
  let places = new Map(), trips = new Map(), shape = '';
  function draw() {
    const room = root.parentElement?.clientWidth ?? 760;
    [width, height] = room < 520 ? [380, 400] : [660, 420];
    centre = { x: width / 2, y: height / 2 };
    root.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const { nodes, edges } = arrange();
    tell();
    const now = JSON.stringify([width, nodes.map((item) => [item.id, item.name, item.isSilent, Math.round(item.x), Math.round(item.y)])]);
    if (now === shape) return;
    shape = now;
    places = new Map(nodes.map((item) => [item.id, item]));
    const focused = document.activeElement?.dataset?.node;
    fill(lines, edges.map((edge) => s('line', { x1: edge.from.x, y1: edge.from.y, x2: edge.to.x, y2: edge.to.y, class: edge.isFar ? 'far' : edge.isSilent ? 'silent' : '' })));
    fill(points, nodes.map((item) => {
      const words = item.kind === 'me' ? `${item.name}, this node` : item.kind === 'neighbour'
        ? `${item.name}, neighbour${item.isSilent ? ', silent' : ''}` : `${item.name}, ${item.hops} between`;
      const size = item.kind === 'me' ? 27 : item.kind === 'neighbour' ? 21 : 16;
      const pick = () => onPick(item);
      return s('g', { class: `graph-node ${item.kind} ${item.isSilent ? 'silent' : ''}`, transform: `translate(${item.x.toFixed(1)} ${item.y.toFixed(1)})`,
        tabindex: '0', role: 'button', 'aria-label': words, data: { node: item.id }, style: { '--hue': hue(item.name) }, onclick: pick,
        onkeydown: (event) => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); pick(); } } },
      s('circle', { r: size }), s('text', { class: 'initial', dy: '0.35em' }, [...item.name][0] ?? '?'),
      s('text', { class: 'graph-label', y: item.y < places.get('me').y - 30 ? -size - 7 : size + 16 }, clip(item.name, 18)));
    }));
    // Where a line is short its words would lie over the nodes; the table has them too.
    trips = new Map(edges.filter((edge) => !edge.isFar && Math.hypot(edge.to.x - edge.from.x, edge.to.y - edge.from.y) > 105).map((edge) => [edge.to.address,
      s('text', { class: 'graph-trip', x: edge.from.x + (edge.to.x - edge.from.x) * 0.54, y: edge.from.y + (edge.to.y - edge.from.y) * 0.54 - 8 })]));
    add(lines, [...trips.values()]);
    tell();
    if (focused) points.querySelector(`[data-node="${CSS.escape(focused)}"]`)?.focus();
  }
  // What the way to each neighbour takes, written beside its line.
  function tell() {
    for (const [address, label] of trips) {
      const item = state.neighbours.find((one) => one.address === address);
      const words = item?.probes && !state.isSilent(item) ? `${seconds(item.roundTrip ?? 0)}${item.loss ? `, ${lossOf(item)} lost` : ''}` : '';
      if (label.textContent !== words) label.textContent = words;
    }
  }
  function fly(packet, onPick2) {
    const there = places.get(packet.peer);
    if (!there || flights.childElementCount > 40) return;
    const here = places.get('me');
    const [from, to] = packet.in ? [there, here] : [here, there];
    const ball = s('circle', { r: Math.min(7, 3.5 + Math.log10(packet.bytes + 1)), style: { fill: colourOf(packet.type) }, onclick: () => onPick2(packet) });
    flights.append(ball);
    // Those who come and those who go keep to their own side of the road.
    const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
    const side = { x: -(to.y - from.y) / length * 5, y: (to.x - from.x) / length * 5 };
    const at = (share) => `translate(${from.x + (to.x - from.x) * share + side.x}px, ${from.y + (to.y - from.y) * share + side.y}px)`;
    if (still.matches) {
      ball.style.transform = at(0.5);
      setTimeout(() => ball.remove(), 600);
      return;
    }
    ball.animate([{ transform: at(0.08), opacity: 0 }, { opacity: 1, offset: 0.15 }, { opacity: 1, offset: 0.85 }, { transform: at(0.92), opacity: 0 }],
      { duration: 900, easing: 'ease-in-out' }).finished.then(() => ball.remove(), () => ball.remove());
  }
  return { root, draw, fly };
}

