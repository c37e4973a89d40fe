/**
 * The user libraries of CUDA 13 that the provider needs, looked for without loading any: what the dynamic
 * linker's cache lists, and what lies in the folders of LD_LIBRARY_PATH.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

interface CudaLibrary {
  readonly file: string;
  /** Package of the Python index that ships it; null where only the driver does. */
  readonly package: string | null;
}

/** The first five are linked to, the others opened at the first run that needs them. */
const cudaLibraries: readonly CudaLibrary[] = [
  { file: 'libcuda.so.1', package: null },
  { file: 'libcudart.so.13', package: 'nvidia-cuda-runtime~=13.0' },
  { file: 'libcublas.so.13', package: 'nvidia-cublas~=13.0' },
  { file: 'libcublasLt.so.13', package: 'nvidia-cublas~=13.0' },
  { file: 'libcurand.so.10', package: 'nvidia-curand~=10.0' },
  { file: 'libcufft.so.12', package: 'nvidia-cufft~=12.0' },
  { file: 'libnvrtc.so.13', package: 'nvidia-cuda-nvrtc~=13.0' },
  { file: 'libcudnn.so.9', package: 'nvidia-cudnn-cu13~=9.0' },
];

/**
 * Files of {@link cudaLibraries} found nowhere. `linkerCache` is the output of `ldconfig -p`,
 * `libraryPath` the value of LD_LIBRARY_PATH.
 */
export function missingLibraries(linkerCache: string, libraryPath: string): string[] {
  const cached = new Set(linkerCache.split('\n').map((line) => line.trim().split(' ')[0] ?? ''));
  const folders = libraryPath.split(':').filter((folder) => folder !== '');
  return cudaLibraries
    .map((library) => library.file)
    .filter(
      (file) => !cached.has(file) && !folders.some((folder) => existsSync(join(folder, file))),
    );
}

/** What to do about missing libraries, line by line, for a terminal. */
export function adviceFor(missing: readonly string[]): string[] {
  const lines: string[] = [];
  const wanted = cudaLibraries.filter((library) => missing.includes(library.file));
  if (wanted.some((library) => library.package === null)) {
    lines.push('libcuda.so.1 comes with the NVIDIA driver; CUDA 13 needs driver 580 or newer.');
  }
  const packages = new Set(wanted.flatMap((library) => library.package ?? []));
  if (packages.size > 0) {
    const quoted = [...packages].map((name) => `'${name}'`).join(' ');
    lines.push(
      'Install the CUDA 13 toolkit and cuDNN 9 of your system, or their libraries alone:',
      `  python3 -m pip install --no-deps --target ./cuda ${quoted}`,
      'and start Inferry with',
      '  LD_LIBRARY_PATH=$PWD/cuda/nvidia/cu13/lib:$PWD/cuda/nvidia/cudnn/lib',
    );
  }
  return lines;
}
