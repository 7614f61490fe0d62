// What a report must show and do. `expected`: operations (line, text, result, findings), what differs in a comparison.
// Once one of the problems is `wanted`, no more is looked at.
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { looks, watch } from './problems.mjs';

export const LIMITS = { bytes: 20 * 1024 * 1024, milliseconds: 2000 };
const VIEWS = ['time', 'list', 'title', 'lanes', 'legend', 'changes', 'events', 'ranges', 'owners', 'streams', 'attributes'];

export async function check(browser, page, expected = {}, pictures = null, wanted = null) {
  const { problems, same, holds } = watch(browser);
  const { key, look, until } = browser;
  const text = (id) => look(`document.getElementById(${JSON.stringify(id)}).innerText`);
  const shot = (name) => pictures ? browser.picture(join(pictures, name)) : null;
  const enough = () => wanted && problems.some((problem) => wanted.test(problem));
  let milliseconds;
  const bytes = statSync(page).size;
  if (bytes >= LIMITS.bytes) problems.push(`${bytes} bytes, not below ${LIMITS.bytes}`);
  try {
    await browser.prefer('light');
    const begin = performance.now();
    await browser.send('Page.navigate', { url: 'file://' + resolve(page) });
    await until("document.documentElement.dataset.ready === 'yes'");
    milliseconds = Math.round(performance.now() - begin);
    if (milliseconds > LIMITS.milliseconds) problems.push(`interactive after ${milliseconds} ms, not within ${LIMITS.milliseconds}`);
    for (const id of VIEWS) if (!await look(`(() => { const node = document.getElementById('${id}'); return !!node && node.checkVisibility() && node.getBoundingClientRect().height > 0 && node.innerHTML !== ''; })()`)) problems.push(`view ${id} is missing`);
    if (expected.verdict) {
      holds('the verdict', (await text('about')).replace(/\s+/g, ' '), expected.verdict);
      for (const [end, count] of Object.entries(expected.ends || {})) same(`${end} operations in the time line`, await look(`(document.querySelector('#time .bar-${end}')?.getAttribute('d').match(/M/g) || []).length`), count);
    }
    if (enough()) return { problems };
    for (const [name, width] of Object.entries({ '1280': 1280, '1920': 1920, '800': 800 })) {
      await browser.size(width, 900);
      for (const scheme of ['light', 'dark']) { await look(`document.documentElement.dataset.theme !== '${scheme}' && document.getElementById('theme').click()`); await looks(browser, problems, `${name} px, ${scheme}`); }
    }
    await look("document.getElementById('theme').click()");
    if (enough()) return { problems };
    await browser.size(1440, 1000);
    // A device that reaches more than the CPU is marked between the lanes.
    if (expected.bad && !await look("!!document.querySelector('#lanes rect.d-bad') && document.getElementById('lanes').textContent.includes('≠')")) problems.push('no difference is marked between the lanes');
    if (expected.name === 'report-finding') await look("document.querySelector('.finding details').open = true");
    if (expected.name) await shot(expected.name + '-light.png');
    await keys(browser, { same, holds, text, problems, expected });
    await mouse(browser, { holds, text, problems });
    if (expected.ops) await operations(browser, { same, holds, text, expected });
    if (expected.differ) await differences(browser, { same, holds, text, expected });
    if (expected.missing) await firstScreen(browser, { problems, shot, expected });
    if (expected.safe) {
      same('a page of a hostile recording', await look('String(window.owned)'), 'undefined');
      same('elements of a hostile recording', await look("document.querySelectorAll('img, iframe, #hostile').length"), 0);
      if (/[\u0000-\u0008\u001b\u202e]/.test(await look('document.body.innerText'))) problems.push('control characters are shown as they are');
    }
    await key('t');
    if (expected.name) { await key('Home'); await key('n'); if (expected.name === 'report-finding') await look("document.querySelector('.finding details').open = true"); await shot(expected.name + '-dark.png'); }
  } catch (error) { problems.push(String(error)); }
  return { problems, milliseconds, bytes };
}
// What an order finding says is missing is read without scrolling, and the order is drawn: on a desk and on a phone, light and dark.
async function firstScreen(browser, { problems, shot, expected }) {
  const { key, look } = browser;
  const drawn = async (where) => {
    const rows = await look("[...document.querySelectorAll('#order svg text.row')].map((node) => node.textContent)");
    for (const row of ['stores', 'locks', 'barriers']) if (!rows.includes(row)) problems.push(`the order, ${where}: no row of ${row}`);
    if (!await look("!!document.querySelector('#order line.broke')")) problems.push(`the order, ${where}: no mark where the rule was broken`);
  };
  await key('Home'); await key('n');
  for (const [width, height] of [[1280, 800], [390, 844]]) {
    await browser.size(width, height);
    for (const scheme of ['light', 'dark']) {
      const where = `${width} px, ${scheme}`;
      await look(`document.documentElement.dataset.theme !== '${scheme}' && document.getElementById('theme').click()`);
      await look("document.querySelectorAll('main, body, html').forEach((node) => { node.scrollTop = 0; })");
      const seen = await look(`[...document.querySelectorAll('#brief .why')].filter((node) => node.checkVisibility() && node.getBoundingClientRect().top >= 0 && node.getBoundingClientRect().bottom <= innerHeight).map((node) => node.innerText).join('\\n')`);
      if (!seen.includes(expected.missing)) problems.push(`the first screen, ${where}: ${JSON.stringify(seen)} does not hold ${JSON.stringify(expected.missing)}`);
      await looks(browser, problems, where);
      await drawn(where);
      await shot(`report-order-${width}-${scheme}.png`);
    }
  }
  await look("document.documentElement.dataset.theme !== 'light' && document.getElementById('theme').click()");
  await browser.size(1440, 1000);
}
async function keys(browser, { same, holds, text, problems, expected }) {
  const { key, look } = browser;
  const hash = () => look('location.hash'), window_ = () => text('window');
  const changes = async (what, keys, see) => {
    const before = await see();
    for (const one of [keys].flat()) await key(one);
    if (await see() === before) problems.push(`key ${what} does nothing`);
  };
  await key('Home'); same('Home', await hash(), '#op=0');
  await changes('j', 'j', hash); await changes('k', 'k', hash); await changes('ArrowDown', 'ArrowDown', hash); await changes('ArrowUp', 'ArrowUp', hash); await changes('End', 'End', hash);
  if (expected.special) {
    await key('Home'); await changes('n', 'n', hash); await key('End'); await changes('p', 'p', hash);
    await changes('o', 'o', () => text('count')); await key('o');
  }
  await key('Home'); await key('j'); await key('0');
  await changes('+', '+', window_); await changes('d', 'd', window_); await changes('a', 'a', window_);
  await changes('ArrowRight', 'ArrowRight', window_); await changes('ArrowLeft', 'ArrowLeft', window_); await changes('-', '-', window_); await changes('+', '+', window_); await changes('0', '0', window_);
  await changes('.', ['.', '.'], () => text('probe')); holds('what . tells', await text('probe'), 'CPU'); await changes(',', ',', () => text('probe'));
  await key('r'); same('r', await look('document.activeElement.id'), 'region'); await key('Escape');
  await key('/'); await browser.type('donate'); await key('Enter');
  holds('the search', await text('count'), ' of '); holds('Enter in the search', await text('title'), 'donate');
  await look("document.getElementById('search').value = ''; document.getElementById('search').dispatchEvent(new Event('input'))");
  await key('?');
  same('help by ?', await look("document.getElementById('keys').open"), true);
  const listed = await look("[...document.querySelectorAll('#keys dt')].flatMap((node) => node.innerText.split(/[\\s()]+/)).filter(Boolean)");
  for (const one of ['j', 'k', '↓', '↑', 'n', 'p', 'Home', 'End', '+', '−', '0', '←', '→', 'a', 'd', 'f', '.', ',', 'r', 'o', 's', '/', 't', '?']) if (!listed.includes(one)) problems.push(`the help does not list ${one}`);
  await key('Escape');
  same('Escape in the help', await look("document.getElementById('keys').open"), false);
  await key('/');
  const seen = new Set();
  const reached = ['list', 'lanes', 'fit'], all = () => reached.every((id) => seen.has(id));
  for (let n = 0; n < 24 && !(n >= 12 && all()); n++) {
    await key('Tab');
    seen.add(await look("document.activeElement.id || document.activeElement.tagName"));
    if (await look("document.activeElement !== document.body && getComputedStyle(document.activeElement).outlineStyle === 'none'")) problems.push('focus is not seen on ' + [...seen].pop());
  }
  for (const id of reached) if (!seen.has(id)) problems.push(`Tab does not reach ${id}`);
  const theme = () => look('document.documentElement.dataset.theme');
  await changes('t', 't', theme); await key('t');
}
async function mouse(browser, { holds, text, problems }) {
  const { look } = browser;
  await browser.key('Home'); await browser.key('j');
  await browser.mouse('#lanes svg', 0.6, 0.25);
  holds('hovering over the lanes', await look("(() => { const tip = document.getElementById('tip'); return tip.hidden ? '' : tip.textContent; })()"), 'SMMU');
  const before = await text('window');
  await browser.mouse('#lanes svg', 0.6, 0.25, 'mouseWheel');
  await browser.until(`document.getElementById('window').innerText !== ${JSON.stringify(before)}`, 2).catch(() => problems.push('the wheel does not zoom'));
  await browser.mouse('#lanes svg', 0.6, 0.25, 'click');
  holds('a click on the lanes', await text('probe'), 'CPU');
  await browser.mouse('#owners canvas', 0.5, 0.5, 'click');
  holds('a click on the ownership map', await text('window'), 'ram+');
  await browser.mouse('#time svg', 0.99, 0.5, 'click');
  const [chosen, last] = [Number((await look('location.hash')).slice(4)), Number((await look("document.querySelector('#time svg').getAttribute('aria-label')")).split(' ')[0])];
  if (!(chosen >= Math.floor(0.98 * last))) problems.push(`a click on the time line chooses operation ${chosen} of ${last}`);
}
async function operations(browser, { same, holds, text, expected }) {
  const { key, look } = browser;
  await key('Home');
  same('title of the boot', await text('title'), 'boot');
  for (const op of expected.ops) {
    await key('j');
    holds(`title of line ${op.line}`, await text('title'), `${op.line}: ${op.text}`);
    holds(`result of line ${op.line}`, await text('title'), op.result);
    same(`findings of line ${op.line}`, await look("document.querySelectorAll('.finding').length"), op.findings.length);
    const told = (await text('findings')).replace(/\s+/g, ' ');
    for (const finding of op.findings) holds(`finding of line ${op.line}`, told, finding.split(' ').slice(1).join(' ').slice(0, 60));
    if (op.findings.length) for (const label of ['operation', 'page', 'cpu', 'smmu', 'owner', 'reproduce', 'explain', 'how it came']) holds('a finding', told, label);
    for (const line of op.holds || []) holds(`changes of line ${op.line}`, await text('changes'), line);
    for (const line of op.story || []) holds(`story of line ${op.line}`, await look("[...document.querySelectorAll('.finding pre')].map((node) => node.textContent).join('\\n')"), line);
  }
}
async function differences(browser, { same, holds, text, expected }) {
  const { key, look } = browser;
  await key('Home');
  const found = [];
  for (let n = 0; n < expected.steps; n++) {
    if (n) await key('j');
    const marked = await look("document.querySelector('#list [aria-selected=true]').innerText.includes('≠')"), facts = await text('facts');
    if (marked !== facts.includes('≠')) found.push('list and facts do not agree');
    if (marked) found.push([(await text('title')).split(':')[0], /≠ (.*)/.exec(facts)[1]].join(' '));
    else holds('facts of an equal operation', facts, 'did the same here');
  }
  same('what differs', JSON.stringify(found), JSON.stringify(expected.differ));
  if (!expected.differ.length) holds('the count of equal recordings', await text('count'), 'the same in all of them');
  else holds('the count', await text('count'), expected.differ.length + ' differ');
}
// The trace that the page lets one save; `folder` is where the browser puts it.
export async function save(browser, page, folder, name) {
  await browser.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
  await browser.send('Page.navigate', { url: 'file://' + resolve(page) });
  await browser.until("document.documentElement.dataset.ready === 'yes'");
  await browser.key('s');
  for (let n = 0; n < 300; n++) {
    try { return readFileSync(join(folder, name), 'utf8'); } catch { await new Promise((done) => setTimeout(done, 10)); }
  }
  throw new Error(`${name} was not saved`);
}
