/**
 * How the thread of a processor loads its files: types are stripped from TypeScript, and what is imported by a
 * relative path lies in the model's folder, as its digest covers nothing else. Runs as module hooks of that thread.
 */
import { readFile } from 'node:fs/promises';
import { extname, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import swc from '@swc/wasm-typescript';

interface Source {
  readonly format: string | null | undefined;
  readonly source?: string | ArrayBuffer | NodeJS.TypedArray | undefined;
  readonly shortCircuit?: boolean | undefined;
}

interface Resolved {
  readonly url: string;
  readonly format?: string | null | undefined;
}

/** The parts of Node's module hooks that are used here. */
type Resolve = (
  specifier: string,
  context: { readonly parentURL?: string | undefined },
  next: (specifier: string) => Promise<Resolved>,
) => Promise<Resolved>;
type Load = (
  url: string,
  context: unknown,
  next: (url: string) => Promise<Source>,
) => Promise<Source>;

/** With a separator at its end; links resolved. */
let folder = '';

export function initialize(data: { readonly folder: string }): void {
  folder = `${data.folder}${sep}`;
}

export const resolve: Resolve = async (specifier, { parentURL }, next) => {
  const isOfModel = parentURL !== undefined && isInFolder(parentURL);
  if (!isOfModel) return next(specifier);
  const importer = fileURLToPath(parentURL);
  if (specifier === 'inferry/processor') {
    throw new Error(`${importer}: "inferry/processor" has types only: write "import type"`);
  }
  const resolved = await next(specifier);
  const isPath = /^(?:\.|\/|file:)/u.test(specifier);
  if (isPath && !isInFolder(resolved.url)) {
    throw new Error(`${importer}: "${specifier}" is outside of the model's folder`);
  }
  return resolved;
};

export const load: Load = async (url, _context, next) => {
  if (!isInFolder(url)) return next(url);
  const file = fileURLToPath(url);
  const isTypeScript = ['.ts', '.mts'].includes(extname(file));
  if (!isTypeScript && !['.js', '.mjs'].includes(extname(file))) return next(url);
  const text = await readFile(file, 'utf8');
  // JavaScript is run as it is; it is read by the same parser because Node does not tell the line of an error.
  const stripped = strip(file, text);
  return { format: 'module', source: isTypeScript ? stripped : text, shortCircuit: true };
};

/** Types give way to blanks, so that lines and columns stay. Throws with the file, the line and the reason. */
function strip(file: string, text: string): string {
  try {
    return swc.transformSync(text, { filename: file, mode: 'strip-only', module: true }).code;
  } catch (cause) {
    const { message, startLine } = cause as {
      readonly message: string;
      readonly startLine?: number;
    };
    throw new SyntaxError(`${file}:${startLine ?? 1}: ${message}`, { cause });
  }
}

function isInFolder(url: string): boolean {
  if (!url.startsWith('file:')) return false;
  const path = fileURLToPath(url);
  const inFolder = path.slice(folder.length - sep.length);
  return path.startsWith(folder) && !inFolder.includes(`${sep}node_modules${sep}`);
}
