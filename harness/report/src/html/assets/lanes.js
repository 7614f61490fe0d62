// The lanes of the address space: CPU, SMMU and page states in one window, and what differs between them.
const GUTTER = 92, HIGH = 30, STEP = 40;
let view = { from: 0, to: 1 };   // page frames
const PATTERNS = `<defs><pattern id="p-d" width="9" height="9" patternUnits="userSpaceOnUse"><rect width="9" height="9" fill="var(--device)"/><path d="M4.5 0v9M0 4.5h9" stroke="var(--stroke)" stroke-width=".7"/></pattern>
<pattern id="p-h" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="7" height="7" fill="var(--hyp)"/><rect width="2" height="7" fill="var(--stroke)"/></pattern>
<pattern id="p-g" width="7" height="7" patternUnits="userSpaceOnUse"><rect width="7" height="7" fill="var(--guest)"/><circle cx="3.5" cy="3.5" r="1.5" fill="var(--stroke)"/></pattern>
<pattern id="p-x" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="8" height="8" fill="var(--bad-bg)"/><path d="M0 0L8 8M8 0L0 8" stroke="var(--bad)" stroke-width="1.5"/></pattern>
<pattern id="p-s" width="7" height="7" patternUnits="userSpaceOnUse"><rect width="7" height="7" fill="var(--shared)"/><rect y="5" width="7" height="1.5" fill="var(--stroke)"/></pattern>
<pattern id="p-i" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="1.5" height="6" fill="var(--warn)"/></pattern></defs>`;

