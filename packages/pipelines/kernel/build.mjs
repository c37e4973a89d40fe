/**
 * Compiles resize.ts with the pinned AssemblyScript compiler and writes the module, as text, to
 * src/image/kernel-binary.ts. With --check nothing is written: it ends with status 1 when the file is not
 * what the source compiles to.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const here = fileURLToPath(new URL('.', import.meta.url));
const target = new URL('../src/image/kernel-binary.ts', import.meta.url);

const options = ['resize.ts', '--baseDir', here, '--outFile', 'resize.wasm', '--noColors'];
const features = ['--enable', 'simd', '--runtime', 'stub', '--importMemory', '--use', 'abort='];
const { error, messages, binary } = await compile([...options, ...features, '-O3', '--noAssert']);
if (error !== null) throw new Error(`${error.message}\n${messages}`);

const lines = Buffer.from(binary)
  .toString('base64')
  .match(/.{1,92}/gu);
const text = `/** The resize kernel as WebAssembly, in base64. Written by kernel/build.mjs from kernel/resize.ts. */
export const kernelBinary =
${lines.map((line) => `  '${line}'`).join(' +\n')};
`;

if (!process.argv.includes('--check')) writeFileSync(target, text);
else if (readFileSync(target, 'utf8') !== text) {
  console.error(
    'src/image/kernel-binary.ts is not what kernel/resize.ts compiles to: run npm run build',
  );
  process.exitCode = 1;
}

async function compile(argv) {
  let messages = '';
  let module = new Uint8Array();
  const { error } = await asc.main(argv, {
    stderr: { write: (text) => (messages += text) },
    writeFile: (name, contents) => {
      if (name.endsWith('.wasm')) module = contents;
    },
  });
  return { error, messages, binary: module };
}
