// The time line of one operation in which a rule of the order was broken: what it did, row by row, in order.
const HAPPENED = ['stores', 'locks', 'barriers', 'TLBIs', 'commands'];
const svg = (name, attributes, ...children) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
function orderOf(side, op) {
  const rows = HAPPENED.map((_, kind) => kind).filter((kind) => op.order.some((one) => one[0] === kind));
  const step = Math.max(7, Math.min(22, Math.floor(760 / op.order.length))), left = 76, high = 22, width = left + 12 + op.order.length * step, height = rows.length * high + 20;
  const drawing = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': op.order.filter((one) => one[3]).map((one) => 'The rule is broken by ' + TEXTS[one[2]]).join('; ') });
  rows.forEach((kind, n) => {
    const y = 14 + n * high;
    drawing.append(svg('text', { x: 0, y: y + 4, class: 'row' }, HAPPENED[kind]), svg('line', { x1: left, x2: width, y1: y, y2: y, class: 'rule' }));
  });
  op.order.forEach(([kind, , text, broke], n) => {
    const x = left + 6 + n * step, y = 14 + rows.indexOf(kind) * high;
    if (broke) drawing.append(svg('line', { x1: x, x2: x, y1: 2, y2: height - 14, class: 'broke' }), svg('text', { x, y: height - 2, class: 'broke', 'text-anchor': n > op.order.length / 2 ? 'end' : 'start' }, '▲ here'));
    const mark = [svg('circle', { cx: x, cy: y, r: 3.5 }), svg('rect', { x: x - 3, y: y - 6, width: 6, height: 12 }), svg('line', { x1: x, x2: x, y1: y - 9, y2: y + 9 }), svg('path', { d: `M${x - 5} ${y - 5}h10l-5 10z` }), svg('rect', { x: x - 4, y: y - 4, width: 8, height: 8 })][kind];
    mark.setAttribute('class', 'kind' + kind + (broke ? ' broke' : ''));
    mark.append(svg('title', {}, TEXTS[text]));
    drawing.append(mark);
  });
  const list = op.order.map(([, , text, broke], n) => make('div', { class: broke ? 'del' : '' }, (broke ? '▲ ' : '') + (n + 1) + ' ' + TEXTS[text]));
  return [...(PAIRED ? [make('div', { class: 'lane' }, 'AB'[side] + ' ' + RUNS[side].name)] : []), make('div', { class: 'scroll' }, drawing), make('details', {}, make('summary', {}, 'In words'), make('div', { class: 'mono', tabindex: 0 }, ...list))];
}
function order() {
  const parts = RUNS.flatMap((_, side) => { const op = opOf(chosen, side); return op && op.order ? orderOf(side, op) : []; });
  $('order').hidden = !parts.length;
  fill('order', ...(parts.length ? [make('h3', {}, 'In which order'), ...parts] : []));
}
// What one recording did and the other did not stands where it is missing.
function eventsOf(side) {
  const op = opOf(chosen, side), other = PAIRED ? opOf(chosen, 1 - side) : null, mine = op.events, theirs = other ? other.events : mine;
  const table = Array.from({ length: mine.length + 1 }, () => new Array(theirs.length + 1).fill(0));
  for (let a = mine.length - 1; a >= 0; a--) for (let b = theirs.length - 1; b >= 0; b--) table[a][b] = mine[a] === theirs[b] ? table[a + 1][b + 1] + 1 : Math.max(table[a + 1][b], table[a][b + 1]);
  const lines = [];
  for (let a = 0, b = 0; a < mine.length || b < theirs.length;) {
    if (a < mine.length && b < theirs.length && mine[a] === theirs[b]) { lines.push(make('div', {}, TEXTS[mine[a]])); a++; b++; }
    else if (b < theirs.length && (a >= mine.length || table[a][b + 1] >= table[a + 1][b])) lines.push(make('div', { class: 'del missing' }, '− missing here: ' + TEXTS[theirs[b++]]));
    else lines.push(make('div', { class: 'add' }, '+ ' + TEXTS[mine[a++]]));
  }
  return lines;
}