function tracks() {
  const all = [];
  RUNS.forEach((run, side) => {
    const state = stateAt(chosen, side), mark = PAIRED ? 'AB'[side] + ' ' : '';
    all.push({ label: mark + 'CPU', map: state.cpu });
    state.smmu.forEach((map, n) => {
      all.push({ label: mark + 'vs SMMU', left: state.cpu, right: map });
      all.push({ label: mark + 'SMMU' + (state.smmu.length > 1 ? ' ' + n : ''), map });
    });
    all.push({ label: mark + 'owner', map: state.page });
  });
  if (PAIRED) {
    const [one, other] = RUNS.map((_, side) => stateAt(chosen, side));
    all.push({ label: 'A vs B', both: [[one.cpu, other.cpu, 'CPU'], ...one.smmu.map((map, n) => [map, other.smmu[n] || [], 'SMMU']), [one.page, other.page, 'owner']] });
  }
  return all;
}
// Where the two recordings differ, and on which side.
const between = ([one, other, label], from, to) => overlay(one, other, from, to).filter(([, , a, b]) => (a && a[2]) !== (b && b[2])).map(([from, to]) => [from, to, 'd-bad', '≠ ' + label]);
const thin = (track) => track.left || track.both;
const xOf = (frame, width) => GUTTER + (frame - view.from) / (view.to - view.from) * (width - GUTTER);
// A rectangle at least two pixels wide; of those that fall onto the same pixels and look alike only the first.
function boxes(svg, pieces, y, high, width) {
  let last = null;
  for (const [from, to, cls, label] of pieces) {
    const left = Math.max(GUTTER, xOf(from, width)), right = Math.min(width, Math.max(xOf(to, width), xOf(from, width) + 3));
    if (last && last.cls === cls && right <= last.right + 0.5) continue;
    last = { cls, right };
    svg.append(draw('rect', { x: left, y, width: Math.max(0, right - left), height: high, class: cls, stroke: 'var(--edge)', 'stroke-width': right - left > 6 ? 1 : 0, 'data-from': from, 'data-to': to }));
    if (label && right - left > label.length * (cls === 'd-bad' ? 8.6 : 7.4) + 8) svg.append(draw('text', { x: left + 6, y: y + high / 2 + 4, 'pointer-events': 'none', class: cls === 'd-bad' ? 'on-bad' : cls === 'k-m' || cls === 'k-o' ? 'on' : 'on halo' }, label));
  }
}
function lanes() {
  const host = $('lanes'), width = Math.max(300, host.clientWidth), all = tracks(), top = 18;
  const place = [];
  let y = top;
  for (const track of all) { place.push(y); y += thin(track) ? 20 : STEP; }
  const svg = draw('svg', { viewBox: `0 0 ${width} ${y}`, height: y, role: 'img', 'aria-label': 'CPU and SMMU from ' + frames(view.from, view.to) });
  svg.innerHTML = PATTERNS;
  for (const [label, base, bytes] of regions()) {
    const left = xOf(base / 4096, width), right = xOf((base + bytes) / 4096, width);
    if (right < GUTTER || left > width) continue;
    if (left >= GUTTER) svg.append(draw('path', { d: `M${left} ${top - 4}V${y - 4}`, stroke: 'var(--soft)', 'stroke-dasharray': '2 3', 'stroke-width': 1 }));
    if (right - Math.max(left, GUTTER) > label.length * 7 + 6) svg.append(draw('text', { x: Math.max(left, GUTTER) + 3, y: 11, class: 's' }, label));
  }
  all.forEach((track, n) => {
    const high = thin(track) ? 12 : HIGH;
    svg.append(draw('text', { x: 0, y: place[n] + high / 2 + 4, class: thin(track) ? 's' : '' }, track.left ? '≠ differs' : track.both ? '≠ A, B' : track.label));
    if (track.both) {
      boxes(svg, track.both.flatMap((pair) => between(pair, view.from, view.to)).sort((a, b) => a[0] - b[0]), place[n], high, width);
      return;
    }
    if (track.left) {
      const pieces = overlay(track.left, track.right, view.from, view.to).flatMap(([from, to, a, b]) => {
        const told = verdict(a, b);
        return told ? [[from, to, 'd-' + told[0], told[0] === 'bad' ? '≠' : '']] : [];
      });
      boxes(svg, pieces, place[n], high, width);
    } else {
      svg.append(draw('rect', { x: GUTTER, y: place[n], width: width - GUTTER, height: high, fill: 'none', stroke: 'var(--line)' }));
      const pieces = [];
      for (let i = firstEndingAfter(track.map, view.from); i < track.map.length && track.map[i][0] < view.to; i++) {
        const [from, to, number] = track.map[i];
        pieces.push([from, to, 'k-' + VALUES[number][1], VALUES[number][0]]);
      }
      boxes(svg, pieces, place[n], high, width);
    }
  });
  for (const { found } of findingsOf(chosen)) {
    if (found.page === null) continue;
    const x = xOf(found.page / 4096 + 0.5, width);
    if (x >= GUTTER && x <= width) svg.append(draw('path', { d: `M${x} ${top - 4}V${y - 8}`, stroke: 'var(--bad)', 'stroke-width': 1.5 }), draw('text', { x, y: 11, 'text-anchor': 'middle', style: 'fill:var(--bad)' }, '▲'));
  }
  svg.append(draw('path', { id: 'cross', stroke: 'var(--accent)', 'stroke-width': 1, 'pointer-events': 'none' }));
  host.replaceChildren(svg);
  if (pointer !== null) cross(pointer);
  $('window').textContent = frames(view.from, view.to) + ', ' + size((view.to - view.from) * 4096);
  ranges(all);
}
const frameAt = (event) => {
  const box = $('lanes').getBoundingClientRect();
  return Math.floor(view.from + (event.clientX - box.left - GUTTER) / (box.width - GUTTER) * (view.to - view.from));
};
function told(frame) {
  const lines = [name(frame * 4096)];
  for (const track of tracks()) {
    if (track.left) {
      const differs = verdict(at(track.left, frame), at(track.right, frame));
      if (differs) lines.push('≠ ' + differs[1]);
      continue;
    }
    if (track.both) {
      for (const [one, other, label] of track.both) if ((at(one, frame) || [])[2] !== (at(other, frame) || [])[2]) lines.push('≠ A and B: ' + label);
      continue;
    }
    const run = at(track.map, frame);
    lines.push(track.label.padEnd(8) + ' ' + value(run) + (run ? '   ' + frames(run[0], run[1]) : ''));
  }
  return lines;
}
function tip(event, lines) {
  const node = $('tip');
  node.textContent = lines.join('\n');
  node.hidden = false;
  node.style.left = Math.min(event.clientX + 14, innerWidth - node.offsetWidth - 8) + 'px';
  node.style.top = Math.min(event.clientY + 16, innerHeight - node.offsetHeight - 8) + 'px';
}
// The keyboard's pointer: the next or previous place in the window where something begins.
let pointer = null;
function point(by) {
  const places = new Set();
  for (const track of tracks()) for (const map of track.map ? [track.map] : [])
    for (let i = firstEndingAfter(map, view.from); i < map.length && map[i][0] < view.to; i++) for (const at of [map[i][0], map[i][1]]) if (at >= view.from && at < view.to) places.add(at);
  const sorted = [...new Set([view.from, ...places])].sort((a, b) => a - b), here = pointer === null ? view.from - 1 : pointer;
  const next = by > 0 ? sorted.find((at) => at > here) : sorted.filter((at) => at < here).pop();
  if (next === undefined) return;
  pointer = next;
  cross(pointer);
  $('probe').replaceChildren(make('pre', { class: 'mono' }, told(pointer).join('\n')));
}
function cross(frame) {
  const x = xOf(frame + 0.5, $('lanes').clientWidth);
  if ($('cross')) $('cross').setAttribute('d', `M${x} 14V2000`);
}
function look(from, to) {
  const last = RUNS[0].limit / 4096, wide = Math.min(last, Math.max(8, Math.round(to - from)));
  const first = Math.max(0, Math.min(last - wide, Math.round(from)));
  view = { from: first, to: first + wide };
  if (pointer !== null && (pointer < view.from || pointer >= view.to)) pointer = null;
  lanes();
}
function zoom(factor, around) {
  const middle = around === undefined ? (view.from + view.to) / 2 : around;
  look(middle - (middle - view.from) * factor, middle + (view.to - middle) * factor);
}
const move = (part) => look(view.from + part * (view.to - view.from), view.to + part * (view.to - view.from));
function lookAtRegion(label) {
  const region = regions().find(([name]) => name === label);
  if (region) look(region[1] / 4096, (region[1] + region[2]) / 4096); else look(0, RUNS[0].limit / 4096);
}
const memory = () => look(...[0, 1].map((end) => Math.round((regions().find(([name]) => name === 'ram')[1] + end * regions().find(([name]) => name === 'ram')[2]) / 4096)));
// The smallest changes, and what was found, with room around; large blocks that were split are left aside.
function lookAtChanges() {
  let from = Infinity, to = 0, smallest = Infinity;
  const spans = findingsOf(chosen).filter(({ found }) => found.page !== null).map(({ found }) => [found.page / 4096, found.page / 4096 + 1]);
  RUNS.forEach((_, side) => {
    const op = opOf(chosen, side);
    for (let n = 0; op && n < op.changes.length; n += 5) if (op.changes[n] !== STE) spans.push([op.changes[n + 2], op.changes[n + 2] + op.changes[n + 3]]);
  });
  for (const [a, b] of spans) smallest = Math.min(smallest, b - a);
  for (const [a, b] of spans) if (b - a <= smallest * 16) { from = Math.min(from, a); to = Math.max(to, b); }
  if (to === 0) return false;
  const room = Math.max(6, (to - from) * 2);
  look(from - room, to + room);
  return true;
}
function watchLanes() {
  const host = $('lanes');
  let drag = null;
  host.addEventListener('wheel', (event) => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.3 : 1 / 1.3, frameAt(event)); }, { passive: false });
  host.addEventListener('pointerdown', (event) => { drag = { x: event.clientX, ...view }; });
  addEventListener('pointerup', (event) => {
    if (drag && Math.abs(event.clientX - drag.x) < 4) $('probe').replaceChildren(make('pre', { class: 'mono' }, told(frameAt(event)).join('\n')));
    drag = null;
  });
  host.addEventListener('pointermove', (event) => {
    if (drag && event.buttons && Math.abs(event.clientX - drag.x) > 3) {
      const by = (drag.x - event.clientX) / (host.clientWidth - GUTTER) * (drag.to - drag.from);
      return look(drag.from + by, drag.to + by);
    }
    const frame = frameAt(event);
    if (frame < view.from) { $('tip').hidden = true; return; }
    cross(frame);
    tip(event, told(frame));
  });
  host.addEventListener('pointerleave', () => { $('tip').hidden = true; });
  fill('region', make('option', { value: '' }, 'everything'), ...regions().map(([name]) => make('option', { value: name }, name)));
  $('region').addEventListener('change', (event) => lookAtRegion(event.target.value));
  $('fit').addEventListener('click', lookAtChanges);
  $('in').addEventListener('click', () => zoom(1 / 2));
  $('out').addEventListener('click', () => zoom(2));
  const sample = (cls, text) => { const icon = draw('svg', { viewBox: '0 0 22 13' }); icon.append(draw('rect', { width: 22, height: 13, class: cls, stroke: 'var(--edge)' })); return make('span', {}, icon, text); };
  fill('legend', sample('k-m', 'mapped, memory; host owns'), sample('k-d', 'mapped, device'), sample('k-h', "the hypervisor's"), sample('k-g', "a guest's, or nobody's"),
    sample('k-s', 'shared'), sample('k-x', 'malformed'), sample('d-bad', PAIRED ? '≠ device has more; A and B differ' : '≠ device has more'), sample('d-info', 'device has less, or another type'), make('span', {}, 'blank: no entry'));
}
