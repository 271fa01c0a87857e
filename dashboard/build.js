// Bundles src/ into the folder that is its argument: three files, none of which asks
// another host for anything.
import { build } from 'esbuild';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const folder = process.argv[2] ?? 'built';
const most = 150_000; // bytes, gzipped, of everything that a browser loads
await mkdir(folder, { recursive: true });
await build({
  entryPoints: { dashboard: 'src/main.tsx' },
  bundle: true, minify: true, format: 'esm', target: 'es2022', charset: 'utf8',
  jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'eof', outdir: folder,
});
await copyFile('src/index.html', `${folder}/index.html`);
await copyFile('src/icon.svg', `${folder}/icon.svg`);
let sum = 0;
for (const name of ['index.html', 'dashboard.js', 'dashboard.css', 'icon.svg'])
  sum += gzipSync(await readFile(`${folder}/${name}`)).length;
await writeFile(`${folder}/size`, `${sum}\n`);
if (sum > most) {
  console.error(`the dashboard has ${sum} bytes gzipped, more than ${most}`);
  process.exit(1);
}
