// Node: what this node is and is set to; layers on and off, and every setting, changed in place.
import { get, patch, post } from '../api.js';
import { Bag } from '../bus.js';
import { add, fill, foreign, h, text, uniqueID } from '../dom.js';
import { title } from '../format.js';
import { field } from '../form.js';
import { icon } from '../icons.js';
import { badge, card, confirmBox, explain, fault, head, timeAgo, toast, toggle } from '../parts.js';
import { state } from '../state.js';

const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
const written = (value) => value === null || value === undefined ? 'none' : typeof value === 'object' ? JSON.stringify(value) : String(value);

// What came of a change, in words.
function outcome(answers) {
  const needs = answers.filter((item) => item.outcome === 'needs a restart');
  const refused = answers.filter((item) => item.outcome === 'refused');
  if (refused.length) return toast(refused.map((item) => `${item.path}: ${item.message ?? 'refused'}`).join('; '), 'bad');
  if (needs.length) return toast(`Saved. ${needs.map((item) => item.path).join(', ')} will be in force after a restart.`);
  toast(answers.length ? 'Saved, and in force now.' : 'Saved; nothing has changed.');
}

// One setting: its words, its field, and what was wrong with what was given.
function settingRow(setting, path, reload) {
  const hint = uniqueID('hint'), trouble = h('div', {});
  const made = field(setting.schema, { value: setting.value, describedBy: hint });
  const save = h('button', { type: 'submit', class: 'primary small', hidden: true }, 'Save');
  const undo = h('button', { type: 'button', class: 'small', hidden: true, onclick: () => { made.show(setting.value); look(); fill(trouble); } }, 'Undo');
  const reset = h('button', { type: 'button', class: 'ghost small', hidden: !setting.isSet || setting.default === null && path === 'name',
    onclick: () => change(null) }, 'Use the default');
  const look = () => {
    let value;
    try { value = made.read(); } catch { value = NaN; }
    const hasChanged = !same(value ?? null, setting.value);
    save.hidden = undo.hidden = !hasChanged;
  };
  async function change(value) {
    const body = path.split('.').reduceRight((inner, key) => ({ [key]: inner }), value);
    fill(trouble);
    save.disabled = true;
    try {
      outcome((await patch('/v1/config', body)).answers);
      await reload();
    } catch (error) {
      const faults = error.problem?.faults ?? [];
      fill(trouble, fault(faults.length ? faults.map((item) => item.path === path || !item.path ? item.message : `${item.path}: ${item.message}`).join('; ') : error.message));
    }
    save.disabled = false;
  }
  made.input.addEventListener('input', look);
  made.input.addEventListener('change', look);
  return h('form', { class: `setting kind-${made.kind}`, data: { path }, onsubmit: (event) => {
    event.preventDefault();
    let value;
    try { value = made.read(); } catch (error) { return fill(trouble, fault(error.message)); }
    change(value ?? null);
  } },
  h('div', { class: 'setting-words' }, h('label', { for: made.id }, title(setting.name), ' ', h('code', { class: 'muted small' }, setting.name)),
    h('p', { class: 'hint', id: hint }, setting.description, ' ', h('span', {}, 'Default: ', h('span', { class: 'mono' }, written(setting.default)), '.'),
      setting.schema.description && !setting.description.includes(setting.schema.description) ? ` Takes ${setting.schema.description}.` : '')),
  h('div', { class: 'setting-field' }, made.input, h('div', { class: 'row' }, save, undo, reset,
    setting.isSet && !same(setting.value, setting.default) ? badge('changed', 'good') : null, setting.live ? null : badge('needs a restart'))),
  trouble);
}

