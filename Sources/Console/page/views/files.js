export const files = { id: 'files', title: 'Files', icon: 'files', isThere: () => false, mount() { return {}; } };
