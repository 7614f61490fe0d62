// A headless browser, through a pipe and without any package (Chrome DevTools Protocol).
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';

// How long the browser may take to answer, in seconds.
const PATIENCE = 30;

// `profile` is a folder of the caller, who removes it. The browser ends with this process, however that ends: its pipe
// is closed then.
export async function start(path, profile) {
  const child = spawn(path, ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--remote-debugging-pipe', '--user-data-dir=' + profile, '--window-size=1440,1000', 'about:blank'],
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const waiting = new Map(), heard = [];
  let next = 1, session, buffer = '';
  const ended = new Promise((done) => child.once('exit', done));
  const failed = new Promise((_, fail) => {
    child.once('error', fail);
    child.once('exit', (code) => fail(new Error(`the browser ended (${code})`)));
  });
  failed.catch(() => {});
  child.stdio[3].on('error', () => {});
  child.stdio[4].on('data', (bytes) => {
    buffer += bytes;
    const parts = buffer.split('\0');
    buffer = parts.pop();
    for (const part of parts) {
      const message = JSON.parse(part);
      if (!message.id) { for (const hear of heard) hear(message.method, message.params); continue; }
      waiting.get(message.id)?.(message);
      waiting.delete(message.id);
    }
  });
  // No answer is an answer, too: a page that hangs must not hold up the test.
  const send = (method, params = {}) => Promise.race([failed, new Promise((done, fail) => {
    const id = next++;
    const late = setTimeout(() => { waiting.delete(id); fail(new Error(`${method}: no answer for ${PATIENCE} s: ${params.expression ?? ''}`)); }, PATIENCE * 1000);
    waiting.set(id, (message) => { clearTimeout(late); message.error ? fail(new Error(method + ': ' + message.error.message)) : done(message.result); });
    child.stdio[3].write(JSON.stringify({ id, method, params, sessionId: session }) + '\0');
  })]);
  const browser = {
    send,
    hear: (listener) => heard.push(listener),
    // The value of an expression in the page; of a promise, what it comes to.
    async look(expression) {
      const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
      if (exceptionDetails) throw new Error(expression + ': ' + (exceptionDetails.exception?.description || exceptionDetails.text));
      return result.value;
    },
    async until(expression, seconds = 10) {
      const end = performance.now() + seconds * 1000;
      while (performance.now() < end) {
        // While a page is being loaded its predecessor cannot answer.
        if (await browser.look(expression).catch(() => false)) return;
        await new Promise((done) => setTimeout(done, 10));
      }
      throw new Error('never: ' + expression);
    },
    async key(key, modifiers = 0) {
      const text = key.length === 1 ? key : key === 'Enter' ? '\r' : undefined;
      const code = { Tab: 9, Enter: 13, Escape: 27, ' ': 32 }[key];
      await Promise.all(['keyDown', 'keyUp'].map((type) => send('Input.dispatchKeyEvent',
        { type, key, text: type === 'keyDown' ? text : undefined, modifiers, windowsVirtualKeyCode: code })));
    },
    // Moves the mouse to a part (0 to 1) of an element; what: mouseMoved, click or mouseWheel.
    async mouse(id, across, down, what = 'mouseMoved') {
      const at = await browser.look(`(() => { const node = document.querySelector(${JSON.stringify(id)}); node.scrollIntoView({ block: 'center' }); const b = node.getBoundingClientRect(); return { x: b.left + b.width * ${across}, y: b.top + b.height * ${down} }; })()`);
      const send_ = (type, more) => send('Input.dispatchMouseEvent', { type, ...at, ...more });
      if (what === 'mouseWheel') return send_(what, { deltaX: 0, deltaY: -120 });
      await send_('mouseMoved');
      if (what === 'click') for (const type of ['mousePressed', 'mouseReleased']) await send_(type, { button: 'left', clickCount: 1 });
    },
    async type(text) { for (const letter of text) await browser.key(letter); },
    size: (width, height) => send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false }),
    prefer: (scheme) => send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] }),
    async picture(file) {
      const { data } = await send('Page.captureScreenshot', { format: 'png' });
      writeFileSync(file, Buffer.from(data, 'base64'));
    },
    async end() {
      await Promise.race([send('Browser.close').catch(() => {}), ended]);
      const late = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(late);
    },
  };
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
  session = (await send('Target.attachToTarget', { targetId, flatten: true })).sessionId;
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(domain + '.enable');
  await browser.size(1440, 1000);
  return browser;
}
