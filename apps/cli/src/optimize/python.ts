/**
 * ONNX Runtime's tools for other precisions are Python; they run in a virtual environment that is made on
 * request, with pinned packages, and nowhere else.
 */
import { execFile } from 'node:child_process';
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { err, ok, type Result } from '@inferry/runtime';

export interface PythonOptions {
  readonly venv: string;
  /** Whether it may be made. */
  readonly install: boolean;
  readonly say: (line: string) => void;
}

/** Beside `src` and `dist` alike. */
const folder = fileURLToPath(new URL('../../python/', import.meta.url));
const requirements = join(folder, 'requirements.txt');
const script = join(folder, 'convert.py');

const minuteMs = 60_000;
const installMsMax = 30 * minuteMs;
const convertMsMax = 120 * minuteMs;
const outputBytesMax = 64 * 1024 * 1024;

/**
 * The path of the Python that has the packages. The error says what is missing and what would help; nothing
 * is installed unless that was asked for.
 */
export async function openPython({
  install,
  say,
  venv,
}: PythonOptions): Promise<Result<string, string>> {
  const python = join(venv, 'bin', 'python');
  const marker = join(venv, 'inferry-requirements.txt');
  const wanted = await readFile(requirements, 'utf8');
  const has = await readFile(marker, 'utf8').catch(() => null);
  if (has === wanted && (await isThere(python))) return ok(python);
  if (!install) {
    return err(
      `fp16 and int8 need Python packages that are not in ${venv}; --install makes it, with what ${requirements} lists`,
    );
  }
  say(`making ${venv}`);
  const made = await run('python3', ['-m', 'venv', venv], installMsMax);
  if (!made.ok) {
    return err(
      `python3 cannot make a virtual environment: ${made.error} (Python 3.11 or newer with venv and pip is needed; on Debian, python3-venv)`,
    );
  }
  say('installing onnx and onnxruntime');
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  const installed = await run(python, [...pip, '--requirement', requirements], installMsMax);
  if (!installed.ok)
    return err(`pip cannot install what ${requirements} lists: ${installed.error}`);
  await writeFile(marker, wanted);
  return ok(python);
}

/** Lets the script make a variant. */
export async function convert(
  python: string,
  job: {
    readonly variant: string;
    readonly source: string;
    readonly target: string;
    readonly calibration: string | null;
  },
): Promise<Result<void, string>> {
  const made = await run(python, [script], convertMsMax, JSON.stringify(job));
  return made.ok ? ok(undefined) : err(`${job.variant} cannot be made: ${made.error}`);
}

/** The error is the last line that the program said. */
function run(
  file: string,
  words: readonly string[],
  msMax: number,
  input = '',
): Promise<Result<void, string>> {
  return new Promise((resolve) => {
    const options = { timeout: msMax, maxBuffer: outputBytesMax };
    const child = execFile(file, [...words], options, (cause, _, complaints) => {
      if (cause === null) return resolve(ok(undefined));
      if (cause.code === 'ENOENT') return resolve(err(`${file} is not installed`));
      const lines = complaints.trim().split('\n');
      const said = lines.at(-1) ?? '';
      resolve(
        err(cause.killed === true ? `it took longer than ${msMax} ms` : said || cause.message),
      );
    });
    // A program that ends without reading its input has said why.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
