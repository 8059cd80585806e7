// A layer's own page, made from what it has registered: whoever writes a layer gets it for nothing.
import { Bag, perFrame } from '../bus.js';
import { stream } from '../api.js';
import { add, fill, foreign, h } from '../dom.js';
import { bytes, clock, count, rate, title, words } from '../format.js';
import { objectForm } from '../form.js';
import { VirtualList } from '../list.js';
import { card, empty, explain, fault, head, table, tree } from '../parts.js';
import { plot } from '../plot.js';
import { state } from '../state.js';

// A command as a form, and its answer below.
function commandForm(layer, item) {
  const form = objectForm(item.input);
  const result = h('div', { class: 'result', 'aria-live': 'polite' });
  let running = null;
  const run = h('button', { type: 'submit', class: 'primary' }, title(item.name));
  const stop = h('button', { type: 'button', hidden: true, onclick: () => running?.abort() }, 'Stop');
  const isLong = item.progress !== null && item.progress !== undefined;
  return h('details', { class: 'command', data: { command: item.name } },
    h('summary', {}, h('span', { class: 'command-name' }, words(item.name)), h('span', { class: 'muted' }, item.summary)),
    h('form', { onsubmit: async (event) => {
      event.preventDefault();
      let input;
      try { input = form.read(); } catch (error) { return fill(result, fault(error.message)); }
      running?.abort();
      const mine = running = new AbortController();
      run.disabled = !isLong;
      stop.hidden = !isLong;
      const steps = [];
      const log = h('ol', { class: 'steps' });
      fill(result, isLong ? [h('p', { class: 'muted small' }, 'It goes on until it is done, or you stop it.'), log] : h('p', { class: 'muted' }, 'Asking …'));
      try {
        const answer = await stream(layer, item.name, input, (step) => {
          steps.push(step);
          log.append(h('li', {}, tree(step)));
          while (log.children.length > 100) log.firstChild.remove();
        }, mine.signal);
        add(isLong ? result : fill(result), h('h4', {}, 'Answer'), tree(answer));
      } catch (error) {
        if (error.name === 'AbortError') add(result, h('p', { class: 'muted' }, 'Stopped.'));
        else fill(result, fault(error.message));
      }
      if (running === mine) { run.disabled = false; stop.hidden = true; }
    } }, form.root, h('div', { class: 'row' }, run, stop), result));
}

export function layerView(name) {
  return {
    mount(root) {
      const bag = new Bag();
      const layer = state.layer(name);
      const plots = layer.metrics.map((metric) => {
        const isCounter = metric.kind === 'counter', isHistogram = metric.kind === 'histogram';
        const isBytes = /bytes/i.test(metric.series);
        const write = isBytes ? (value) => bytes(value) + (isCounter ? '/s' : '') : isCounter || isHistogram ? rate : count;
        const made = plot(metric.summary.replace(/\.$/, ''), [{ name: metric.name, colour: 'var(--accent)' }], write);
        made.root.title = metric.series;
        return { made, of: () => [state.series(isHistogram ? `${metric.series}_count` : metric.series, isCounter || isHistogram)] };
      });
      const meaning = new Map(layer.events.map((item) => [item.name, item.summary]));
      const list = new VirtualList({
        key: (item) => item.seq, estimate: 52, label: 'Events, the newest first', class: 'events',
        render: (item) => h('div', { class: 'event' }, h('span', { class: 'muted mono small' }, clock(item.time)), h('span', { class: 'event-name', title: meaning.get(item.event) }, words(item.event)),
          h('span', { class: 'event-data' }, Object.entries(item.data ?? {}).map(([key, value]) => h('span', {}, h('span', { class: 'muted' }, `${words(key)} `),
            foreign(value && typeof value === 'object' ? JSON.stringify(value).slice(0, 300) : String(value).slice(0, 300)))))),
      });
      const kinds = new Set();
      const nothing = empty('No event yet.', 'What this layer tells from now on is shown here.');
      const chips = h('div', { class: 'row chips', role: 'group', 'aria-label': 'Hide events' }, layer.events.map((item) => {
        const chip = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'true', title: item.summary, onclick: () => {
          if (!kinds.delete(item.name)) kinds.add(item.name);
          chip.setAttribute('aria-pressed', String(!kinds.has(item.name)));
          draw();
        } }, words(item.name));
        return chip;
      }));
      const feed = layer.events.length ? card('Events', { class: 'events-card' }, chips, list.root, nothing) : null;
      add(root, head(title(name), layer.summary),
        explain('layer', h('p', {}, 'A ', h('em', {}, 'layer'), ' is one feature of the node. Here is all that this one has: ', h('em', {}, 'commands'), ' that you may run, ', h('em', {}, 'events'),
          ' as they happen, ', h('em', {}, 'metrics'), ' over time, and the ', h('em', {}, 'messages'), ' it exchanges with other nodes.')),
        h('div', { class: 'stack' },
          h('div', { class: 'columns' },
            layer.commands.length ? card('Commands', {}, h('div', { class: 'commands' }, layer.commands.map((item) => commandForm(name, item)))) : null, feed),
          plots.length ? [h('h2', { class: 'section-head' }, 'Metrics'), h('div', { class: 'plots' }, plots.map((item) => item.made.root))] : null,
          layer.messages.length ? card('Messages', {}, h('p', { class: 'muted small' }, 'What this layer says on the wire. Each is one field of a packet.'),
            table('Messages', ['#Field', 'Name', 'Holds'], layer.messages.map((item) => h('tr', {}, h('td', { class: 'number mono' }, item.number), h('td', {}, item.name),
              h('td', { class: 'small muted' }, item.fields.map((one) => `${one.name}: ${one.repeated ? 'list of ' : ''}${one.type}`).join(', ')))))) : null,
          layer.settings?.length ? h('p', { class: 'muted' }, 'Its settings are under ', h('a', { href: '#/node' }, 'Node'), '.') : null));
      const draw = perFrame(() => {
        const all = (state.feeds.get(name)?.toArray() ?? []).filter((item) => !kinds.has(item.event)).reverse();
        nothing.hidden = all.length > 0;
        list.root.hidden = !all.length;
        list.set(all);
      });
      const drawPlots = () => { for (const item of plots) item.made.set(item.of()); };
      bag.add(state.on('events', (batch) => { if (batch.some((item) => item.layer === name)) draw(); }), state.on('metrics', drawPlots));
      draw();
      drawPlots();
      return { close() { bag.empty(); list.close(); } };
    },
  };
}