export const node = {
  mount(root) {
    const bag = new Bag();
    const facts = h('div', {}), core = h('div', {}), layers = h('div', { class: 'stack' });
    const open = new Set();
    let isSwitching = false;
    add(root,
      head('Node', 'What this node is, and what it is set to. Changes are checked, saved to its file, and taken on at once where they can be.'),
      explain('node', h('p', {}, 'A node is made of ', h('em', {}, 'layers'), ', each a feature of its own. Switch one off, and it stops at once: its messages, its commands, and what it shows on this page are gone until you switch it on again. What it has stored is kept.')),
      h('div', { class: 'stack' }, card('This node', { class: 'this-node' }, facts), h('section', { class: 'stack', 'aria-label': 'Layers' }, h('h2', { class: 'section-head' }, 'Layers'), layers), card('The node’s own settings', {}, core)));

    function drawFacts() {
      const item = state.node;
      fill(facts, h('dl', { class: 'facts-list' },
        h('dt', {}, 'Name'), h('dd', {}, foreign(item.name)), h('dt', {}, 'Address'), h('dd', { class: 'mono' }, item.address),
        h('dt', {}, 'Control port'), h('dd', { class: 'mono' }, item.control), h('dt', {}, 'Started'), h('dd', {}, timeAgo(Date.parse(item.startedAt))),
        h('dt', {}, 'Version'), h('dd', {}, `Strata ${item.version}`), h('dt', {}, 'File'), h('dd', { class: 'mono small', id: 'file' }, '–')),
      h('div', { class: 'row' },
        h('button', { type: 'button', onclick: async () => {
          try { outcome((await post('/v1/node/reload')).answers); await load(); } catch (error) { toast(error.message, 'bad'); }
        } }, 'Read the file again'),
        h('button', { type: 'button', class: 'danger', onclick: async () => {
          if (!await confirmBox(`Stop ${item.name}?`, 'It tells its layers, lets what they still send leave, and ends. This page can’t start it again.', 'Stop the node')) return;
          try { await post('/v1/node/stop'); toast('The node stops.'); } catch (error) { toast(error.message, 'bad'); }
        } }, icon('power', 18), 'Stop the node')));
    }

    async function load() {
      let config;
      try { config = await get('/v1/config'); } catch (error) {
        fill(core, h('p', { class: 'muted' }, error.message));
        fill(layers);
        return;
      }
      text(document.getElementById('file') ?? h('span'), config.file);
      fill(core, h('div', { class: 'settings' }, config.core.map((item) => settingRow(item, item.name, load))));
      fill(layers, config.layers.map((layer) => {
        const trouble = h('div', {});
        const needs = [...layer.requires.map((item) => `needs ${item}`), ...layer.uses.map((item) => `uses ${item}`)];
        const sets = h('details', { open: open.has(layer.name), ontoggle: (event) => event.target.open ? open.add(layer.name) : open.delete(layer.name) },
          h('summary', {}, `${layer.settings.length} settings`, layer.settings.some((item) => item.isSet) ? h('span', { class: 'muted' }, `, ${layer.settings.filter((item) => item.isSet).length} set in the file`) : null),
          h('div', { class: 'settings' }, layer.settings.map((item) => settingRow(item, `layers.${layer.name}.${item.name}`, load))));
        return h('section', { class: 'card layer-card', 'aria-label': `Layer ${layer.name}` },
          h('div', { class: 'layer-head' }, toggle(`Layer ${layer.name}`, layer.enabled, async (wanted, input) => {
            // One at a time: what is drawn anew afterwards would take the words of another's refusal with it.
            isSwitching = true;
            const all = [...layers.querySelectorAll('.switch')];
            for (const one of all) one.disabled = true;
            fill(trouble);
            try {
              const kept = wanted ? state.removed?.[layer.name] ?? {} : null;
              if (!wanted) (state.removed ??= {})[layer.name] = Object.fromEntries(layer.settings.filter((item) => item.isSet).map((item) => [item.name, item.value]));
              outcome((await patch('/v1/config', { layers: { [layer.name]: kept } })).answers);
              await state.loadAll();
              await load();
            } catch (error) {
              input.checked = !wanted;
              fill(trouble, fault((error.problem?.faults ?? []).map((item) => `${item.path}: ${item.message}`).join('; ') || error.message));
            }
            isSwitching = false;
            for (const one of all) one.disabled = false;
          }), h('div', {}, h('h3', {}, layer.name), h('p', { class: 'muted' }, layer.summary, needs.length ? ` It ${needs.join(', ')}.` : ''))),
          trouble, layer.enabled && layer.settings.length ? sets : null);
      }));
    }

    drawFacts();
    load();
    bag.add(state.on('layers', () => { if (!isSwitching) load(); }));
    return { close: () => bag.empty() };
  },
};
