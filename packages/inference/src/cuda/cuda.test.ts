import { repositoryPath } from '@inferry/testkit';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { onnxVersion } from '../onnx/providers.ts';
import { adviceFor, missingLibraries } from './libraries.ts';
import { compareWithCpu } from './prove.ts';
import { runCommand, type RunCommand } from './run-command.ts';
import { type ProviderWheel, setupCuda } from './setup.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-cuda-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const sha256 = (data: string): string => createHash('sha256').update(data).digest('hex');
const files = {
  'libonnxruntime_providers_shared.so': 'a',
  'libonnxruntime_providers_cuda.so': 'b',
};
const wheel: ProviderWheel = {
  version: onnxVersion(),
  sha256: sha256('the wheel'),
  files: Object.fromEntries(Object.entries(files).map(([name, data]) => [name, sha256(data)])),
};

/** pip, zipfile and ldconfig as the set-up calls them; `data` is what the downloaded wheel holds. */
function machine(data: string, linkerCache = ''): { run: RunCommand; calls: string[] } {
  const calls: string[] = [];
  const run: RunCommand = async (command, args) => {
    calls.push(args.includes('download') ? 'pip' : args.includes('zipfile') ? 'zip' : command);
    if (args.includes('download')) {
      await writeFile(join(args[args.indexOf('-d') + 1] ?? '', 'x.whl'), data);
    }
    if (args.includes('zipfile')) {
      const target = join(args.at(-1) ?? '', 'onnxruntime', 'capi');
      await mkdir(target, { recursive: true });
      for (const [name, content] of Object.entries(files)) {
        await writeFile(join(target, name), content);
      }
    }
    return { code: 0, output: linkerCache };
  };
  return { run, calls };
}

/** A machine whose pip finds nothing. */
const offline: RunCommand = () => Promise.resolve({ code: 1, output: 'no matching distribution' });

const host = { platform: 'linux', arch: 'x64' };

describe('setting up cuda', () => {
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  beforeEach(() => {
    said.length = 0;
  });

  test('the pinned files are put in place, once, and nothing else is left behind', async () => {
    const { run, calls } = machine('the wheel');
    const options = { say, libraryPath: '', directory: folder, run, wheel, host };
    expect(await setupCuda(options)).toMatchObject({ ok: true, value: { isChanged: true } });
    expect((await readdir(folder)).toSorted()).toEqual(Object.keys(files).toSorted());
    expect(await readFile(join(folder, 'libonnxruntime_providers_cuda.so'), 'utf8')).toBe('b');
    expect(await setupCuda(options)).toMatchObject({ ok: true, value: { isChanged: false } });
    expect(calls).toEqual(['pip', 'zip', 'ldconfig', 'ldconfig']);
  });

  test('a machine that is not Linux on x86-64 is told so before anything is fetched', async () => {
    const { run, calls } = machine('the wheel');
    const mac = { platform: 'darwin', arch: 'arm64' };
    const result = await setupCuda({ say, libraryPath: '', directory: folder, run, host: mac });
    expect(result).toMatchObject({ ok: false });
    if (!result.ok) expect(result.error).toContain('darwin on arm64');
    expect(calls).toEqual([]);
  });

  test('a wheel with another digest is never opened', async () => {
    const { run, calls } = machine('another wheel');
    const result = await setupCuda({ say, libraryPath: '', directory: folder, run, wheel, host });
    expect(result.ok).toBe(false);
    if (!result.ok) expect(result.error).toContain('nothing was installed');
    expect(calls).toEqual(['pip']);
    expect(await readdir(folder)).toEqual([]);
  });

  test('a failing pip is told with its own words', async () => {
    const options = { say, libraryPath: '', directory: folder, run: offline, wheel, host };
    const result = await setupCuda(options);
    expect(result).toEqual({
      ok: false,
      error: 'pip could not download it: no matching distribution',
    });
  });

  test('provider files of another version than the library are refused', async () => {
    const { run } = machine('the wheel');
    const old = { ...wheel, version: '0.0.1' };
    const result = await setupCuda({
      say,
      libraryPath: '',
      directory: folder,
      run,
      wheel: old,
      host,
    });
    expect(result.ok).toBe(false);
  });

  test('missing CUDA libraries are named with what installs them', async () => {
    const { run } = machine(
      'the wheel',
      '\tlibcuda.so.1 (libc6,x86-64) => /usr/lib/libcuda.so.1\n',
    );
    const result = await setupCuda({ say, libraryPath: '', directory: folder, run, wheel, host });
    expect(result.ok && result.value.missingLibraries).toContain('libcudnn.so.9');
    expect(said.join('\n')).toContain('nvidia-cudnn-cu13~=9.0');
    expect(said.join('\n')).not.toContain('driver');
  });
});

describe('looking for libraries', () => {
  test('those of the linker’s cache and of LD_LIBRARY_PATH count', async () => {
    const file = join(folder, 'lib', 'libcudnn.so.9');
    await mkdir(dirname(file));
    await writeFile(file, '');
    const cache = missingLibraries('', '')
      .filter((name) => name !== 'libcudnn.so.9')
      .map((name) => `\t${name} (libc6,x86-64) => /usr/lib/${name}`)
      .join('\n');
    expect(missingLibraries(cache, '')).toEqual(['libcudnn.so.9']);
    expect(missingLibraries(cache, `/nowhere:${dirname(file)}`)).toEqual([]);
    expect(adviceFor([])).toEqual([]);
    expect(adviceFor(['libcuda.so.1']).join()).toContain('driver 580');
  });
});

describe('comparing devices', () => {
  const model = repositoryPath(
    'packages',
    'testkit',
    'fixtures',
    'models',
    'two_inputs',
    '1',
    'model.onnx',
  );

  test('the provider is read from the profile of a real run', async () => {
    const compared = await compareWithCpu(model, { kind: 'cpu', index: 0 });
    expect(compared).toMatchObject({
      ok: true,
      value: { provider: 'CPUExecutionProvider', maxAbsError: 0 },
    });
  });

  test('a device that cannot be used is an error', async () => {
    expect(await compareWithCpu(model, { kind: 'cuda', index: 1_000 })).toMatchObject({
      ok: false,
    });
  });
});

test('a program that is not there, or takes too long, is an answer and no exception', async () => {
  expect((await runCommand('no-such-program-here', [], 1_000)).code).toBe(-1);
  expect((await runCommand('sleep', ['60'], 50)).code).toBe(-1);
});
