// The page of the nights, made of the history of twelve of them in nights.jsonl.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { looks, watch } from './problems.mjs';

export async function night(browser, page, pictures) {
  const { problems, holds, same } = watch(browser);
  try {
    await browser.send('Page.navigate', { url: 'file://' + resolve(page) });
    await browser.until("document.readyState === 'complete' && document.title.includes('night by night')");
    const text = await browser.look('document.body.innerText');
    for (const part of ['Night 12: ✗ not in order', '~ flaky', 'new', 'Faults that nothing caught', 'smmu_split_unordered', 'operations a second', 'lines reached, percent',
      '▼ 1 (-1.4 %) since the night before', 'What else is new since night 11', 'changed: faults caught: 73 -> 72', 'QEMU 10.0.2, 11.1.3', 'devices reach what the host\'s table gives to another <b>&', '… not at its end', '✓ in order',
      'parallax bisect --good v0.4-11-g05afaec --bad v0.4-12-g05afebd --mode stream --trace traces/good/four_cpus.trace', 'explored transitions, a few pages', 'The same operation on other kernels, this night']) holds('the page of the nights', text, part);
    same('curves', await browser.look("document.querySelectorAll('figure').length"), 15);
    same('curves of which one is cut off', await browser.look(`[...document.querySelectorAll('figure svg')].filter((svg) => { const [, , wide, tall] = svg.getAttribute('viewBox').split(' ').map(Number);
      return [...svg.querySelectorAll('text, circle')].some((node) => { const box = node.getBBox(); return box.x < 0 || box.y < 0 || box.x + box.width > wide || box.y + box.height > tall; }); }).length`), 0);
    same('points without a title', await browser.look("[...document.querySelectorAll('circle')].filter((point) => !/^night \\d+: /.test(point.textContent)).length"), 0);
    same('axes', await browser.look("[...document.querySelectorAll('figure svg')].filter((svg) => svg.querySelector('.axis') && svg.querySelectorAll('text').length >= 3).length"), 15);
    same('columns', await browser.look("[...document.querySelectorAll('figure')].filter((figure) => figure.querySelector('rect')).map((figure) => figure.querySelector('svg').getAttribute('aria-label')).join()"),
      'instructions of host_share_hyp pfn=ram+0x10000 => ok: hyp: 430; pkvm:6.12: 690; pkvm:7.0: 660; pkvm:7.1: 660; pkvm:7.2: 655; pkvm:7.3: 655');
    same('columns that are not as their numbers', await browser.look(`[...document.querySelectorAll('figure svg')].filter((svg) => svg.querySelector('rect')).filter((svg) => {
      const told = [...svg.getAttribute('aria-label').matchAll(/(hyp|pkvm:[0-9.]+): ([0-9,.]+)/g)].map(([, name, value]) => [name.replace('pkvm:', ''), value]);
      const number = (text) => Number(text.replaceAll(',', '')), most = Math.max(...told.map(([, value]) => number(value)));
      const rects = [...svg.querySelectorAll('rect')], texts = [...svg.querySelectorAll('text')], [, , wide, tall] = svg.getAttribute('viewBox').split(' ').map(Number);
      const highest = Math.max(...rects.map((rect) => rect.getBBox().height));
      return rects.length !== told.length || texts.length !== 2 * told.length || highest < tall / 2 || told.some(([name, value], index) => {
        const box = rects[index].getBBox(), middle = box.x + box.width / 2, [shown, below] = [texts[2 * index], texts[2 * index + 1]];
        return shown.textContent !== value || below.textContent !== name || [shown, below].some((text) => Math.abs(text.getBBox().x + text.getBBox().width / 2 - middle) > 2) ||
          Math.abs(box.height / highest - number(value) / most) > 0.02 || box.x < 0 || box.y < 0 || box.x + box.width > wide || box.y + box.height > tall;
      });
    }).length`), 0);
    same('nights', await browser.look("document.querySelector('section:last-of-type').querySelectorAll('tbody tr').length"), 12);
    for (const scheme of ['light', 'dark']) {
      await browser.prefer(scheme);
      for (const width of [800, 1280, 1920]) { await browser.size(width, 900); await looks(browser, problems, `${width} px, ${scheme}`); }
      await browser.size(1280, 1000);
      if (pictures) await browser.picture(join(pictures, `nightly-${scheme}.png`));
    }
    await browser.size(1440, 1000);
  } catch (error) { problems.push(String(error)); }
  return problems.map((problem) => 'nights: ' + problem);
}
// The same with faults in the page: each must be found.
export async function plantedNights(browser, page) {
  const missed = [];
  for (const [what, from, to, wanted] of [
    ['a flaky run that is not marked', '~ flaky', 'in order', /flaky/],
    ['a fault that nothing caught and that is not told', 'smmu_split_unordered', '', /smmu_split_unordered/],
    ['what is new, not told', 'changed: faults caught', '', /changed: faults caught/],
    ['a QEMU that is not named', 'QEMU 10.0.2, 11.1.3', 'QEMU 10.0.2', /11\.1\.3/],
    ['a column of another height', 'height="80.0"', 'height="20.0"', /columns/],
    ['a column with another name', '>6.12</text>', '>7.3</text>', /columns/],
    ['a column left out', '<rect ', '<g ', /columns/],
    ['a curve left out', '<figure>', '<figure hidden>', /operations a second|curves/],
    ['a point without a value', '<title>night 11: 73</title>', '', /points without a title/],
    ['an axis left out', '<path class="axis"', '<path', /axes/],
    ['a commit that nobody is led to', 'parallax bisect --good', '', /parallax bisect/],
    ['a text as elements', '&lt;b&gt;&amp;', '<b>&', /<b>/],
  ]) {
    const text = readFileSync(page, 'utf8'), file = page.replace('index.html', 'planted.html');
    if (!text.includes(from)) throw new Error('nothing to plant at: ' + from);
    writeFileSync(file, text.replaceAll(from, to));
    if ((await night(browser, file, null)).some((problem) => wanted.test(problem))) console.log(`planted: ${what}: found`);
    else missed.push('planted and not found: ' + what);
  }
  return missed;
}
