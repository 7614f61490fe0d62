// The page of the nights, made of a history of twelve of them.
import { join, resolve } from 'node:path';
import { looks, watch } from './problems.mjs';

export async function night(browser, page, pictures) {
  const { problems, holds, same } = watch(browser);
  try {
    await browser.send('Page.navigate', { url: 'file://' + resolve(page) });
    await browser.until("document.readyState === 'complete' && document.title.includes('night by night')");
    const text = await browser.look('document.body.innerText');
    for (const part of ['Night 12: ✗ not in order', '~ flaky', 'new', 'Faults that nothing caught', 'smmu_split_unordered', 'operations a second', 'lines reached, percent',
      '▼ 1 (-1.4 %) since the night before', 'devices reach what the host\'s table gives to another <b>&', '… not at its end', '✓ in order']) holds('the page of the nights', text, part);
    same('curves', await browser.look("document.querySelectorAll('figure').length"), 10);
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
