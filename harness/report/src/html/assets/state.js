'use strict';
// What is where after an operation. A map is a sorted list of [from, to, value]; from and to are page frames
// (StreamIDs in the stream table), a value is a number of VALUES. Lists are changed, their elements never are.
const DATA = JSON.parse(document.getElementById('data').textContent);
const VALUES = DATA.values, TEXTS = DATA.texts, RUNS = DATA.runs;
const CPU = 0, SMMU = 1, PAGE = 2, STE = 3, KEYFRAME = 128;

function firstEndingAfter(map, at) {
  let low = 0, high = map.length;
  while (low < high) { const mid = (low + high) >> 1; if (map[mid][1] <= at) low = mid + 1; else high = mid; }
  return low;
}
function put(map, from, to, value) {
  let first = firstEndingAfter(map, from), behind = first;
  while (behind < map.length && map[behind][0] < to) behind++;
  const between = [];
  if (first < behind && map[first][0] < from) between.push([map[first][0], from, map[first][2]]);
  if (value >= 0) between.push([from, to, value]);
  if (first < behind && map[behind - 1][1] > to) between.push([to, map[behind - 1][1], map[behind - 1][2]]);
  // Neighbours of one value are one run.
  if (first > 0) between.unshift(map[--first]);
  if (behind < map.length) between.push(map[behind++]);
  const whole = [];
  for (const run of between) {
    const last = whole[whole.length - 1];
    if (last && last[1] === run[0] && last[2] === run[2]) whole[whole.length - 1] = [last[0], run[1], last[2]];
    else whole.push(run);
  }
  map.splice(first, behind - first, ...whole);
}
function at(map, frame) {
  const run = map[firstEndingAfter(map, frame)];
  return run && run[0] <= frame ? run : null;
}
const copy = (state) => ({ cpu: state.cpu.slice(), smmu: state.smmu.map((map) => map.slice()), page: state.page.slice(), ste: state.ste.slice() });
function apply(state, op) {
  for (let n = 0; n < op.changes.length; n += 5) {
    const [lane, table, from, size, value] = op.changes.slice(n, n + 5);
    while (lane === SMMU && state.smmu.length <= table) state.smmu.push([]);
    const map = lane === CPU ? state.cpu : lane === SMMU ? state.smmu[table] : lane === PAGE ? state.page : state.ste;
    put(map, from, from + size, value);
  }
}
class Replayed {
  constructor(run) {
    this.run = run;
    this.keyframes = [{ cpu: [], smmu: [], page: [], ste: [] }];
    this.done = -1; this.state = copy(this.keyframes[0]);
  }
  after(op) {
    if (op < this.done) {
      const frame = Math.floor(op / KEYFRAME);
      this.state = copy(this.keyframes[frame]); this.done = frame * KEYFRAME - 1;
    }
    while (this.done < op) {
      const next = this.done + 1;
      if (next % KEYFRAME === 0 && !this.keyframes[next / KEYFRAME]) this.keyframes[next / KEYFRAME] = copy(this.state);
      apply(this.state, this.run.ops[next]); this.done = next;
    }
    return this.state;
  }
}
const HISTORIES = RUNS.map((run) => new Replayed(run));
// What the page steps through: operations of the first recording, or pairs of both.
const PAIRED = RUNS.length === 2;
const STEPS = PAIRED ? DATA.pairs.map(([a, b, d]) => ({ ops: [a, b], differs: a === null || b === null ? 8 : d }))
  : RUNS[0].ops.map((_, n) => ({ ops: [n], differs: 0 }));
const opOf = (step, side) => STEPS[step].ops[side] === null ? null : RUNS[side].ops[STEPS[step].ops[side]];
const anyOp = (step) => opOf(step, 0) || opOf(step, 1);
const findingsOf = (step) => RUNS.flatMap((_, side) => ((opOf(step, side) || {}).findings || []).map((found) => ({ side, found })));
// How an operation ended: done, aborted (a load or store that the tables stopped) or refused (an error).
const endOf = (op) => { const result = TEXTS[op.result]; return !result || /^ok\b/.test(result) ? 'ok' : /^abort\b/.test(result) ? 'aborted' : 'refused'; };
// The state of a side after a step: of the last operation that it has there.
function stateAt(step, side) {
  let at = step;
  while (at > 0 && STEPS[at].ops[side] === null) at--;
  return HISTORIES[side].after(STEPS[at].ops[side] || 0);
}
