// Stats: how the node does: its peers, what passes over time, recent queries, and every counter.
import { command } from '../api.js';
import { Bag, perFrame, whileVisible } from '../bus.js';
import { add, fill, foreign, h, text } from '../dom.js';
import { byteRate, bytes, clock, count, rate, seconds } from '../format.js';
import { badge, card, dot, explain, head, lossOf, table, tile, timeAgo } from '../parts.js';
import { plot } from '../plot.js';
import { state } from '../state.js';

const port = (address) => address.slice(address.lastIndexOf(':') + 1);
const host = (address) => address.slice(0, address.lastIndexOf(':'));

export const stats = {
  mount(root) {
    const bag = new Bag();
    const tiles = { uptime: tile('Running for'), peers: tile('Peers heard'), traffic: tile('Traffic now'), memory: tile('Memory'), drops: tile('Dropped') };
    const plots = [
      { made: plot('Datagrams', [{ name: 'in', colour: 'var(--flow-in)' }, { name: 'out', colour: 'var(--flow-out)' }], rate), of: () => [state.series('strata_datagrams_in_total', true), state.series('strata_datagrams_out_total', true)] },
      { made: plot('Bytes', [{ name: 'in', colour: 'var(--flow-in)' }, { name: 'out', colour: 'var(--flow-out)' }], byteRate), of: () => [state.series('strata_bytes_in_total', true), state.series('strata_bytes_out_total', true)] },
      { made: plot('Memory of the process', [{ name: 'memory', colour: 'var(--accent)' }], bytes), of: () => [state.series('process_resident_memory_bytes', false)] },
      { made: plot('Wake-ups', [{ name: 'wake-ups', colour: 'var(--warn)' }], rate), of: () => [state.series('strata_loop_turns_total', true)] },
    ];
    if (state.has('gossip')) plots.push({ made: plot('New rumors', [{ name: 'rumors', colour: 'var(--accent)' }], rate), of: () => [state.series('strata_gossip_accepted_total', true)] });
    if (state.has('routing')) plots.push({ made: plot('Passed on for others', [{ name: 'messages', colour: 'var(--flow-in)' }], rate), of: () => [state.series('strata_routing_forwarded_total', true)] });
    const peers = h('div', {}), types = h('div', {}), queries = h('div', {}), counters = h('div', {});
    const filter = h('input', { type: 'search', 'aria-label': 'Filter the counters', placeholder: 'Filter', class: 'filter' });
    add(root, head('Stats', 'How this node does. Plots show the last five minutes while this page was open.'),
      explain('stats', h('p', {}, 'A ', h('em', {}, 'datagram'), ' is one packet to or from a neighbour. ', h('em', {}, 'Wake-ups'), ' are how often the node had something to do; one that is left alone sleeps. ',
        h('em', {}, 'Dropped'), ' is what it had no room for, or what made no sense. ', h('em', {}, 'Round trip'), ' and ', h('em', {}, 'lost'), ' are measured with small probes while you look.')),
      h('div', { class: 'stack' },
        h('div', { class: 'tiles' }, Object.values(tiles).map((item) => item.root)),
        h('div', { class: 'plots' }, plots.map((item) => item.made.root)),
        card('Peers', {}, peers),
        state.has('search') ? card('Recent queries', {}, h('p', { class: 'muted small' }, 'Queries that this node asked or passed on, and what they found.'), queries) : null,
        card('Messages by type', {}, types),
        card('All counters', { aside: filter }, counters)));

    const drawPeers = perFrame(() => {
      const heard = state.neighbours.filter((item) => !state.isSilent(item)).length;
      text(tiles.peers.value, `${heard} of ${state.neighbours.length}`);
      text(tiles.peers.note, `within ${state.silence} s`);
      fill(peers, state.neighbours.length ? table('Peers', ['Name', 'Address', '#Port', 'Active', 'Last heard', '#Round trip', '#Lost', '#In', '#Out'],
        state.neighbours.slice(0, 500).map((item) => {
          const isActive = !state.isSilent(item);
          return h('tr', {}, h('td', {}, foreign(state.nameOf(item.address))), h('td', { class: 'mono' }, host(item.address)), h('td', { class: 'number mono' }, port(item.address)),
            h('td', {}, dot(isActive ? 'good' : 'bad', isActive ? 'active' : 'silent'), isActive ? ' yes' : ' no'),
            h('td', {}, item.heardAt ? [clock(item.heardAt), ', ', timeAgo(item.heardAt)] : 'never'),
            h('td', { class: 'number' }, item.roundTrip ? seconds(item.roundTrip) : '–'), h('td', { class: 'number' }, lossOf(item) ?? '–'),
            h('td', { class: 'number' }, `${count(item.datagramsIn)} · ${bytes(item.bytesIn)}`), h('td', { class: 'number' }, `${count(item.datagramsOut)} · ${bytes(item.bytesOut)}`));
        })) : h('p', { class: 'muted' }, 'No peers yet.'));
    });

    function drawTypes() {
      const rows = new Map();
      for (const [name, value] of state.latest.values) {
        const found = /^strata_message(s|_bytes)_(in|out)_total\{layer="([^"]*)",type="([^"]*)"\}/.exec(name);
        if (!found) continue;
        const key = `${found[3]} ${found[4]}`;
        if (!rows.has(key)) rows.set(key, { layer: found[3], type: found[4] });
        rows.get(key)[`${found[1] === 's' ? 'messages' : 'bytes'}${found[2]}`] = value;
        rows.get(key)[`rate${found[2]}`] ??= state.rate(`strata_messages_${found[2]}_total{layer="${found[3]}",type="${found[4]}"}`);
      }
      const used = [...rows.values()].filter((item) => item.messagesin || item.messagesout).sort((a, b) => b.messagesin + b.messagesout - a.messagesin - a.messagesout);
      fill(types, used.length ? table('Messages by type', ['Type', 'Layer', '#In', '#In now', '#Out', '#Out now', '#Bytes in', '#Bytes out'], used.map((item) => h('tr', {},
        h('td', {}, item.type), h('td', {}, badge(item.layer)), h('td', { class: 'number' }, count(item.messagesin)), h('td', { class: 'number' }, rate(item.ratein)),
        h('td', { class: 'number' }, count(item.messagesout)), h('td', { class: 'number' }, rate(item.rateout)), h('td', { class: 'number' }, bytes(item.bytesin)), h('td', { class: 'number' }, bytes(item.bytesout)))))
        : h('p', { class: 'muted' }, 'No messages yet.'));
    }

    function drawCounters() {
      const wanted = filter.value.toLowerCase();
      const rows = [...state.latest.values].filter(([name]) => !wanted || name.includes(wanted) || (state.families.get(name.split('{')[0])?.help ?? '').toLowerCase().includes(wanted));
      fill(counters, table('All counters', ['Series', '#Value', '#Now', 'What it is'], rows.slice(0, 400).map(([name, value]) => {
        const family = state.families.get(name.split('{')[0]) ?? state.families.get(name.replace(/_(sum|count)$/, '')) ?? {};
        const isBytes = /bytes/.test(name);
        return h('tr', {}, h('td', { class: 'mono small wrap' }, name), h('td', { class: 'number' }, isBytes ? bytes(value) : count(value)),
          h('td', { class: 'number' }, family.kind === 'counter' ? (isBytes ? byteRate : rate)(state.rate(name)) : ''), h('td', { class: 'muted small' }, family.help ?? ''));
      })), rows.length > 400 ? h('p', { class: 'muted small' }, `and ${rows.length - 400} more`) : null);
    }

    function draw() {
      if (!state.latest) return;
      const value = (name) => state.latest.values.get(name) ?? 0;
      text(tiles.uptime.value, seconds(value('strata_uptime_seconds')));
      text(tiles.uptime.note, `Strata ${state.node.version}`);
      text(tiles.traffic.value, byteRate(state.rate('strata_bytes_in_total') + state.rate('strata_bytes_out_total')));
      text(tiles.traffic.note, `${bytes(value('strata_bytes_in_total'))} in, ${bytes(value('strata_bytes_out_total'))} out`);
      text(tiles.memory.value, bytes(value('process_resident_memory_bytes')));
      text(tiles.memory.note, 'of the whole process');
      const drops = [...state.latest.values].filter(([name]) => name.startsWith('strata_drops_total'));
      text(tiles.drops.value, count(drops.reduce((sum, item) => sum + item[1], 0)));
      text(tiles.drops.note, drops.filter((item) => item[1]).map((item) => /reason="([^"]*)"/.exec(item[0])?.[1]).slice(0, 2).join(', ') || 'nothing lost here');
      for (const item of plots) item.made.set(item.of());
      drawTypes();
      drawCounters();
    }

    async function loadQueries() {
      if (!state.hasCommand('search', 'recent')) return;
      try {
        const answer = await command('search', 'recent', { limit: 100 });
        const list = answer.queries;
        fill(queries, list.length ? table('Recent queries', ['When', 'Words', 'ID', 'Asked by', '#Sent to', 'Answers'], list.map((item) => h('tr', {},
          h('td', {}, clock(item.time * 1000)), h('td', {}, foreign(item.words), ' ', badge(item.mode)), h('td', { class: 'mono small' }, item.id),
          h('td', {}, item.isOurs ? 'this node' : foreign(item.origin ?? state.nameOf(item.from ?? 'somebody'))), h('td', { class: 'number' }, count(item.sent)), h('td', {}, answersOf(item)))))
          : h('p', { class: 'muted' }, 'Nobody has searched lately.'));
      } catch (error) { fill(queries, h('p', { class: 'fault' }, error.message)); }
    }

    filter.addEventListener('input', () => state.latest && drawCounters());
    bag.add(state.measure(), state.on('metrics', draw), state.on('neighbours', drawPeers), whileVisible(5000, loadQueries));
    drawPeers();
    draw();
    loadQueries();
    if (!state.latest) state.sample();
    return { close: () => bag.empty() };
  },
};

function answersOf(item) {
  // One line a file and holder; who answers again only says the same.
  const answers = [...new Map(item.answers.map((one) => [`${one.hash} ${one.holder}`, one])).values()];
  if (!answers.length) return h('span', { class: 'muted' }, 'none');
  return h('ul', { class: 'small answers' }, answers.slice(0, 8).map((one) => h('li', {}, foreign(one.name), h('span', { class: 'mono muted', title: one.hash }, one.hash.slice(0, 12)),
    h('span', {}, 'at ', foreign(one.holder)), h('span', { class: 'mono muted' }, one.host ? `${one.host}:${one.port}` : ''))),
  answers.length > 8 ? h('li', { class: 'muted' }, `and ${answers.length - 8} more`) : null);
}
