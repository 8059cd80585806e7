// Builds elements. Text only ever becomes text: nothing here, or anywhere else in the page, turns a string into markup.

const svgSpace = 'http://www.w3.org/2000/svg';

function set(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
  else if (name === 'class') node.setAttribute('class', value);
  else if (name === 'data') for (const [key, item] of Object.entries(value)) node.dataset[key] = item;
  else if (name === 'style') for (const [key, item] of Object.entries(value)) node.style.setProperty(key, item);
  else if (node instanceof HTMLElement && ['value', 'checked', 'disabled', 'selected', 'hidden'].includes(name)) node[name] = value;
  else node.setAttribute(name, value === true ? '' : value);
}

export function add(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

// An element with its attributes and children; strings become text nodes.
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  return add(node, ...children);
}

// The same for a drawing.
export function s(tag, props, ...children) {
  const node = document.createElementNS(svgSpace, tag);
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  return add(node, ...children);
}

export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, ...children);
}

// Changes an element's text only when it differs, so that nothing is laid out or read aloud for nothing.
export function text(node, value) {
  const wanted = String(value);
  if (node.textContent !== wanted) node.textContent = wanted;
}

// Text that somebody else wrote: its writing direction stays its own.
export const foreign = (value, props) => h('bdi', { dir: 'auto', ...props }, value);

let lastID = 0;
export const uniqueID = (stem) => `${stem}-${++lastID}`;
