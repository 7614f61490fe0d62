// Every finding of the chosen operation: what, where, what both sides say there, and how to see it again.
function trace(run) {
  const lines = [];
  if (run.fault) lines.push('fault ' + run.fault);
  lines.push('machine ' + run.machine);
  for (const op of run.ops) if (op.line) lines.push(TEXTS[op.text]);
  return lines.join('\n') + '\n';
}
function save(run) {
  const link = make('a', { download: run.name.replace(/\.plx$/, '') + '.trace', href: URL.createObjectURL(new Blob([trace(run)], { type: 'text/plain' })) });
  link.click();
  URL.revokeObjectURL(link.href);
}
function finding(run, op, found) {
  const text = TEXTS[found.text], [, rule, rest] = text.match(/^(\S+) (.*)$/s) || [null, '', text];
  const views = found.views.length ? found.views : [['owner', 'this finding is about no page of memory']];
  const list = make('dl', {}, make('dt', {}, 'operation'), make('dd', {}, op.line + ': ' + TEXTS[op.text] + ' → ' + TEXTS[op.result]),
    make('dt', {}, 'page'), make('dd', {}, found.page === null ? 'none' : name(found.page) + ' (' + hex(found.page) + ')'));
  for (const [side, view] of views) list.append(make('dt', {}, side === 'page' ? 'owner' : side), make('dd', {}, view));
  const base = run.name.replace(/\.plx$/, '');
  const button = make('button', { type: 'button' }, 'Save ' + base + '.trace');
  button.addEventListener('click', () => save(run));
  list.append(make('dt', {}, 'reproduce'), make('dd', {}, `parallax run ${base}.trace --no-golden  `, button),
    make('dt', {}, 'who wrote it'), make('dd', {}, `parallax explain ${run.name} --op ${op.line}`));
  return make('div', { class: 'finding', role: 'group' }, make('h4', {}, '▲ ' + rule), make('p', {}, rest), list);
}
function findings() {
  fill('findings', ...findingsOf(chosen).map(({ side, found }) => finding(RUNS[side], opOf(chosen, side), found)));
}
