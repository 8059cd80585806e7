// Light, dark, or as the system says.
import { h } from './dom.js';
import { icon } from './icons.js';

const key = 'strata.theme';
const order = ['auto', 'light', 'dark'];
const names = { auto: 'Colours: system', light: 'Colours: light', dark: 'Colours: dark' };
const icons = { auto: 'auto', light: 'sun', dark: 'moon' };

export function applyTheme() {
  const wanted = localStorage.getItem(key);
  document.documentElement.dataset.theme = order.includes(wanted) ? wanted : 'auto';
}

export function themeButton() {
  const button = h('button', { type: 'button', class: 'ghost theme', onclick: () => {
    const now = document.documentElement.dataset.theme;
    localStorage.setItem(key, order[(order.indexOf(now) + 1) % order.length]);
    applyTheme();
    show();
  } });
  const show = () => {
    const now = document.documentElement.dataset.theme;
    button.replaceChildren(icon(icons[now]), h('span', { class: 'label' }, names[now]));
    button.setAttribute('aria-label', `${names[now]}. Press for the next.`);
    button.title = 'Colours';
  };
  show();
  return button;
}
