/** What runs models here: Node.js, ONNX Runtime with the provider of the device, the JPEG decoder. */
import { availableProviders, cudaReadiness, loadRuntime, openTurboJpeg } from '@inferry/worker';
import type { Config } from '../config.ts';
import { hardwareName } from '../roles/hardware.ts';
import { bad, doubtful, fine, type Finding } from './check.ts';

const nodeMin = [20, 19] as const;

export interface MachineOptions extends Pick<Config, 'device' | 'jpegDecoder'> {
  /** Value of LD_LIBRARY_PATH, '' when unset. */
  readonly libraryPath: string;
}

export async function checkMachine(options: MachineOptions): Promise<readonly Finding[]> {
  const { device } = options;
  const onDevice = device.kind === 'cuda' ? await checkCuda(device.index, options.libraryPath) : [];
  return [
    nodeFinding(process.versions.node),
    await runtimeFinding(),
    fine('Processor', hardwareName({ kind: 'cpu' })),
    ...onDevice,
    await decoderFinding(options.jpegDecoder),
  ];
}

/** @internal exported for its test */
export function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isFit = major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1]);
  return isFit
    ? fine('Node.js', version)
    : bad('Node.js', `${version} is too old`, `install Node.js ${nodeMin.join('.')} or newer`);
}

async function runtimeFinding(): Promise<Finding> {
  const { kinds, version } = availableProviders();
  const loaded = await loadRuntime();
  if (loaded.ok) return fine('ONNX Runtime', `${version}, providers: ${kinds.join(', ')}`);
  const remedy = 'run npm ci on this machine; it needs glibc 2.28 or newer (no Alpine)';
  return bad('ONNX Runtime', `${version} does not load: ${loaded.error}`, remedy);
}

async function checkCuda(index: number, libraryPath: string): Promise<readonly Finding[]> {
  const { advice, device, missingFile, missingLibraries } = await cudaReadiness(index, libraryPath);
  return [
    device === null
      ? bad(
          'GPU',
          `nvidia-smi names no device ${index}`,
          'install the NVIDIA driver, or pass the device into the container',
        )
      : fine('GPU', device),
    missingFile === null
      ? fine('CUDA provider', 'in place')
      : bad('CUDA provider', `${missingFile} is missing`, 'run: inferry setup cuda'),
    missingLibraries.length === 0
      ? fine('CUDA libraries', 'all found')
      : bad('CUDA libraries', `missing: ${missingLibraries.join(', ')}`, advice.join(' ')),
  ];
}

async function decoderFinding(wanted: Config['jpegDecoder']): Promise<Finding> {
  const name = 'JPEG decoder';
  if (wanted === 'sharp') return fine(name, 'sharp');
  const opened = await openTurboJpeg();
  if (opened.ok) {
    opened.value.close();
    return fine(name, opened.value.description);
  }
  const remedy = 'install libjpeg-turbo (Debian: apt-get install libturbojpeg0): it is faster';
  return wanted === 'turbojpeg'
    ? bad(name, opened.error, remedy)
    : doubtful(name, `sharp decodes: ${opened.error}`, remedy);
}
