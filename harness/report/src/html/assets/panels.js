// What is told in words and tables of the chosen operation.
const LANES = ['cpu', 'smmu', 'page', 'ste'];
function ranges(all) {
  const rows = [], lanes = all.filter((track) => track.left);
  for (const { label, left, right } of lanes)
    for (const [from, to, a, b] of overlay(left, right, view.from, view.to)) {
      if (rows.length >= 400) break;
      const differs = verdict(a, b);
      rows.push([differs && differs[0] === 'bad' ? 'bad' : '', (PAIRED ? label[0] + ' ' : '') + frames(from, to), size((to - from) * 4096), value(a), value(b), differs ? '≠ ' + differs[1] : '']);
    }
  if (!lanes.length) for (const [from, to, number] of all[0].map) if (from < view.to && to > view.from && rows.length < 400) rows.push(['', frames(from, to), size((to - from) * 4096), VALUES[number][0], 'not used', '']);
  fill('ranges', rows.length ? table(['addresses', 'size', 'CPU', 'SMMU', ''], rows) : none('No entries here.'));
}
function changeLines(op) {
  const lines = [];
  for (let n = 0; n < op.changes.length && lines.length < 300; n += 5) {
    const [lane, number, from, long, id] = op.changes.slice(n, n + 5);
    const where = lane === STE ? hex(from) + (long > 1 ? '..' + hex(from + long) : '') : frames(from, from + long);
    const what = id < 0 ? 'gone' : VALUES[id][0];
    if (id < 0 && op.changes.some((_, m) => m % 5 === 0 && op.changes[m] === lane && op.changes[m + 1] === number && op.changes[m + 4] >= 0 && op.changes[m + 2] <= from && op.changes[m + 2] + op.changes[m + 3] >= from + long)) continue;
    lines.push(make('div', { class: id < 0 ? 'del' : 'add' }, (id < 0 ? '− ' : '+ ') + LANES[lane] + (number ? ':' + number : '') + ' ' + where + '  ' + what));
  }
  for (const id of op.lines.slice(0, 200)) lines.push(make('div', { class: 'lane' }, TEXTS[id]));
  return lines;
}
const bySide = (side, nodes) => PAIRED ? [make('div', { class: 'lane' }, 'AB'[side] + ' ' + RUNS[side].name), ...nodes] : nodes;
const each = (tell) => RUNS.flatMap((_, side) => { const op = opOf(chosen, side); return op ? bySide(side, tell(op, side)) : bySide(side, [none('It does not perform this operation.')]); });
function panels() {
  const op = anyOp(chosen), differs = STEPS[chosen].differs;
  $('title').textContent = (op.line ? op.line + ': ' : '') + TEXTS[op.text] + (TEXTS[op.result] ? ' → ' + TEXTS[op.result] : '');
  const facts = each((op) => [make('span', {}, op.instructions === null ? 'instructions not counted' : op.instructions.toLocaleString('en') + ' instructions at EL2',
    ...['stores', 'TLBI', 'barriers', 'register writes', 'device accesses'].map((kind, n) => op.counts[n] ? ' · ' + op.counts[n] + ' ' + kind : ''))]);
  const words = [[1, 'result'], [2, 'state'], [4, 'findings'], [8, 'only one performs it']].filter(([bit]) => differs & bit).map(([, word]) => word);
  const note = !PAIRED ? [] : [make('b', { class: 'note' + (words.length ? ' del' : '') }, words.length ? '≠ ' + words.join(', ') : 'A and B did the same here')];
  fill('facts', ...note, ...facts);
  fill('changes', ...each((op) => { const lines = changeLines(op); return lines.length ? lines : [none('Nothing.')]; }));
  fill('events', ...each((op, side) => eventsOf(side).length ? eventsOf(side) : [none(op.counts.some(Boolean) ? 'None.' : 'None recorded.')]));
  order(); streams(); attributes(); owners();
}
function streams() {
  const rows = RUNS.flatMap((_, side) => stateAt(chosen, side).ste.map(([from, to, id]) => {
    const words = VALUES[id][0].split(' ');
    return ['', (PAIRED ? 'AB'[side] + ' ' : '') + hex(from) + (to - from > 1 ? '..' + hex(to) : ''), words[0], words.slice(1).join(' ')];
  }));
  fill('streams', rows.length ? table(['streams', 'does', 'fields that are not 0'], rows) : none('No valid entry: every stream aborts, or the SMMU is not used.'));
}
function attributes() {
  const texts = RUNS.map((_, side) => (opOf(chosen, side) || anyOp(chosen)).attributes), same = new Set(texts).size === 1;
  const tables = (text) => {
    const node = make('div', { class: 'attrs' });
    for (const [title, where, rows] of JSON.parse(TEXTS[text] || '[]'))
      node.append(make('div', {}, make('h4', {}, title + ', such as ' + where), table(['incoming', 'CPU', 'SMMU', ''], rows.map(([a, b, c, same]) => ['', a, b, c, same ? '' : '≠']))));
    return node.children.length ? node : none('No stream goes through the SMMU.');
  };
  fill('attributes', ...(same ? [tables(texts[0])] : texts.flatMap((text, side) => bySide(side, [tables(text)]))), none('Computed from the specifications: QEMU models no attributes.'));
}
// All of memory, row by row: of the pages that share a cell the one that is least the host's is drawn.
function owners() { fill('owners', ...RUNS.flatMap((run, side) => bySide(side, ownersOf(side)))); }
function ownersOf(side) {
  const ram = regions().find(([name]) => name === 'ram'), first = ram[1] / 4096, nr = ram[2] / 4096;
  const columns = 128, lines = 32, per = Math.ceil(nr / (columns * lines)), cell = Math.min(8, Math.max(2, Math.floor(($('owners').clientWidth - 2) / columns))), gap = cell > 3 ? 1 : 0, map = stateAt(chosen, side).page;
  const canvas = make('canvas', { width: columns * cell, height: lines * cell, role: 'img' }), context = canvas.getContext('2d');
  const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name);
  const rank = { o: 0, n: 1, p: 2, s: 3 }, cells = new Array(columns * lines).fill('o'), pages = {};
  for (const [from, to, id] of map) {
    const kind = VALUES[id][1], a = Math.max(from, first), b = Math.min(to, first + nr);
    if (a >= b) continue;
    const seen = pages[VALUES[id][0]] = pages[VALUES[id][0]] || { nr: 0, places: [] };
    seen.nr += b - a; seen.places.push([a, b]);
    for (let n = Math.floor((a - first) / per); n <= Math.floor((b - 1 - first) / per); n++) if (rank[kind] > rank[cells[n]]) cells[n] = kind;
  }
  cells.forEach((kind, n) => {
    const x = n % columns * cell, y = Math.floor(n / columns) * cell;
    context.fillStyle = colour({ o: '--memory', p: '--hyp', s: '--shared', n: '--guest' }[kind]);
    context.fillRect(x, y, cell - gap, cell - gap);
    context.strokeStyle = context.fillStyle = colour('--ink');
    if (kind === 'p') { context.beginPath(); context.moveTo(x, y + cell - gap); context.lineTo(x + cell - gap, y); context.stroke(); }
    if (kind === 's') context.fillRect(x, y + cell / 2 - 1, cell - gap, 1.5);
    if (kind === 'n') context.fillRect(x + cell / 2 - 1, y + cell / 2 - 1, 2, 2);
  });
  const list = Object.entries(pages).sort((a, b) => b[1].nr - a[1].nr);
  canvas.setAttribute('aria-label', list.map(([text, { nr }]) => text + ': ' + nr + ' pages').join('; '));
  const frame = (event) => { const box = canvas.getBoundingClientRect(); return first + per * (Math.floor((event.clientY - box.top) / box.height * lines) * columns + Math.floor((event.clientX - box.left) / box.width * columns)); };
  canvas.addEventListener('pointermove', (event) => tip(event, told(frame(event))));
  canvas.addEventListener('pointerleave', () => { $('tip').hidden = true; });
  canvas.addEventListener('click', (event) => look(frame(event) - per * 8, frame(event) + per * 8));
  // The next place of a state, from the window on; behind the last one the first again.
  const next = (places) => {
    const button = make('button', { type: 'button', title: 'Show the next place above' }, places.length + (places.length === 1 ? ' place' : ' places'));
    let turn = 0;
    button.addEventListener('click', () => { const [a, b] = places[turn++ % places.length], room = Math.max(4, b - a); look(a - room, b + room); $('lanes').scrollIntoView({ block: 'center' }); });
    return button;
  };
  return [canvas, table(['state', 'pages', 'size', ''], list.map(([text, { nr, places }]) => ['', text, nr.toLocaleString('en'), size(nr * 4096), next(places)])),
    none('One cell is ' + size(per * 4096) + '; a click shows it above.')];
}
