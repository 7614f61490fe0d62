// Choosing operations, keys, and the first look.
let chosen = 0;
function choose(step) {
  chosen = Math.min(STEPS.length - 1, Math.max(0, step));
  history.replaceState(null, '', '#op=' + chosen);
  pointer = null;
  findings(); panels();
  if (!lookAtChanges()) lanes();
  $('probe').replaceChildren(); reveal(); moveNow();
}
function along(list, by) {
  const next = by > 0 ? list.find((step) => step > chosen) : list.filter((step) => step < chosen).pop();
  if (next === undefined) return;
  choose(next);
  // Another finding is looked at from its beginning; from operation to operation the same panel stays in view.
  if (list === SPECIAL) document.querySelector('main').scrollTop = 0;
}
function theme(set) {
  document.documentElement.dataset.theme = set;
  if (STEPS.length) owners();
}
const KEYS = {
  j: () => along(shown, 1), ArrowDown: () => along(shown, 1), k: () => along(shown, -1), ArrowUp: () => along(shown, -1),
  n: () => along(SPECIAL, 1), p: () => along(SPECIAL, -1), Home: () => choose(0), End: () => choose(STEPS.length - 1),
  '+': () => zoom(1 / 2), '=': () => zoom(1 / 2), '-': () => zoom(2), 0: memory, f: lookAtChanges,
  '.': () => point(1), ',': () => point(-1),
  a: () => move(-0.25), d: () => move(0.25), ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25),
  r: () => $('region').focus(), o: toggleOnly, s: () => save(RUNS[opOf(chosen, 0) ? 0 : 1]), '/': () => $('search').focus(), '?': () => $('keys').showModal(), t: () => $('theme').click(),
};
function toggleOnly() {
  $('only').setAttribute('aria-pressed', $('only').getAttribute('aria-pressed') !== 'true');
  search();
}
function watchKeys() {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $('keys').open) return;
    const typing = ['INPUT', 'SELECT'].includes(event.target.tagName);
    if (typing) { if (event.key === 'Escape' || (event.key === 'Enter' && shown.length)) { if (event.key === 'Enter') choose(shown[0]); event.target.blur(); $('list').focus(); } return; }
    const act = KEYS[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  $('list').addEventListener('scroll', rows);
  $('rows').addEventListener('click', (event) => { const row = event.target.closest('.op'); if (row) choose(Number(row.dataset.step)); });
  $('search').addEventListener('input', search);
  $('only').addEventListener('click', toggleOnly);
  $('help').addEventListener('click', () => $('keys').showModal());
  $('theme').addEventListener('click', () => theme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'));
  addEventListener('resize', () => { timeline(); lanes(); rows(); owners(); });
}
// What came of a whole recording: whether something was found, and how its operations ended.
function cameOut(run) {
  const ops = run.ops.slice(1), found = ops.filter((op) => op.findings && op.findings.length).length + ((run.ops[0].findings || []).length ? 1 : 0);
  const count = (end) => ops.filter((op) => endOf(op) === end).length;
  const ended = ['ok', 'aborted', 'refused'].map((end) => [count(end), end]).filter(([number]) => number).map(([number, end]) => number.toLocaleString('en') + ' ' + end).join(', ');
  return [make('b', { class: found ? 'verdict found' : 'verdict' }, found ? '▲ findings after ' + found.toLocaleString('en') : '✓ nothing found'), make('span', {}, ops.length.toLocaleString('en') + (ops.length === 1 ? ' operation' : ' operations') + (ended ? ': ' + ended : ''))];
}
function about() {
  fill('about', ...RUNS.map((run, side) => make('div', {}, make('b', {}, (PAIRED ? 'AB'[side] + ' ' : '') + run.name), saver(run, 'Save trace'), ...cameOut(run),
    make('span', {}, run.machine.split(' ').filter((word) => /^(cpus|mem|smmu)/.test(word)).join(' ')),
    ...(run.fault ? [make('span', { class: 'del' }, 'fault ' + run.fault)] : []), make('span', {}, run.revision.slice(0, 24) + ', QEMU ' + run.qemu))));
}
document.documentElement.dataset.theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
document.title = RUNS.map((run) => run.name).join(' and ') + ', Parallax report';
about(); watchLanes(); watchKeys(); search(); timeline();
const asked = /#op=(\d+)/.exec(location.hash);
choose(asked ? Number(asked[1]) : SPECIAL.length ? SPECIAL[0] : Math.min(1, STEPS.length - 1));
document.documentElement.dataset.ready = 'yes';
