// Every finding of the chosen operation: what, where, what both sides say there, how it came about, and how to see it again.
const RESULT = /^(ok|abort|bus|undef|no_device|timeout|NOT_SUPPORTED|E[A-Z]+)$/;
// A trace that performs the recorded operations and expects their results; each in the line that it has in the
// recording, where the lines above leave room.
function trace(run) {
  const lines = ['machine ' + run.machine];
  if (run.fault) lines.unshift('fault ' + run.fault);
  for (const op of run.ops) {
    if (!op.line) continue;
    while (lines.length + 1 < op.line) lines.push('');
    lines.push(TEXTS[op.text] + (RESULT.test(TEXTS[op.result]) ? ' => ' + TEXTS[op.result] : ''));
  }
  return lines.join('\n') + '\n';
}
function saver(run, text) {
  const button = make('button', { type: 'button', title: 'The same operations, with the results that they had' }, text);
  button.addEventListener('click', () => save(run));
  return button;
}
const quoted = (text) => /^[\w./+-]+$/.test(text) && !text.startsWith('-') ? text : "'" + text.replace(/^-/, './-').replace(/'/g, "'\\''") + "'";
function save(run) {
  const link = make('a', { download: run.name.replace(/\.plx$/, '') + '.trace', href: URL.createObjectURL(new Blob([trace(run)], { type: 'text/plain' })) });
  link.click();
  URL.revokeObjectURL(link.href);
}
function finding(side, op, found) {
  const run = RUNS[side];
  const text = TEXTS[found.text], [, rule, rest] = text.match(/^(\S+) (.*)$/s) || [null, '', text];
  const list = make('dl', {}, make('dt', {}, 'operation'), make('dd', {}, op.line + ': ' + TEXTS[op.text] + ' → ' + TEXTS[op.result]),
    make('dt', {}, 'page'), make('dd', {}, found.page === null ? 'none' : name(found.page) + ' (' + hex(found.page) + ')'));
  for (const [side, view] of found.views) list.append(make('dt', {}, side === 'page' ? 'owner' : side), make('dd', {}, view));
  const base = run.name.replace(/\.plx$/, ''), about = found.page === null ? '' : ' --ipa ' + hex(found.page);
  const button = saver(run, 'Save ' + base + '.trace');
  list.append(make('dt', {}, 'reproduce'), make('dd', {}, `parallax run ${quoted(base + '.trace')} --no-golden  `, button));
  const node = make('div', { class: 'finding', role: 'group', 'aria-label': 'Finding ' + rule }, make('h4', {}, '▲ ' + (PAIRED ? 'AB'[side] + ': ' : '') + rule), make('p', {}, rest));
  for (const id of found.detail || []) node.append(make('p', { class: 'why' }, TEXTS[id]));
  if (found.meaning !== null) node.append(make('p', { class: 'meaning' }, TEXTS[found.meaning]));
  node.append(list);
  const { story } = found, cause = story && run.ops[story.op];
  const line = cause ? cause.line : op.line;
  list.append(make('dt', {}, 'explain'), make('dd', {}, `parallax explain ${quoted(run.name)} --op ${line}${about}`));
  if (!cause) list.append(make('dt', {}, 'how it came'), make('dd', {}, 'no operation up to here changed an entry for it'));
  else {
    const same = cause === op, go = make('button', { type: 'button' }, 'Go to line ' + line);
    go.addEventListener('click', () => choose(STEPS.findIndex(({ ops }) => RUNS.some((one, side) => one === run && ops[side] === story.op))));
    list.append(make('dt', {}, 'how it came'), make('dd', {}, same ? 'this operation changed the entries  ' : `the entries were last changed by ${line}: ${TEXTS[cause.text]}  `, ...(same ? [] : [go])));
    if (story.text !== null) node.append(make('details', {}, make('summary', {}, 'Stores and invalidations, in order'), make('pre', { class: 'mono', tabindex: 0 }, TEXTS[story.text])));
  }
  return node;
}
// Above, each finding in a line; below, all there is to say of it.
function findings() {
  const all = findingsOf(chosen), nodes = all.map(({ side, found }) => finding(side, opOf(chosen, side), found));
  fill('findings', ...nodes);
  fill('brief', ...all.slice(0, 4).flatMap(({ side, found }, n) => {
    const button = make('button', { type: 'button', title: TEXTS[found.text] }, '▲ ' + (PAIRED ? 'AB'[side] + ': ' : '') + TEXTS[found.text]);
    button.addEventListener('click', () => { nodes[n].scrollIntoView({ block: 'start' }); nodes[n].querySelector('button').focus({ preventScroll: true }); });
    return [button, ...(found.detail || []).slice(0, 4).map((id) => make('div', { class: 'why' }, TEXTS[id]))];
  }), ...(all.length > 4 ? [make('span', { class: 'del' }, `and ${all.length - 4} more below`)] : []));
}
