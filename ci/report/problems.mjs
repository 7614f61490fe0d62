// What is wrong with a page that is open: what the browser says of it, and what every page must hold.
export function watch(browser) {
  const problems = [];
  browser.hear((method, params) => {
    if (method === 'Runtime.exceptionThrown') problems.push('exception: ' + (params.exceptionDetails.exception?.description || params.exceptionDetails.text));
    if (method === 'Runtime.consoleAPICalled' && params.type !== 'log') problems.push('console: ' + JSON.stringify(params.args.map((arg) => arg.value)));
    if (method === 'Log.entryAdded' && params.entry.level === 'error') problems.push('log: ' + params.entry.text);
    if (method === 'Network.requestWillBeSent' && !/^(file:.*\.html|data:|blob:)/.test(params.request.url)) problems.push('request: ' + params.request.url);
  });
  return {
    problems,
    same(what, found, wanted) { if (found !== wanted) problems.push(`${what}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`); },
    holds(what, found, wanted) { if (!found.includes(wanted)) problems.push(`${what}: ${JSON.stringify(found)} does not hold ${JSON.stringify(wanted)}`); },
  };
}
// Texts with less contrast than WCAG 2 AA asks for (4.5, large text 3) against what is behind them.
const CONTRAST = `(() => {
  const parse = (text) => { const n = (text.match(/[\\d.]+/g) || []).map(Number); return n.length < 3 ? null : [...n.slice(0, 3), n[3] === undefined ? 1 : n[3]]; };
  const light = ([r, g, b]) => { const c = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
  const behind = (node) => { for (; node; node = node.parentElement) { const c = parse(getComputedStyle(node).backgroundColor); if (c && c[3] === 1) return c; } return parse(getComputedStyle(document.body).backgroundColor)?.[3] ? parse(getComputedStyle(document.body).backgroundColor) : matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1]; };
  const bad = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility() || ['SCRIPT', 'STYLE', 'OPTION', 'title'].includes(node.tagName)) continue;
    const style = getComputedStyle(node), svg = node instanceof SVGElement;
    // Text on a coloured box of a lane: its box is the one before it.
    let ground = behind(node);
    if (svg && node.previousElementSibling?.tagName === 'rect' && node.classList.contains('on')) ground = parse(getComputedStyle(node.previousElementSibling).fill) || ground;
    if (svg && node.classList.contains('on-bad')) ground = parse(getComputedStyle(node.previousElementSibling).fill) || ground;
    const ink = parse(svg ? style.fill : style.color);
    if (!ink) continue;
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) bad.add(ratio.toFixed(2) + ' ' + JSON.stringify(walker.currentNode.data.trim().slice(0, 40)));
  }
  return [...bad].slice(0, 5);
})()`;
// What runs out of the window sideways.
const WIDE = `(() => [...document.body.querySelectorAll('*')].filter((node) => node.checkVisibility() && !node.closest('svg, pre, .scroll, #list, #changes, #events, dialog, body > section table') && node.getBoundingClientRect().right > innerWidth + 1)
  .map((node) => node.tagName + '#' + node.id + '.' + node.className).slice(0, 5))()`;
// Cards that hide a part of what is in them.
const CLIPPED = `(() => [...document.querySelectorAll('.card, .finding, section')].filter((node) => node.checkVisibility() && node.clientHeight && node.scrollHeight > node.clientHeight + 2).map((node) => node.tagName + '.' + node.className).slice(0, 5))()`;
// Buttons, fields and pictures without a name.
const NAMELESS = `(() => [...document.querySelectorAll('button, select, input, [role=img], canvas, [tabindex="0"]:not(pre)')].filter((node) => node.checkVisibility() && !(node.getAttribute('aria-label') || node.textContent.trim())).map((node) => node.outerHTML.slice(0, 80)))()`;
export async function looks(browser, problems, where) {
  for (const [what, expression] of [['contrast', CONTRAST], ['wider than the window', WIDE], ['cut off', CLIPPED], ['without a name', NAMELESS]]) {
    const found = await browser.look(expression);
    if (found.length) problems.push(`${what}, ${where}: ${found.join('; ')}`);
  }
}
