// Makes of a recording one whose texts are hostile: elements, the end of a script, control characters. FROM TO
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

const [from, to] = process.argv.slice(2);
const EVIL = '</script><script>window.owned = 1</script><img id=hostile src=x onerror="window.owned = 2">\u001b[2J\u202e\n/*DATA*//*PROGRAM*/';
const lines = execFileSync('zstd', ['-dc', from], { encoding: 'utf8', maxBuffer: 1 << 28 }).trimEnd().split('\n').map((line) => JSON.parse(line));
lines[0].revision = EVIL;
lines[0].machine.qemu_version = EVIL;
for (const line of lines.slice(1, -1)) {
  if (line.line) line.text += ' ' + EVIL;
  const at = ['0x44000000', '0x44001000'];
  const finding = { rule: 'sync/extra', space: 'smmu', span: at, subject: EVIL, message: EVIL, function: EVIL, page: at, views: [['cpu', EVIL], ['smmu', EVIL]] };
  line.findings = [finding, { ...finding, space: 'regs', page: undefined }];
}
for (const site of Object.values(lines.at(-1).sites || {})) for (const key of Object.keys(site)) site[key] = EVIL;
// A recording is a frame for its head, one for each 64 operations, and one for its end.
const frame = (part) => execFileSync('zstd', ['-qc'], { input: part.map((line) => JSON.stringify(line) + '\n').join('') });
writeFileSync(to, Buffer.concat([frame(lines.slice(0, 1)), frame(lines.slice(1, -1)), frame(lines.slice(-1))]));
