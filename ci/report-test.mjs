// Opens a report in a real headless browser, through a pipe and without any package, and checks it against what
// `parallax dump` and the recording say. Called by ci/report-test: BROWSER HTML EXPECTED.json [FOLDER FOR PICTURES]
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const [browserPath, page, expectedPath, pictures] = process.argv.slice(2);
const expected = JSON.parse(readFileSync(expectedPath));
const profile = mkdtempSync(join(tmpdir(), 'parallax-browser-'));
const browser = spawn(browserPath, ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--remote-debugging-pipe',
  '--user-data-dir=' + profile, '--window-size=1440,1000', 'about:blank'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
const waiting = new Map(), problems = [];
let next = 1, session, buffer = '';

browser.stdio[4].on('data', (bytes) => {
  buffer += bytes;
  const parts = buffer.split('\0');
  buffer = parts.pop();
  for (const part of parts) {
    const message = JSON.parse(part);
    if (message.id) { waiting.get(message.id)(message); waiting.delete(message.id); continue; }
    const { method, params } = message;
    if (method === 'Runtime.exceptionThrown') problems.push('exception: ' + JSON.stringify(params.exceptionDetails.exception || params));
    if (method === 'Runtime.consoleAPICalled' && params.type !== 'log') problems.push('console: ' + JSON.stringify(params.args));
    if (method === 'Log.entryAdded' && params.entry.level === 'error') problems.push('log: ' + params.entry.text);
    if (method === 'Network.requestWillBeSent' && !/^(file:.*\.html|data:|blob:)/.test(params.request.url)) problems.push('request: ' + params.request.url);
  }
});
const send = (method, params = {}) => new Promise((done, fail) => {
  const id = next++;
  waiting.set(id, (message) => message.error ? fail(new Error(method + ': ' + message.error.message)) : done(message.result));
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId: session }) + '\0');
});
async function look(expression) {
  const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, returnByValue: true });
  if (exceptionDetails) throw new Error(expression + ': ' + exceptionDetails.text);
  return result.value;
}
async function until(expression) {
  for (let n = 0; n < 500; n++) {
    // While a page is being loaded its predecessor cannot answer.
    if (await look(expression).catch(() => false)) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error('never: ' + expression);
}
async function key(key) {
  const text = key.length === 1 ? key : undefined;
  await send('Input.dispatchKeyEvent', { type: 'keyDown', key, text });
  await send('Input.dispatchKeyEvent', { type: 'keyUp', key });
}
const text = (id) => look(`document.getElementById(${JSON.stringify(id)}).innerText`);
function same(what, found, wanted) {
  if (found !== wanted) problems.push(`${what}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
}
function holds(what, found, wanted) {
  if (!found.includes(wanted)) problems.push(`${what}: ${JSON.stringify(found)} does not hold ${JSON.stringify(wanted)}`);
}
async function picture(name, clip) {
  if (!pictures) return;
  const { data } = await send('Page.captureScreenshot', { format: 'png', ...(clip ? { clip } : {}) });
  writeFileSync(join(pictures, name), Buffer.from(data, 'base64'));
}

let status = 0;
try {
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
  session = (await send('Target.attachToTarget', { targetId, flatten: true })).sessionId;
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(domain + '.enable');
  await send('Emulation.setDeviceMetricsOverride', { width: 1440, height: 1000, deviceScaleFactor: 1, mobile: false });
  await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: 'light' }] });
  const begin = performance.now();
  await send('Page.navigate', { url: 'file://' + resolve(page) });
  await until("document.documentElement.dataset.ready === 'yes'");
  const ready = performance.now() - begin;
  console.log(`interactive after ${Math.round(ready)} ms`);
  if (ready > (expected.limit_ms || 2000)) problems.push(`interactive after ${Math.round(ready)} ms`);
  await picture('report-light.png');

  await key('Home');
  same('title of the boot', await text('title'), 'boot');
  for (const op of expected.ops || []) {
    await key('j');
    holds(`title of line ${op.line}`, await text('title'), `${op.line}: ${op.text}`);
    holds(`result of line ${op.line}`, await text('title'), op.result);
    same(`findings of line ${op.line}`, await look("document.querySelectorAll('.finding').length"), op.findings.length);
    const told = await text('findings');
    for (const finding of op.findings) holds(`finding of line ${op.line}`, told.replace(/\s+/g, ' '), finding.split(' ').slice(1).join(' ').slice(0, 60));
    if (op.findings.length) for (const label of ['operation', 'page', 'cpu', 'smmu', 'reproduce']) holds('a finding', told, label);
    for (const line of op.holds || []) holds(`changes of line ${op.line}`, await text('changes'), line);
  }
  const window = await text('window');
  await key('+');
  if (await text('window') === window) problems.push('+ does not zoom');
  await key('0');
  await key('/');
  for (const letter of 'donate') await key(letter);
  holds('the search', await text('count'), ' of ');
  await key('Escape');
  await key('?');
  same('help by ?', await look("document.getElementById('keys').open"), true);
  await look("document.getElementById('keys').close()");
  await key('t');
  same('the theme by t', await look('document.documentElement.dataset.theme'), 'dark');
  await key('End'); await key('p');
  if (expected.ops) await picture('report-dark.png');
} catch (error) {
  problems.push(String(error));
} finally {
  browser.kill('SIGKILL');
  await new Promise((done) => browser.once('exit', done));
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
for (const problem of problems) { console.error('report-test: ' + problem); status = 1; }
process.exit(status);
