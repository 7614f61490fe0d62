// Names for addresses, as everywhere in Parallax; small helpers for the page.
const hex = (number) => '0x' + number.toString(16);
const regions = () => RUNS[0].regions;
const regionAt = (address) => regions().find(([, base, size]) => address >= base && address < base + size);
function name(address) {
  const region = regionAt(address);
  return region ? region[0] + '+' + hex(address - region[1]) : hex(address);
}
function span(from, to) {
  const first = regionAt(from), last = regionAt(to - 1);
  if (first && first[1] === from && first[1] + first[2] === to) return first[0];
  if (last && last[1] + last[2] === to) return name(from) + '..' + last[0] + '_end';
  if (last) return name(from) + '..' + (last === first ? '' : last[0]) + '+' + hex(to - last[1]);
  return name(from) + '..' + hex(to);
}
const frames = (from, to) => span(from * 4096, to * 4096);
function size(bytes) {
  for (const [unit, name] of [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [1024, 'KiB']])
    if (bytes >= unit) return (bytes / unit).toLocaleString('en', { maximumFractionDigits: 1 }) + ' ' + name;
  return bytes + ' B';
}
const value = (run) => run ? VALUES[run[2]][0] : 'nothing';
const $ = (id) => document.getElementById(id);
function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, text] of Object.entries(attributes || {})) node.setAttribute(key, text);
  node.append(...children);
  return node;
}
function draw(tag, attributes, text) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}
function fill(id, ...children) { $(id).replaceChildren(...children); }
const none = (text) => make('p', { class: 'none' }, text);
function table(head, rows) {
  return make('table', {}, make('thead', {}, make('tr', {}, ...head.map((text) => make('th', { scope: 'col' }, text)))),
    make('tbody', {}, ...rows.map(([cls, ...cells]) => make('tr', cls ? { class: cls } : {}, ...cells.map((text) => make('td', {}, text))))));
}
// What both sides say of one place: null where they agree, else how bad it is and why.
function verdict(cpu, smmu) {
  const [c, s] = [cpu, smmu].map((run) => run ? VALUES[run[2]] : null);
  const mapped = (entry) => entry && (entry[1] === 'm' || entry[1] === 'd');
  if ((c && c[1] === 'x') || (s && s[1] === 'x')) return ['bad', 'malformed entry'];
  if (mapped(s) && c && !mapped(c)) return ['bad', 'devices reach what the CPU may not'];
  if (mapped(c) && !mapped(s)) return ['info', 'only the CPU reaches it'];
  if (!mapped(c) || !mapped(s)) return null;
  const [a, b] = [c[0].split(' '), s[0].split(' ')];
  if (c[0].split(' -> ')[1] !== s[0].split(' -> ')[1]) return ['bad', 'different physical pages'];
  if ([0, 1].some((n) => a[0][n] === '-' && b[0][n] !== '-')) return ['bad', 'devices may do more than the CPU'];
  if (a[0].slice(0, 2) !== b[0].slice(0, 2)) return ['info', 'devices may do less than the CPU'];
  if (a[1] !== b[1]) return ['info', 'different memory types'];
  return null;
}
function overlay(left, right, from, to) {
  const pieces = [];
  let a = firstEndingAfter(left, from), b = firstEndingAfter(right, from), here = from;
  while (here < to) {
    while (a < left.length && left[a][1] <= here) a++;
    while (b < right.length && right[b][1] <= here) b++;
    const one = left[a] && left[a][0] <= here ? left[a] : null, other = right[b] && right[b][0] <= here ? right[b] : null;
    const until = Math.min(to, left[a] ? left[a][one ? 1 : 0] : to, right[b] ? right[b][other ? 1 : 0] : to);
    if (one || other) pieces.push([here, until, one, other]);
    here = until;
  }
  return pieces;
}
