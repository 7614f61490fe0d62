// The browser's part of `cargo xtask report-test`: BROWSER FOLDER PARALLAX [FOLDER FOR PICTURES]
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { start } from './browser.mjs';
import { night, plantedNights } from './night.mjs';
import { check, save } from './page.mjs';
import { planted } from './planted.mjs';
import { perfetto } from './perfetto.mjs';

const [path, folder, parallax, pictures] = process.argv.slice(2);
// If the task was killed, nobody waits for this and nobody removes the folder. The kernel tells it where setpriv is.
const parent = process.ppid;
let browser, leaving = false;
const leave = async () => {
  // What comes of pages that a browser shows no more says nothing.
  leaving = true;
  await browser?.end();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  process.exit(1);
};
process.on('SIGTERM', leave);
setInterval(() => { if (process.ppid !== parent) leave(); }, 500).unref();
const at = (name) => join(folder, name);
// What must be seen comes from the run and its golden, not from the recording.
function operations() {
  const found = JSON.parse(readFileSync(at('run.json'))).traces[0].findings;
  const lines = readFileSync('golden/bad/smmu_no_tlbi.snap', 'utf8').split('\n');
  const ops = lines.flatMap((line) => { const m = /^(\d+): (.*) -> (.*)$/.exec(line); return m ? [{ line: +m[1], text: m[2], result: m[3], findings: [] }] : []; });
  for (const one of found) ops.find((op) => op.line === one.line).findings.push(one.text);
  if (!found.length || !ops.length) throw new Error('nothing to compare with');
  const donate = ops.find((op) => op.text.startsWith('host_donate_hyp'));
  donate.holds = ['+ cpu ram+0x4000000..+0x4001000  annotated hyp'];
  // The same as `parallax explain` says.
  const told = execFileSync(parallax, ['explain', at('stale.plx'), '--op', String(donate.line), '--ipa', '0x44000000'], { encoding: 'utf8' });
  donate.story = told.split('\n').filter((line) => /^ {2}(was|now|by) |^then|nothing in this operation/.test(line));
  if (donate.story.length < 10 || !donate.story.some((line) => line.includes('nothing in this operation'))) throw new Error('no story to compare with');
  return ops;
}
const ops = operations();
const expected = {
  stale: { ops, special: true, name: 'report', verdict: '▲ findings after 2', missing: 'missing: CMD_TLBI_S2_IPA of it with VMID 0, CMD_SYNC consumed' },
  skipped: { special: true, name: 'report-finding', bad: true },
  // Without the fault the page is gone for devices (3), their access aborts (4), and it comes back (5).
  // Nothing is found; two loads and two stores are stopped by the tables.
  clean: { verdict: '✓ nothing found 11 operations: 7 ok, 4 aborted', ends: { ok: 7, aborted: 4, refused: 0 } },
  refused: { verdict: '1 refused', ends: { refused: 1 } },
  compare: { steps: 4, differ: ['3 state, findings', '4 result, findings', '5 state'], special: true, name: 'report-compare', bad: true },
  equal: { steps: ops.length + 1, differ: [], special: true },
  hostile: { safe: true },
  long: {},
};
const problems = [], begun = performance.now();
browser = await start(path, at('profile'));
try {
  for (const [name, wanted] of Object.entries(expected)) {
    const seen = await check(browser, at(name + '.html'), wanted, pictures);
    console.log(`${name}: ${seen.bytes} bytes, interactive after ${seen.milliseconds} ms`);
    problems.push(...seen.problems.map((problem) => `${name}: ${problem}`));
  }
  // What the page saves is performed and comes to the same.
  mkdirSync(at('saved'));
  const perform = async (name) => {
    await save(browser, at(name + '.html'), at('saved'), name + '.trace');
    const again = spawnSync(parallax, ['run', at(`saved/${name}.trace`), '--no-golden', '--format', 'json', '--record', at(`saved/${name}.plx`)], { encoding: 'utf8' });
    const same = spawnSync(parallax, ['diff', '--only', 'tables', '--only', 'results', '--only', 'events', '--only', 'counts', at(name + '.plx'), at(`saved/${name}.plx`)], { encoding: 'utf8' });
    if (again.status !== 0) problems.push(`the saved ${name}.trace is not in order: ${again.stdout}${again.stderr}`);
    if (same.status !== 0) problems.push(`the saved ${name}.trace does not come to the same: ${same.stdout}${same.stderr}`);
    return again.status === 0 ? JSON.parse(again.stdout).traces[0].findings.map((one) => one.text) : [];
  };
  const refound = await perform('stale');
  await perform('cpus');
  const lines = (trace) => ops.filter((op) => trace.split('\n')[op.line - 1] !== `${op.text} => ${op.result}`).map((op) => `saved trace, line ${op.line}: ${trace.split('\n')[op.line - 1]}`);
  problems.push(...lines(readFileSync(at('saved/stale.trace'), 'utf8')));
  mkdirSync(at('planted'));
  const whole = readFileSync(at('stale.html'), 'utf8'), results = "' => ' + TEXTS[op.result]";
  if (!whole.includes(results)) throw new Error('nothing to plant at: ' + results);
  writeFileSync(at('planted.html'), whole.replace(results, "''"));
  if (lines(await save(browser, at('planted.html'), at('planted'), 'stale.trace')).length) console.log('planted: a saved trace without results: found');
  else problems.push('planted and not found: a saved trace without results');
  // What it expects is what came, so a wrong result is none any more; all else must be found again.
  const texts = (found) => JSON.stringify(found.filter((text) => !text.startsWith('result/')));
  if (texts(refound) !== texts(ops.flatMap((op) => op.findings))) problems.push('the saved trace does not find the same: ' + refound.join('; '));
  problems.push(...await night(browser, at('night/index.html'), pictures));
  problems.push(...await plantedNights(browser, at('night/index.html')));
  problems.push(...await perfetto(browser, folder, pictures));
  problems.push(...await planted(browser, folder, expected));
} catch (error) {
  problems.push(String(error.stack || error));
} finally {
  await browser.end();
}
// The one that ends the browser ends this, too.
if (leaving) await new Promise(() => {});
console.log(`${problems.length} problems, ${Math.round((performance.now() - begun) / 1000)} s in the browser`);
for (const problem of problems) console.error('report-test: ' + problem);
process.exit(problems.length ? 1 : 0);
