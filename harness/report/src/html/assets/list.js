// The time line above and the list of operations at the left; the list holds only the rows that are seen.
const ROW = 26;
let shown = STEPS.map((_, n) => n);
const isSpecial = (step) => STEPS[step].differs > 0 || findingsOf(step).length > 0;
const SPECIAL = STEPS.map((_, n) => n).filter(isSpecial);

function search() {
  const words = $('search').value.toLowerCase().split(/\s+/).filter(Boolean);
  const only = $('only').getAttribute('aria-pressed') === 'true';
  shown = STEPS.map((_, n) => n).filter((step) => {
    if (only && !isSpecial(step)) return false;
    if (!words.length) return true;
    const op = anyOp(step);
    const text = (op.line + ': ' + TEXTS[op.text] + ' ' + TEXTS[op.result] + ' ' + findingsOf(step).map(({ found }) => TEXTS[found.text]).join(' ')).toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const differ = STEPS.filter(({ differs }) => differs).length, found = SPECIAL.filter((step) => findingsOf(step).length).length;
  $('count').textContent = shown.length !== STEPS.length ? shown.length + ' of ' + STEPS.length
    : (STEPS.length - 1).toLocaleString('en') + ' operations, ' + (PAIRED ? (differ ? differ + ' differ, ' : 'A and B are the same in all of them, ') : '') + found + ' with findings';
  $('rows').style.height = shown.length * ROW + 'px';
  rows();
}
function row(index) {
  const step = shown[index], op = anyOp(step), found = findingsOf(step).length, differs = STEPS[step].differs;
  const node = make('div', { class: 'op', role: 'option', id: 'op-' + step, 'aria-selected': step === chosen, 'data-step': step, style: 'top:' + index * ROW + 'px',
    'aria-setsize': shown.length, 'aria-posinset': index + 1 },
  make('span', { class: 'n' }, String(op.line)), make('span', { class: 't', title: TEXTS[op.text] }, TEXTS[op.text]), make('span', { class: 'r ' + endOf(op) }, TEXTS[op.result]));
  if (differs) node.append(make('span', { class: 'f', title: 'differs' }, '≠'));
  if (found) node.append(make('span', { class: 'f', title: found + ' findings' }, '▲' + found));
  return node;
}
function rows() {
  const list = $('list'), from = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const to = Math.min(shown.length, from + Math.ceil(list.clientHeight / ROW) + 10), nodes = [];
  for (let index = from; index < to; index++) nodes.push(row(index));
  $('rows').replaceChildren(...nodes);
  list.setAttribute('aria-activedescendant', 'op-' + chosen);
}
function reveal() {
  const index = shown.indexOf(chosen), list = $('list');
  if (index >= 0 && (index * ROW < list.scrollTop || (index + 1) * ROW > list.scrollTop + list.clientHeight))
    list.scrollTop = index * ROW - list.clientHeight / 2;
  rows();
}
function timeline() {
  const width = $('time').clientWidth - 32, height = 46, n = STEPS.length, svg = draw('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img' });
  const x = (step) => (step + 0.5) / n * width, wide = Math.max(1, width / n - 1);
  const cost = (step) => (anyOp(step).instructions || 0) || (anyOp(step).changes.length ? 200 : 50);
  // No more bars than pixels: of those that share one, the highest, and how the first ended that was not done.
  const bars = new Map(), counts = { ok: 0, aborted: 0, refused: 0 };
  for (let step = 1; step < n; step++) {
    const at = Math.round(x(step)), [value, end] = bars.get(at) || [0, 'ok'], now = endOf(anyOp(step));
    counts[now]++;
    bars.set(at, [Math.max(value, cost(step)), end === 'ok' ? now : end]);
  }
  const most = Math.log2(2 + [...bars.values()].reduce((a, [b]) => Math.max(a, b), 0));
  const paths = { ok: '', aborted: '', refused: '' };
  for (const [at, [value, end]] of bars) { const high = 24 * Math.log2(2 + value) / most; paths[end] += `M${at - Math.min(wide, 24) / 2} ${height - 10}v${-high}h${Math.min(wide, 24)}v${high}z`; }
  for (const [end, d] of Object.entries(paths)) if (d) svg.append(draw('path', { d, class: 'bar-' + end }));
  svg.append(draw('line', { x1: 0, x2: width, y1: height - 9.5, y2: height - 9.5, stroke: 'var(--line)' }));
  for (const step of SPECIAL.slice(0, 2000)) {
    const bad = findingsOf(step).length;
    svg.append(draw('text', { x: x(step), y: 10, 'text-anchor': 'middle', style: 'fill:var(--bad)' }, bad ? '▲' : '≠'));
  }
  svg.append(draw('path', { id: 'now', stroke: 'var(--accent)', 'stroke-width': 2, fill: 'none' }));
  svg.append(draw('text', { x: 0, y: height }, 'boot'), draw('text', { x: width, y: height, 'text-anchor': 'end' }, 'line ' + anyOp(n - 1).line));
  svg.setAttribute('aria-label', `${n - 1} operations, ${counts.aborted} aborted (hollow), ${counts.refused} refused (grey); height is instructions at EL2 (logarithmic); ${SPECIAL.length} marked`);
  svg.addEventListener('click', (event) => choose(Math.min(n - 1, Math.max(0, Math.floor((event.clientX - svg.getBoundingClientRect().left) / svg.getBoundingClientRect().width * n)))));
  fill('time', svg);
  moveNow();
}
function moveNow() {
  const now = $('now');
  if (!now) return;
  const width = $('time').clientWidth - 32, x = (chosen + 0.5) / STEPS.length * width;
  now.setAttribute('d', `M${x} 12V46M${x - 4} 46h8`);
}
