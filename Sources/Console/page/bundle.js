// Runs the page's modules, which follow here as one script: each when it is first wanted, and once.
const made = new Map(), makers = new Map();
const defineModule = (name, make) => makers.set(name, make);
// The module of a name, run if it has not been.
export function useModule(name) {
  if (!made.has(name)) made.set(name, makers.get(name)());
  return made.get(name);
}
const loadModule = async (name) => useModule(name);
