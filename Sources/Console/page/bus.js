// What happens, told to whom it concerns: at most once a frame, in bounded buffers, and nothing while nobody looks.

// The newest so many items; the oldest go first.
export class Ring {
  constructor(limit) { this.limit = limit; this.items = []; this.start = 0; this.lost = 0; }
  get length() { return this.items.length - this.start; }
  push(item) {
    this.items.push(item);
    if (this.length > this.limit) { this.items[this.start++] = undefined; this.lost += 1; }
    if (this.start > 1024 && this.start > this.limit) { this.items = this.items.slice(this.start); this.start = 0; }
  }
  at(place) { return this.items[this.start + place]; }
  clear() { this.items = []; this.start = 0; }
  toArray() { return this.items.slice(this.start); }
}

// What waits for the next frame.
const waiting = new Set();
let isAsked = false;

// Does now what waits for the next frame, and what that asks for: a list's rows are drawn in the frame that filled it.
export function drawWaiting() {
  const done = new Set(), again = [];
  // The walk meets what is added meanwhile.
  for (const body of waiting) {
    waiting.delete(body);
    if (done.has(body)) { again.push(body); continue; }
    done.add(body);
    try { body(); } catch (error) { console.error(error); }
  }
  for (const body of again) ask(body);
}

function ask(body) {
  waiting.add(body);
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => { isAsked = false; drawWaiting(); });
}

// Runs a function in the next frame, however often it is asked for until then.
export const perFrame = (body) => () => ask(body);

// Runs a function so long after it was first asked for.
export function later(milliseconds, body) {
  let timer = 0;
  const ask = () => { if (!timer) timer = setTimeout(() => { timer = 0; body(); }, milliseconds); };
  ask.cancel = () => { clearTimeout(timer); timer = 0; };
  return ask;
}

// Something that others listen to.
export class Emitter {
  constructor() { this.listeners = new Map(); }
  on(name, body) {
    if (!this.listeners.has(name)) this.listeners.set(name, new Set());
    this.listeners.get(name).add(body);
    return () => this.listeners.get(name)?.delete(body);
  }
  emit(name, value) {
    for (const body of [...this.listeners.get(name) ?? []]) {
      try { body(value); } catch (error) { console.error(error); }
    }
  }
}

// Runs something every so often, but only while the page is seen.
export function whileVisible(milliseconds, body) {
  let timer = 0;
  const start = () => { if (!timer) timer = setInterval(body, milliseconds); };
  const stop = () => { clearInterval(timer); timer = 0; };
  const look = () => {
    if (document.hidden) return stop();
    if (!timer) { body(); start(); }
  };
  document.addEventListener('visibilitychange', look);
  if (!document.hidden) start();
  return () => { stop(); document.removeEventListener('visibilitychange', look); };
}

// Gathers what a view has to undo when it goes.
export class Bag {
  constructor() { this.undo = []; }
  add(...bodies) { this.undo.push(...bodies.filter(Boolean)); }
  empty() { for (const body of this.undo.splice(0)) body(); }
}
