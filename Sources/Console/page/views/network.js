// Network: who is linked to whom as far as this node knows, and what passes.
import { Feed } from '../api.js';
import { Bag, perFrame } from '../bus.js';
import { add, fill, foreign, h } from '../dom.js';
import { bytes, count, plural, seconds } from '../format.js';
import { badge, card, dot, drawer, explain, head, lossOf, spark, table, timeAgo } from '../parts.js';
import { state } from '../state.js';
import { talk } from '../talkmodel.js';
import { graph } from './graph.js';
import { packetList, showPacket } from './packets.js';

// What is known of the time to a neighbour and back.
const tripWords = (one) => one.roundTrip === null ? one.isStrata ? 'not measured yet' : 'not measured: it does not answer probes'
  : one.probes ? `${seconds(one.roundTrip)}, smoothed over the last probes` : `${seconds(one.roundTrip)}, when it was introduced`;

function showNode(item) {
  if (item.kind === 'me') {
    return drawer(item.name, h('p', {}, 'This is the node you are looking at. It knows its neighbours, and by which of them each origin is reached; how those are linked among each other it does not know.'),
      h('dl', { class: 'facts-list' }, h('dt', {}, 'Address'), h('dd', { class: 'mono' }, state.node.address), h('dt', {}, 'Neighbours'), h('dd', {}, String(state.neighbours.length))));
  }
  const write = state.has('routing') ? h('a', { class: 'button', href: `#/talk/with/${encodeURIComponent(item.name)}`, onclick: (event) => event.target.closest('dialog').close() }, 'Write') : null;
  if (item.kind === 'far') {
    return drawer(item.name, h('p', {}, 'No neighbour: messages to it are handed to the next hop, which knows the way from there.'),
      h('dl', { class: 'facts-list' }, h('dt', {}, 'Next hop'), h('dd', {}, foreign(state.nameOf(item.over))), h('dt', {}, 'Between'), h('dd', {}, plural(item.hops, 'node'))), write);
  }
  const one = item.item;
  drawer(item.name, h('dl', { class: 'facts-list' },
    h('dt', {}, 'Address'), h('dd', { class: 'mono' }, one.address),
    h('dt', {}, 'Last heard'), h('dd', {}, timeAgo(one.heardAt)),
    h('dt', {}, 'Round trip'), h('dd', {}, tripWords(one)),
    h('dt', {}, 'Lost'), h('dd', {}, one.probes ? `${lossOf(one)} of the last ${plural(one.probes, 'probe')}` : 'not measured'),
    h('dt', {}, 'Known from'), h('dd', {}, one.configured ? 'this node’s file' : 'its own words'),
    h('dt', {}, 'Speaks'), h('dd', {}, one.isStrata ? 'Strata' : 'the Peersters’ messages only'),
    h('dt', {}, 'Proven'), h('dd', {}, one.isProven ? 'it receives at this address' : 'not yet'),
    h('dt', {}, 'Largest datagram'), h('dd', {}, bytes(one.pathLimit)),
    h('dt', {}, 'Came in'), h('dd', {}, `${plural(one.datagramsIn, 'datagram')}, ${bytes(one.bytesIn)}`),
    h('dt', {}, 'Went out'), h('dd', {}, `${plural(one.datagramsOut, 'datagram')}, ${bytes(one.bytesOut)}`)), write);
}

function sparkOf(item) {
  const points = state.trips(item.address);
  return points.length > 1 ? spark(points, `Round trips to ${state.nameOf(item.address)} of late`) : null;
}

