// The talk as this node knows it: rumors, private messages, who can be reached; bounded, and kept while views change.
import { command } from './api.js';
import { Emitter, later } from './bus.js';
import { once } from './early.js';
import { duration } from './format.js';
import { state } from './state.js';

const mostRumors = 10000;
const mostMessages = 10000;

class TalkModel extends Emitter {
  constructor() {
    super();
    this.rumors = [];
    this.known = new Set();
    this.messages = [];
    this.origins = [];
    this.routes = new Map();
    this.unread = new Map();
    this.open = null;
    this.refreshPeople = later(700, () => this.loadPeople());
    this.refreshMessages = later(200, () => this.loadMessages());
  }

  get me() { return state.node?.name ?? ''; }

  // Loads what there is: first what will be seen, then the rest.
  async load() {
    await this.loadRumors();
    await this.loadRest();
  }

  async loadRest() {
    await Promise.all([this.saying, this.loadMessages(), this.loadPeople()]);
    if (this.rumors.length >= 200) setTimeout(() => this.loadRumors(mostRumors), 300);
  }

  loadRumors(limit = 200) { return this.saying = this.askForRumors(limit); }

  async askForRumors(limit) {
    if (!state.has('gossip')) return;
    try {
      const { rumors } = await once('rumors', () => command('gossip', 'rumors', { limit }));
      for (const item of rumors) this.addRumor({ ...item, at: item.heard * 1000 });
      this.sortRumors();
      this.emit('rumors');
    } catch (error) { this.emit('fault', error); }
  }

  addRumor(rumor) {
    const key = rumor.id === null ? `simple ${rumor.origin} ${rumor.text} ${rumor.at}` : `${rumor.origin} ${rumor.id}`;
    if (this.known.has(key)) return false;
    rumor.key = key;
    this.known.add(key);
    this.rumors.push(rumor);
    return true;
  }

  sortRumors() {
    this.rumors.sort((a, b) => a.at - b.at);
    if (this.rumors.length > mostRumors) {
      for (const gone of this.rumors.splice(0, this.rumors.length - mostRumors)) this.known.delete(gone.key);
    }
    this.topics = new Map();
    for (const rumor of this.rumors) if (rumor.topic) this.topics.set(rumor.topic, (this.topics.get(rumor.topic) ?? 0) + 1);
  }

  async loadMessages() {
    if (!state.has('routing')) { this.messages = []; return this.emit('messages'); }
    try {
      const { messages } = await command('routing', 'messages', { limit: mostMessages });
      this.messages = messages.map((item) => ({ ...item, at: item.at * 1000, key: `m${item.number}` }));
      this.emit('messages');
    } catch (error) { this.emit('fault', error); }
  }

  async loadPeople() {
    if (!state.has('gossip')) return;
    try {
      const wanted = [command('gossip', 'origins', { limit: 5000 })];
      if (state.has('routing')) wanted.push(command('routing', 'routes'));
      const [origins, routes] = await Promise.all(wanted);
      this.origins = origins.origins.map((item) => ({ ...item, heardAt: item.heard ? item.heard * 1000 : 0 }));
      this.routes = new Map((routes?.routes ?? []).map((item) => [item.destination, item]));
      state.routeNames = new Map([...this.routes.values()].filter((item) => item.hops === 0).map((item) => [item.nextHop, item.destination]));
      this.emit('people');
    } catch (error) { this.emit('fault', error); }
  }

  // What happened since the last frame.
  take(batch) {
    let rumors = 0, people = false, messages = false;
    for (const item of batch) {
      if (item.layer === 'gossip') {
        if (item.event === 'rumor' && item.data.text) {
          const rumor = { ...item.data, at: item.time, delay: item.data.delay ? duration(item.data.delay) : null };
          if (this.addRumor(rumor)) { rumors += 1; this.note(rumor.topic ? `#${rumor.topic}` : '', rumor.origin); }
        } else if (item.event === 'simple') {
          if (this.addRumor({ origin: item.data.name, id: null, text: item.data.contents, from: item.data.from, at: item.time })) rumors += 1;
        } else if (item.event === 'equivocation') {
          this.rumors.push({ key: `e${item.seq}`, isFault: true, at: item.time, origin: item.data.origin, id: item.data.id, text: item.data.refused });
          rumors += 1;
        }
        if (item.event === 'rumor' || item.event === 'origin') people = true;
      } else if (item.layer === 'routing') {
        if (item.event === 'private') { messages = true; this.note(`@${item.data.origin}`, item.data.origin); }
        else if (item.event === 'message') messages = this.settle(item.data) || messages;
        else if (item.event === 'route') people = true;
      }
    }
    if (rumors) { this.sortRumors(); this.emit('rumors'); this.tellNews(); }
    if (messages) this.refreshMessages();
    if (people) this.refreshPeople();
  }

  // For whoever can't see the page: the newest line, at most every other second.
  tellNews() {
    if (Date.now() - (this.toldAt ?? 0) < 2000) return;
    const newest = this.rumors.at(-1);
    if (newest.origin !== this.me) this.emit('news', `${newest.origin}: ${newest.text.slice(0, 200)}`);
    this.toldAt = Date.now();
  }

  // What has become of a message of ours; true if it isn't known here yet.
  settle(change) {
    const place = this.messages.findIndex((item) => item.number === change.number);
    if (place < 0) return true;
    this.messages[place] = { ...this.messages[place], state: change.state };
    this.emit('messages');
    return false;
  }

  note(place, origin) {
    if (origin === this.me || this.open === place || (this.open === '' && !place.startsWith('@'))) return;
    this.unread.set(place, (this.unread.get(place) ?? 0) + 1);
    this.emit('unread');
  }

  read(place) {
    this.open = place;
    if (this.unread.delete(place)) this.emit('unread');
    if (place === '') { for (const key of [...this.unread.keys()]) if (!key.startsWith('@')) this.unread.delete(key); this.emit('unread'); }
  }

  // Who has written, or was written to, the newest first.
  get partners() {
    const newest = new Map();
    for (const message of this.messages) newest.set(message.with, message);
    return [...newest.values()].sort((a, b) => b.at - a.at);
  }
}

export const talk = new TalkModel();
