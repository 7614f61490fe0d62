// Faults planted in pages: each must be found, or the checks check nothing.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check } from './page.mjs';

const head = (text) => (page) => page.replace('</title>', '</title>' + text);
const end = (text) => (page) => page.replace('</body>', text + '</body>');
const other = (from, to) => (page) => { if (!page.includes(from)) throw new Error('nothing to plant at: ' + from); return page.replaceAll(from, to); };
// Name, page, what is planted, what must be said.
const FAULTS = [
  ['an error on the console', 'stale', end('<script>console.error("planted")</script>'), /^console: .*planted/],
  ['an exception', 'stale', end('<script>setTimeout(() => { throw new Error("planted") })</script>'), /^exception: .*planted/s],
  ['a request', 'stale', (page) => end('<img src="http://127.0.0.1:9/planted.png" alt="">')(page.replace(/<meta http-equiv[^>]*>/, '')), /^request: http:.*planted/],
  ['a request that the policy stops', 'stale', end('<img src="http://127.0.0.1:9/planted.png" alt="">'), /^(log|request): .*planted/],
  ['a page of 20 MiB', 'stale', end('<!--' + ' '.repeat(20 << 20) + '-->'), /^\d+ bytes, not below/],
  ['a slow page', 'stale', head('<script>for (const end = performance.now() + 2100; performance.now() < end;);</script>'), /^interactive after/],
  ['a missing view', 'stale', head('<style>#streams { display: none }</style>'), /^view streams is missing/],
  ['a key that does nothing', 'stale', other("n: () => along(SPECIAL, 1)", 'n: () => {}'), /^key n does nothing/],
  ['an Escape that closes nothing', 'stale', other("$('keys').showModal()", "$('keys').show()"), /^Escape in the help/],
  ['a key that the help does not list', 'stale', other('<dt>r</dt>', '<dt></dt>'), /^the help does not list r/],
  ['focus that is not seen', 'stale', head('<style>:focus-visible { outline: none !important }</style>'), /^focus is not seen/],
  ['text without contrast', 'stale', other('--soft:#5b6573', '--soft:#a0a8b4'), /^contrast, .*light/],
  ['a view that runs out of the window', 'stale', head('<style>.pair { width: 2500px }</style>'), /^wider than the window/],
  ['a card that is cut off', 'stale', head('<style>.card { overflow: auto } main > * { flex-shrink: 1 !important }</style>'), /^cut off/],
  ['a button without a name', 'stale', other('aria-label="Zoom in">+', '>'), /^without a name/],
  ['a finding left out', 'stale', other('fill(\'findings\', ...nodes)', "fill('findings', ...nodes.slice(1))"), /^findings of line/],
  ['a story left out', 'stale', other('if (story.text !== null)', 'if (false)'), /^story of line/],
  ['what is missing, below the first screen', 'stale', head('<style>#brief { margin-top: 1000px !important }</style>'), /^the first screen, 1280 px/],
  ['what is missing, not seen on a phone', 'stale', head('<style>@media (max-width: 400px) { #brief .why { display: none } }</style>'), /^the first screen, 390 px/],
  ['a clean run without a verdict', 'clean', other("'✓ nothing found'", "''"), /^the verdict/],
  ['an aborted operation as one that was done', 'clean', other("? 'aborted' : 'refused'", "? 'ok' : 'ok'"), /^aborted operations|^the verdict/],
  ['an order without its barriers', 'stale', other("'locks', 'barriers'", "'locks', ''"), /^the order, .*barriers/],
  ['an order that marks nothing', 'stale', other('if (broke) drawing.append(', 'if (false) drawing.append('), /^the order, .*no mark/],
  ['a difference that is not marked', 'compare', other('a === null || b === null ? 8 : d', 'a === null || b === null ? 8 : 0'), /^what differs/],
  ['lanes that mark no difference', 'skipped', other("return ['bad', 'devices reach what the CPU may not']", 'return null'), /^no difference is marked/],
  ['hovering that tells nothing', 'stale', other('node.hidden = false;', ''), /^hovering/],
  ['a wheel that does not zoom', 'stale', other('zoom(event.deltaY > 0 ? 1.3 : 1 / 1.3, frameAt(event))', ''), /^the wheel/],
  ['a time line that cannot be clicked', 'stale', other("svg.addEventListener('click'", "svg.addEventListener('planted'"), /^a click on the time line/],
  ['texts as elements', 'hostile', other('  node.append(...children);', "  for (const child of children) if (typeof child === 'string') node.insertAdjacentHTML('beforeend', child); else node.append(child);"), /^(elements|a page) of a hostile recording|^log/],
];

export async function planted(browser, folder, expected) {
  const missed = [];
  for (const [name, page, plant, wanted] of FAULTS) {
    const file = join(folder, 'planted.html');
    writeFileSync(file, plant(readFileSync(join(folder, page + '.html'), 'utf8')));
    const { problems } = await check(browser, file, { ...expected[page], name: undefined }, null, wanted);
    if (problems.some((problem) => wanted.test(problem))) console.log(`planted: ${name}: found`);
    else missed.push(`planted and not found: ${name} (found: ${problems.slice(0, 2).join('; ') || 'nothing'})`);
  }
  return missed;
}
