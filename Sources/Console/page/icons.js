// The drawings beside words, as strokes of one weight.
import { s } from './dom.js';

const paths = {
  talk: ['M4 5.5h16v10.5H10l-4.5 3.5V16H4z', 'M8 9.2h8M8 12.4h5'],
  files: ['M4 6.5h6l2 2.2h8v10.3H4z'],
  network: ['M12 7.2v3.6M10.5 13.2l-3.6 2.9M13.5 13.2l3.6 2.9', 'M12 3.2a2 2 0 1 1 0 4 2 2 0 0 1 0-4z',
    'M5.3 15.4a2 2 0 1 1 0 4 2 2 0 0 1 0-4zM18.7 15.4a2 2 0 1 1 0 4 2 2 0 0 1 0-4z', 'M12 10.4a2 2 0 1 1 0 4 2 2 0 0 1 0-4z'],
  stats: ['M4 19.5h16', 'M6.5 16v-4M11 16V6.5M15.5 16v-6.5M19 16v-3'],
  node: ['M4.5 7.5h15M4.5 12h15M4.5 16.5h15', 'M9 5.6v3.8M15 10.1v3.8M8 14.6v3.8'],
  layer: ['M12 4l8.5 4.2L12 12.4 3.5 8.2z', 'M4 12.4l8 4 8-4M4 16.2l8 4 8-4'],
  sun: ['M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z', 'M12 2.8v2M12 19.2v2M2.8 12h2M19.2 12h2M5.5 5.5l1.4 1.4M17.1 17.1l1.4 1.4M5.5 18.5l1.4-1.4M17.1 6.9l1.4-1.4'],
  moon: ['M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7z'],
  auto: ['M12 4.2a7.8 7.8 0 1 1 0 15.6 7.8 7.8 0 0 1 0-15.6z', 'M12 4.2v15.6M14.5 5v14M17 6.5v11'],
  send: ['M4.5 12L20 4.5 15 20l-3.2-6.2z', 'M11.8 13.8L20 4.5'],
  close: ['M6 6l12 12M18 6L6 18'],
  check: ['M5 12.5l4.5 4.5L19 7.5'],
  double: ['M2.5 12.5L7 17l8.5-9.5M11.5 15.6L13 17l8.5-9.5'],
  clock: ['M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16z', 'M12 8v4.4l3 1.8'],
  warn: ['M12 4.5l8.5 15h-17z', 'M12 10v4.4M12 16.6v.6'],
  info: ['M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16z', 'M12 11v5.2M12 7.8v.6'],
  people: ['M9 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6z', 'M3.5 19c.4-3.4 2.6-5 5.5-5s5.1 1.6 5.5 5', 'M15.5 5.400a3 3 0 0 1 0 5.300M17 14.300c2 .6 3.2 2.2 3.5 4.7'],
  pause: ['M8.5 5.500v13M15.5 5.500v13'],
  play: ['M7.5 5l11 7-11 7z'],
  search: ['M10.8 4.500a6.3 6.3 0 1 1 0 12.6 6.3 6.3 0 0 1 0-12.600z', 'M15.5 15.500l4.5 4.5'],
  down: ['M12 4.500v11M7 11l5 5 5-5M5 19.500h14'],
  in: ['M18 6L7 17M7 9v8h8'],
  out: ['M6 18L17 7M9 7h8v8'],
  back: ['M14.5 5.500L8 12l6.5 6.5'],
  plus: ['M12 5.500v13M5.5 12h13'],
  power: ['M12 4v8', 'M7.5 6.800a7.2 7.2 0 1 0 9 0'],
};

export function icon(name, size = 20) {
  return s('svg', {
    viewBox: '0 0 24 24', width: size, height: size, class: 'icon', 'aria-hidden': 'true', focusable: 'false',
  }, (paths[name] ?? paths.layer).map((d) => s('path', { d })));
}

export function logo(size = 30) {
  const lines = [['M4 10.500c5-4 10 1.8 20-2', 'a'], ['M4 16.500c5-4 10 1.8 20-2', 'b'], ['M4 22.500c5-4 10 1.8 20-2', 'c']];
  return s('svg', { viewBox: '0 0 28 32', width: size * 0.875, height: size, class: 'logo', 'aria-hidden': 'true' },
    lines.map(([d, part]) => s('path', { d, class: `logo-${part}` })));
}
