// What the page knows of the node, and who is told when it changes.
import { Feed, get, getText } from './api.js';
import { once } from './early.js';
import { Emitter, Ring, later, perFrame, whileVisible } from './bus.js';
import { duration } from './format.js';

const feedLimit = 500;
const historyLimit = 400;
// For how many seconds each request has round trips measured, and how many of a neighbour are kept.
const measuredFor = 10;
const tripsKept = 60;

class State extends Emitter {
  constructor() {
    super();
    this.node = null;
    this.layers = [];
    this.neighbours = [];
    this.unresolved = [];
    this.stream = 'closed';
    this.measurers = 0;
    this.tripsOf = new Map();
    // Of each layer, the newest events.
    this.feeds = new Map();
    this.batch = [];
    // The metrics over time, sampled while the page is seen.
    this.history = new Ring(historyLimit);
    this.previous = null;
    this.eventsSeen = 0;
    this.tell = perFrame(() => {
      const batch = this.batch;
      this.batch = [];
      this.emit('events', batch);
    });
    this.refreshNeighbours = later(250, () => this.loadNeighbours());
    this.refreshAll = later(150, () => this.loadAll());
  }

  has(layer) { return this.layers.some((item) => item.name === layer); }
  hasCommand(layer, name) {
    return this.layers.find((item) => item.name === layer)?.commands.some((item) => item.name === name) ?? false;
  }
  layer(name) { return this.layers.find((item) => item.name === name); }
  setting(layer, name) { return this.layer(layer)?.settings?.find((item) => item.name === name)?.value; }

  async loadAll() {
    const { node, layers, neighbours } = await once('overview', () => get('/v1/overview'));
    this.node = node;
    this.nodeAt = Date.now();
    this.takeNeighbours(neighbours);
    const before = this.layers.map((item) => item.name).join();
    this.layers = layers;
    if (before !== this.layers.map((item) => item.name).join()) this.emit('layers');
    this.emit('node');
  }

  async loadNeighbours() {
    const path = this.measurers ? `/v1/neighbours?measure=${measuredFor}` : '/v1/neighbours';
    try { this.takeNeighbours(await get(path)); } catch { /* The stream tells that the node is gone. */ }
  }

  // Has round trips and losses measured while somebody looks at them; answers how to end it. The node sends its
  // neighbours small probes for that, and stops by itself soon after it was last asked.
  measure() {
    this.measurers += 1;
    this.loadNeighbours();
    const end = whileVisible(2000, () => this.stream === 'open' && this.loadNeighbours());
    return () => { this.measurers -= 1; end(); };
  }

  // A neighbour's round trips of late, a point a measurement.
  trips(address) { return this.tripsOf.get(address)?.toArray() ?? []; }

  noteTrips() {
    for (const item of this.neighbours) {
      if (!item.probes || !item.measured) continue;
      if (!this.tripsOf.has(item.address)) this.tripsOf.set(item.address, new Ring(tripsKept));
      const ring = this.tripsOf.get(item.address);
      if (ring.at(ring.length - 1)?.at !== item.measured) ring.push({ at: item.measured, value: item.roundTrip });
    }
    const there = new Set(this.neighbours.map((item) => item.address));
    for (const address of this.tripsOf.keys()) if (!there.has(address)) this.tripsOf.delete(address);
  }

  takeNeighbours(answer) {
    this.neighbours = answer.neighbours.map((item) => ({ ...item, heardAt: item.lastHeard ? Date.parse(item.lastHeard) : 0 }));
    this.unresolved = answer.unresolved;
    this.noteTrips();
    this.emit('neighbours');
  }

  // After how many seconds without a word a neighbour counts as silent: a few of the rounds in which nodes compare notes.
  get silence() {
    const round = duration(this.setting('gossip', 'antiEntropy') ?? '10s');
    return Math.min(120, Math.max(8, 4 * (round || 10)));
  }

  isSilent(neighbour) { return !neighbour.heardAt || Date.now() - neighbour.heardAt > this.silence * 1000; }

  nameOf(address) {
    const neighbour = this.neighbours.find((item) => item.address === address);
    return neighbour?.claimedName ?? this.routeNames?.get(address) ?? address;
  }

  start() {
    this.feed = new Feed('/v1/events', (item) => this.take(item), (state) => {
      const before = this.stream;
      this.stream = state;
      this.emit('stream', state);
      // Back again: a node that was started anew may have other layers.
      if (state === 'open' && before === 'waiting') { this.refreshAll(); this.emit('resync'); }
    });
    this.feed.open();
    // Not before the first view is there, which has more urgent questions.
    setTimeout(() => this.sample(), 400);
    setTimeout(() => this.sample(), 1400);
    whileVisible(3000, () => this.stream === 'open' && this.sample());
    whileVisible(3000, () => this.stream === 'open' && this.loadNeighbours());
    whileVisible(12000, () => this.stream === 'open' && this.checkLayers());
  }

  // Layers may have been switched on or off from elsewhere.
  async checkLayers() {
    try {
      const node = await get('/v1/node');
      const now = node.layers.map((item) => item.name).join();
      this.node = node;
      this.nodeAt = Date.now();
      if (now !== this.layers.filter((item) => item.name !== 'core').map((item) => item.name).join()) await this.loadAll();
    } catch { /* As above. */ }
  }

  take({ event, data }) {
    if (event === 'missed') return this.emit('resync');
    if (!data) return;
    this.eventsSeen += 1;
    const item = { kind: event, layer: data.layer, event: data.event, time: Date.parse(data.time), data: data.data, seq: this.eventsSeen };
    if (!this.feeds.has(item.layer)) this.feeds.set(item.layer, new Ring(feedLimit));
    this.feeds.get(item.layer).push(item);
    if (event === 'core.neighbour') this.refreshNeighbours();
    // What nobody has drawn yet is bounded too: a tab in the background has no frames.
    if (this.batch.length < 5000) this.batch.push(item);
    this.tell();
  }

  async sample() {
    let text;
    try { text = await getText('/metrics'); } catch { return; }
    const now = performance.now() / 1000;
    const values = new Map();
    const families = new Map();
    for (const line of text.split('\n')) {
      if (line.startsWith('#')) {
        const [, what, name, ...rest] = line.split(' ');
        if (!families.has(name)) families.set(name, {});
        families.get(name)[what === 'TYPE' ? 'kind' : 'help'] = rest.join(' ');
        continue;
      }
      const place = line.lastIndexOf(' ');
      if (place > 0 && !line.includes('_bucket{')) values.set(line.slice(0, place), Number(line.slice(place + 1)));
    }
    this.families = families;
    this.previous = this.latest;
    this.latest = { time: now, at: Date.now(), values };
    this.history.push(this.latest);
    this.emit('metrics');
  }

  // The value of a series over time; of a counter, its rate.
  series(name, isCounter) {
    const points = [];
    let last = null;
    for (let place = 0; place < this.history.length; place += 1) {
      const sample = this.history.at(place);
      const value = sample.values.get(name);
      if (value === undefined) { last = null; continue; }
      if (!isCounter) points.push({ time: sample.at, value });
      else if (last && sample.time > last.time) {
        points.push({ time: sample.at, value: Math.max(0, value - last.value) / (sample.time - last.time) });
      }
      last = { time: sample.time, value };
    }
    return points;
  }

  rate(name) {
    const now = this.latest?.values.get(name), then = this.previous?.values.get(name);
    if (now === undefined || then === undefined) return 0;
    return Math.max(0, now - then) / Math.max(0.001, this.latest.time - this.previous.time);
  }
}

export const state = new State();
