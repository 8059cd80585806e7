// Lines over time, drawn anew when there is something new.
import { h, s, text } from './dom.js';
import { count } from './format.js';
import { uniqueID } from './dom.js';

const width = 320, height = 96, longest = 5 * 60 * 1000, shortest = 20 * 1000;

// A plot of one or more lines: { name, colour } each, and a function that writes a value.
export function plot(titleText, lines, write = count) {
  const id = uniqueID('plot');
  const value = h('span', { class: 'plot-value' }, '–');
  const paths = lines.map((line) => ({
    area: lines.length === 1 ? s('path', { class: 'plot-area', style: { '--line': line.colour } }) : null,
    stroke: s('path', { class: 'plot-line', style: { '--line': line.colour } }),
  }));
  const top = h('span', { class: 'plot-top' });
  const cursor = s('line', { class: 'plot-cursor', y1: 0, y2: height, hidden: true });
  const drawing = s('svg', {
    viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', class: 'plot-drawing', role: 'img', 'aria-labelledby': id,
  }, s('path', { class: 'plot-grid', d: `M0 ${height - 0.5}H${width}M0 ${height / 2}H${width}` }),
  paths.map((item) => [item.area, item.stroke]), cursor);
  const keys = lines.length > 1
    ? h('ul', { class: 'plot-keys' }, lines.map((line) => h('li', {}, h('span', { class: 'swatch', style: { '--line': line.colour } }), line.name)))
    : null;
  const root = h('figure', { class: 'plot' },
    h('figcaption', { id }, h('span', { class: 'plot-title' }, titleText), value),
    h('div', { class: 'plot-box' }, drawing, top), keys);
  let shown = [], isPointed = false, span = shortest;
  const latest = () => shown.map((points) => points.at(-1)?.value);
  const tell = (values) => text(value, values.every((item) => item === undefined) ? '–'
    : values.map((item) => item === undefined ? '–' : write(item)).join(' · '));
  drawing.addEventListener('pointermove', (event) => {
    const box = drawing.getBoundingClientRect();
    const at = Date.now() - span * (1 - (event.clientX - box.left) / box.width);
    isPointed = true;
    cursor.removeAttribute('hidden');
    const x = (event.clientX - box.left) / box.width * width;
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    tell(shown.map((points) => points.reduce((best, point) =>
      !best || Math.abs(point.time - at) < Math.abs(best.time - at) ? point : best, null)?.value));
  });
  drawing.addEventListener('pointerleave', () => { isPointed = false; cursor.setAttribute('hidden', ''); tell(latest()); });

  function set(series) {
    shown = series;
    const now = Date.now();
    // As long as there is to show, so that the first minute fills the plot.
    span = Math.min(longest, Math.max(shortest, now - Math.min(now, ...series.flatMap((points) => points.slice(0, 1).map((point) => point.time)))));
    const most = Math.max(1e-9, ...series.flatMap((points) => points.filter((point) => now - point.time <= span).map((point) => point.value)));
    const limit = write.isBytes ? niceBytes(most) : nice(most * 1.05);
    text(top, write(limit));
    series.forEach((points, place) => {
      const inside = points.filter((point) => now - point.time <= span);
      const d = inside.map((point, number) =>
        `${number ? 'L' : 'M'}${(width * (1 - (now - point.time) / span)).toFixed(1)} ${(height - 2 - (height - 12) * point.value / limit).toFixed(1)}`).join('');
      paths[place].stroke.setAttribute('d', d);
      if (paths[place].area) {
        const start = inside.length ? width * (1 - (now - inside[0].time) / span) : 0;
        const end = inside.length ? width * (1 - (now - inside.at(-1).time) / span) : 0;
        paths[place].area.setAttribute('d', inside.length > 1 ? `${d}L${end.toFixed(1)} ${height}L${start.toFixed(1)} ${height}Z` : '');
      }
    });
    if (!isPointed) tell(latest());
  }
  return { root, set };
}

// The next power of two.
const niceBytes = (value) => 2 ** Math.max(0, Math.ceil(Math.log2(value * 0.9999)));

// The next number that is 1, 2 or 5 times a power of ten.
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5, 10]) if (value <= step * power * 1.0001) return step * power;
  return 10 * power;
}
