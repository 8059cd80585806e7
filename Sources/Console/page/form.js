// Forms made from JSON Schemas: a command's input, or one setting.
import { h, uniqueID } from './dom.js';
import { title } from './format.js';

const kindOf = (schema) => {
  const types = [schema.type ?? []].flat().filter((type) => type !== 'null');
  if (schema.enum) return 'choice';
  if (types.includes('boolean')) return 'boolean';
  if (types.includes('object') || types.includes('array') && schema.items?.type === 'object' || !types.length) return 'json';
  if (types.includes('array')) return 'lines';
  if (types.includes('string')) return 'text';
  return types.includes('integer') || types.includes('number') ? 'number' : 'json';
};

// A field for a value of a schema: its element, how to read it, and how to show another value. `read` answers
// undefined where nothing is given, and throws what is wrong.
export function field(schema, { id = uniqueID('field'), value, label, isLong = false, describedBy } = {}) {
  const kind = kindOf(schema);
  const common = { id, 'aria-label': label, 'aria-describedby': describedBy };
  let input, read, show;
  if (kind === 'choice') {
    const nullable = [schema.type ?? []].flat().includes('null');
    input = h('select', common, nullable ? h('option', { value: '' }, '–') : null,
      schema.enum.filter((item) => item !== null).map((item) => h('option', { value: item }, item)));
    read = () => input.value === '' ? undefined : input.value;
    show = (next) => { input.value = next ?? ''; };
  } else if (kind === 'boolean') {
    input = h('input', { ...common, type: 'checkbox', role: 'switch', class: 'switch' });
    read = () => input.checked;
    show = (next) => { input.checked = next === true; };
  } else if (kind === 'number') {
    input = h('input', { ...common, type: 'text', inputmode: 'decimal', autocomplete: 'off', spellcheck: 'false' });
    // The node says better than the page what is wrong with something that is no number.
    read = () => {
      const given = input.value.trim();
      if (given === '') return undefined;
      return /^-?\d+(\.\d+)?([eE]-?\d+)?$/.test(given) ? Number(given) : given;
    };
    show = (next) => { input.value = next ?? ''; };
  } else if (kind === 'lines') {
    input = h('textarea', { ...common, rows: '2', spellcheck: 'false', placeholder: 'one a line' });
    const isNumber = ['integer', 'number'].includes(schema.items?.type);
    read = () => {
      const lines = input.value.split('\n').map((line) => line.trim()).filter(Boolean);
      return isNumber ? lines.map((line) => Number.isNaN(Number(line)) ? line : Number(line)) : lines;
    };
    show = (next) => { input.value = (next ?? []).join('\n'); input.rows = Math.min(6, Math.max(2, (next ?? []).length)); };
  } else if (kind === 'json') {
    input = h('textarea', { ...common, rows: '4', spellcheck: 'false', class: 'mono' });
    read = () => {
      const given = input.value.trim();
      if (given === '') return undefined;
      try { return JSON.parse(given); } catch (error) { throw new Error(`that is not JSON: ${error.message}`); }
    };
    show = (next) => { input.value = next === undefined || next === null ? '' : JSON.stringify(next, null, 2); input.rows = Math.min(10, input.value.split('\n').length + 1); };
  } else {
    const long = isLong || (schema.maxLength ?? 0) > 2000;
    input = long ? h('textarea', { ...common, rows: '2' })
      : h('input', { ...common, type: 'text', autocomplete: 'off', spellcheck: 'false' });
    read = () => input.value === '' ? undefined : input.value;
    show = (next) => { input.value = next === undefined || next === null ? '' : String(next); };
  }
  show(value);
  return { input, read, show, kind, id };
}

// A form of all the properties of an object's schema.
export function objectForm(schema) {
  const fields = Object.entries(schema?.properties ?? {}).map(([name, property]) => {
    const required = schema.required?.includes(name) ?? false;
    const hint = uniqueID('hint');
    const made = field(property, { describedBy: hint });
    if (made.kind !== 'boolean' && property.default !== undefined && property.default !== null && made.input.tagName !== 'SELECT') {
      made.input.placeholder = typeof property.default === 'object' ? JSON.stringify(property.default) : String(property.default);
    } else if (property.default !== undefined) made.show(property.default);
    if (required) made.input.setAttribute('aria-required', 'true');
    const label = h('label', { for: made.id }, title(name), required ? null : h('span', { class: 'optional' }, ' optional'));
    return { name, property, made, required, root: h('div', { class: `field kind-${made.kind}` }, label, made.input,
      h('p', { id: hint, class: 'hint' }, property.description ?? '')) };
  });
  return {
    fields,
    root: h('div', { class: 'fields' }, fields.map((item) => item.root)),
    read() {
      const value = {};
      for (const { name, made, required, property } of fields) {
        let given;
        try { given = made.read(); } catch (error) { throw new Error(`${name}: ${error.message}`); }
        if (given === undefined || !required && Array.isArray(given) && !given.length) continue;
        if (!required && made.kind === 'boolean' && given === (property.default ?? false)) continue;
        value[name] = given;
      }
      return value;
    },
  };
}
