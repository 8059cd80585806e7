// Numbers, sizes, times and names as people read them.

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value) {
  let amount = Number(value) || 0, unit = 0;
  while (Math.abs(amount) >= 1024 && unit < units.length - 1) { amount /= 1024; unit += 1; }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[unit]}`;
}

export function count(value) {
  const number = Number(value) || 0;
  const size = Math.abs(number);
  if (size >= 1e9) return `${(number / 1e9).toFixed(1)} G`;
  if (size >= 1e6) return `${(number / 1e6).toFixed(1)} M`;
  if (size >= 1e5) return `${Math.round(number / 1e3)} k`;
  if (Number.isInteger(number)) return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
  return size >= 10 ? number.toFixed(1) : size >= 0.01 ? number.toFixed(2) : size === 0 ? '0' : number.toExponential(1);
}

export const rate = (value) => `${value >= 10 ? count(Math.round(value)) : String(Math.round(value * (value < 1 ? 100 : 10)) / (value < 1 ? 100 : 10))}/s`;
export const byteRate = (value) => `${bytes(value)}/s`;
bytes.isBytes = byteRate.isBytes = true;

export function seconds(value) {
  if (!(value >= 0)) return '–';
  if (value < 0.001) return `${Math.round(value * 1e6)} µs`;
  if (value < 1) return `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms`;
  if (value < 60) return `${Math.round(value)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min`;
  if (value < 86400) return `${Math.floor(value / 3600)} h ${Math.floor(value % 3600 / 60)} min`;
  return `${Math.floor(value / 86400)} d`;
}

export const ago = (milliseconds) => {
  const passed = Math.max(0, (Date.now() - milliseconds) / 1000);
  return passed < 2 ? 'just now' : `${seconds(passed)} ago`;
};

const sizes = { ns: 1e-9, us: 1e-6, 'µs': 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600, d: 86400 };

// The seconds of a duration such as `1m30s`; NaN of anything else.
export function duration(text) {
  let total = 0, found = false;
  for (const part of String(text).matchAll(/([0-9.]+)(ns|us|µs|ms|s|m|h|d)/g)) {
    total += Number(part[1]) * sizes[part[2]];
    found = true;
  }
  return found ? total : NaN;
}

// Written by hand: a browser's own formats of dates and numbers take it tens of milliseconds to set up.
const two = (number) => String(number).padStart(2, '0');
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const clockOf = (date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
export const clock = (milliseconds) => clockOf(new Date(milliseconds));
export function dayAndClock(milliseconds) {
  const date = new Date(milliseconds);
  return `${date.getDate()} ${months[date.getMonth()]}, ${clockOf(date)}`;
}

// `messagesIn` and `in-sync` in words.
export const words = (name) => name.replace(/([a-z])([A-Z])/g, '$1 $2').replace(/[-_]/g, ' ').toLowerCase();
export const title = (name) => { const text = words(name); return text.charAt(0).toUpperCase() + text.slice(1); };

// A hue that stays the same for a name, away from the red that means trouble.
export function hue(name) {
  let sum = 2166136261;
  for (const letter of name) sum = Math.imul(sum ^ letter.codePointAt(0), 16777619) >>> 0;
  return 35 + Math.round((sum * 0.6180339887) % 290);
}

export const clip = (value, length) => value.length > length ? `${value.slice(0, length)}…` : value;
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
