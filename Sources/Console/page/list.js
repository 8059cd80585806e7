// A list of which only what is seen exists: ten thousand rows cost as much as twenty.
import { h } from './dom.js';
import { perFrame } from './bus.js';

// Rows may be of any height: each is guessed until it has been seen, then measured.
export class VirtualList {
  // options: render(item, place), key(item), estimate, label, role, follow (stay at the end), most (as high as it needs, up to this)
  constructor(options) {
    this.options = { estimate: 56, role: 'list', rowRole: 'listitem', overscan: 6, ...options };
    this.items = [];
    this.heights = new Map();
    this.offsets = new Float64Array(1);
    this.rows = new Map();
    // What a row is taken for that was never seen: as high as the first ones were.
    this.guess = this.options.estimate;
    this.inner = h('div', { class: 'vlist-inner', role: this.options.role, 'aria-label': this.options.label });
    this.root = h('div', { class: `vlist ${this.options.class ?? ''}`, tabindex: '0', 'aria-label': this.options.label, role: 'group' }, this.inner);
    this.draw = perFrame(() => this.drawNow());
    this.atEnd = true;
    this.root.addEventListener('scroll', () => {
      const top = this.root.scrollTop, rest = this.root.scrollHeight - top - this.root.clientHeight;
      this.isLow = top > 0 && rest < 1;
      // Who scrolls up wants to leave the end, by however little at first.
      this.atEnd = rest < 1 || rest < 40 && top >= (this.lastTop ?? 0);
      this.lastTop = top;
      if (this.atEnd) this.options.onEnd?.();
      this.draw();
    }, { passive: true });
    this.watcher = new ResizeObserver(() => {
      if (this.width !== this.root.clientWidth) { this.width = this.root.clientWidth; this.heights.clear(); this.isGuessed = false; this.measureAll = true; }
      this.isDirty = true;
      this.draw();
    });
    this.watcher.observe(this.root);
  }

  // Takes new items; what has the same key and is the same object keeps its row.
  set(items, { toEnd = false } = {}) {
    this.items = items;
    this.isDirty = true;
    if (toEnd) this.atEnd = true;
    this.draw();
  }

  // Draws rows anew, as their items have changed in place.
  refresh() {
    for (const row of this.rows.values()) row.item = null;
    this.isDirty = true;
    this.draw();
  }

  measure() {
    const { key } = this.options;
    const estimate = this.guess;
    const count = this.items.length;
    if (this.offsets.length < count + 1) this.offsets = new Float64Array(Math.max(count + 1, this.offsets.length * 2));
    let total = 0;
    for (let place = 0; place < count; place += 1) {
      this.offsets[place] = total;
      total += this.heights.get(key(this.items[place])) ?? estimate;
    }
    this.offsets[count] = total;
    if (this.heights.size > count * 2 + 1000) {
      const known = new Set(this.items.map(key));
      for (const item of this.heights.keys()) if (!known.has(item)) this.heights.delete(item);
    }
    this.inner.style.height = `${total}px`;
    if (this.options.most) this.root.style.height = `${Math.min(total, this.options.most)}px`;
    this.isDirty = false;
  }

  find(offset) {
    let low = 0, high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.offsets[middle + 1] <= offset) low = middle + 1; else high = middle;
    }
    return low;
  }

  drawNow() {
    if (!this.root.isConnected) return;
    // Measuring what was guessed may bring other rows into sight, so it goes in rounds, of which there are few.
    const isLow = this.isLow;
    for (let round = 0; round < 4; round += 1) {
      if (this.isDirty) this.measure();
      // Who is at the very end stays there, however high its rows turn out to be.
      const follow = this.options.follow ? this.atEnd : isLow;
      if (follow) this.root.scrollTop = this.root.scrollHeight;
      if (!this.drawRows()) { if (follow) this.root.scrollTop = this.root.scrollHeight; break; }
      this.isDirty = true;
    }
  }

  drawRows() {
    const { render, key, overscan, rowRole } = this.options;
    const top = this.root.scrollTop, bottom = top + this.root.clientHeight;
    const first = Math.max(0, this.find(top) - overscan);
    const last = Math.min(this.items.length - 1, this.find(bottom) + overscan);
    const fresh = [];
    const wanted = new Set();
    for (let place = first; place <= last; place += 1) wanted.add(key(this.items[place]));
    for (const [name, row] of this.rows) {
      if (wanted.has(name)) continue;
      // Whoever pages on from a row that goes out of sight keeps the list under their keys.
      if (row.node.contains(document.activeElement)) this.root.focus({ preventScroll: true });
      row.node.remove();
      this.rows.delete(name);
    }
    // Rows stand in the page in the order in which they are read, so that Tab goes through them so.
    let before = null;
    for (let place = first; place <= last; place += 1) {
      const item = this.items[place], name = key(item);
      let row = this.rows.get(name);
      if (!row || row.item !== item) {
        const node = h('div', { class: 'vrow', role: rowRole }, render(item, place));
        if (row) row.node.replaceWith(node);
        row = { node, item };
        this.rows.set(name, row);
        fresh.push([name, row]);
      }
      if (!row.node.parentNode || row.node.previousElementSibling !== before) {
        if (before) before.after(row.node); else this.inner.prepend(row.node);
      }
      before = row.node;
      if (row.place !== place) {
        row.place = place;
        row.node.setAttribute('aria-posinset', place + 1);
      }
      row.node.setAttribute('aria-setsize', this.items.length);
      const at = `translateY(${this.offsets[place]}px)`;
      if (row.at !== at) { row.at = at; row.node.style.transform = at; }
    }
    let hasChanged = false;
    const all = this.measureAll ? [...this.rows] : fresh;
    this.measureAll = false;
    for (const [name, row] of all) {
      const height = row.node.offsetHeight;
      if (height && this.heights.get(name) !== height) {
        hasChanged ||= (this.heights.get(name) ?? this.guess) !== height;
        this.heights.set(name, height);
      }
    }
    if (!this.isGuessed && fresh.length > 3) {
      this.isGuessed = true;
      this.guess = [...this.rows.keys()].reduce((sum, name) => sum + (this.heights.get(name) ?? this.guess), 0) / this.rows.size;
    }
    return hasChanged;
  }

  close() { this.watcher.disconnect(); }
}