export const network = {
  mount(root) {
    const bag = new Bag();
    const drawing = graph(showNode);
    const packets = packetList();
    const ways = h('div', {});
    const neighbours = h('div', {});
    const losses = h('p', { class: 'muted small' });
    const live = h('span', { class: 'muted small' });
    add(root,
      head('Network', 'The nodes this one knows of, and the packets between it and its neighbours.'),
      explain('network', h('p', {}, 'Full lines lead to ', h('em', {}, 'neighbours'), '. Dashed ones lead on to nodes further away: ', foreign(state.node.name, { class: 'strong' }),
        ' knows only by which neighbour it reaches them. Each dot is a ', h('em', {}, 'packet'), ' on its way; press one, or a node, to look into it.')),
      h('div', { class: 'network' },
        card('Topology', { class: 'graph-card', aside: h('ul', { class: 'legend small muted' }, h('li', {}, 'dots: packets, coloured by type'), h('li', {}, dot('bad', 'silent'), 'silent')) }, drawing.root),
        h('div', { class: 'stack' },
          card('Neighbours', {}, neighbours,
            h('p', { class: 'muted small' }, 'While you look, each neighbour gets a small probe every two seconds: ', h('em', {}, 'round trip'), ' is how long its answer takes, ', h('em', {}, 'lost'), ' how many of the last 32 got none.'), losses),
          state.has('routing') ? card('Next hops', {}, ways) : null),
        card('Packets as they fly', { class: 'packets-card', aside: live }, packets.root)));

    const drawNeighbours = perFrame(() => {
      drawing.draw();
      fill(neighbours, state.neighbours.length ? table('Neighbours', ['Name', 'Heard', '#Round trip', '#Lost', '#In', '#Out'], state.neighbours.map((item) => {
        const isSilent = state.isSilent(item);
        return h('tr', {}, h('td', {}, dot(isSilent ? 'bad' : 'good', isSilent ? 'silent' : 'here'), ' ', foreign(state.nameOf(item.address)),
          h('span', { class: 'block muted small mono' }, item.address)),
        h('td', {}, timeAgo(item.heardAt), isSilent ? h('span', { class: 'block' }, badge('silent', 'bad')) : null),
        h('td', { class: 'number', title: tripWords(item) }, item.roundTrip ? seconds(item.roundTrip) : '–', sparkOf(item)),
        h('td', { class: `number ${item.loss > 0 ? 'lossy' : ''}`, title: item.probes ? `of the last ${plural(item.probes, 'probe')}` : 'not measured' }, lossOf(item) ?? '–'),
        h('td', { class: 'number' }, count(item.datagramsIn)), h('td', { class: 'number' }, count(item.datagramsOut)));
      })) : h('p', { class: 'muted' }, 'None yet. Name some under Node, in peers.'));
    });
    const drawWays = perFrame(() => {
      drawing.draw();
      const all = [...talk.routes.values()];
      fill(ways, all.length ? table('Next hops', ['To', 'Over', '#Between'], all.slice(0, 200).map((way) => h('tr', {}, h('td', {}, foreign(way.destination)),
        h('td', {}, way.hops === 0 ? h('span', { class: 'muted' }, 'direct') : foreign(state.nameOf(way.nextHop))), h('td', { class: 'number' }, way.hops ?? '?'))))
        : h('p', { class: 'muted' }, 'No way is known yet. Each node’s rumors show the way to it.'),
      all.length > 200 ? h('p', { class: 'muted small' }, `and ${all.length - 200} more`) : null);
    });
    const drawLosses = () => {
      if (!state.latest) return;
      const drops = [...state.latest.values].filter(([name, value]) => name.startsWith('strata_drops_total') && value > 0)
        .map(([name, value]) => `${/reason="([^"]+)"/.exec(name)?.[1]} ${count(value)}`);
      fill(losses, drops.length ? `Dropped here: ${drops.join(', ')}.` : 'Nothing was dropped here.');
    };

    const feed = new Feed('/v1/packets', ({ event, data }) => {
      if (event !== 'packets') return;
      packets.take(data);
      if (!document.hidden) data.packets.slice(0, 12).forEach((packet, place) => setTimeout(() => drawing.fly(packet, showPacket), place * 20));
    }, (now) => fill(live, { open: [dot('good', 'live'), ' live'], waiting: 'waiting for the node', connecting: 'connecting', paused: 'paused', closed: '' }[now]));
    feed.open();
    const resized = new ResizeObserver(() => drawing.draw());
    resized.observe(drawing.root);
    bag.add(() => resized.disconnect());
    bag.add(state.measure(), () => feed.close(), state.on('neighbours', drawNeighbours), talk.on('people', drawWays), state.on('metrics', drawLosses));
    drawNeighbours();
    drawWays();
    drawLosses();
    talk.loadPeople();
    return { close() { bag.empty(); packets.close(); } };
  },
};
