/** Which execution providers are installed beside ONNX Runtime, without loading any of it. */
import type { ProviderKind } from '@inferry/contracts';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { arch, platform } from 'node:process';

const sharedLibrary = 'libonnxruntime_providers_shared.so';
const cudaLibrary = 'libonnxruntime_providers_cuda.so';
const tensorrtLibrary = 'libonnxruntime_providers_tensorrt.so';

/** Files a provider needs in the library directory, in the order they are looked for. */
const providerFiles: { readonly [Kind in ProviderKind]: readonly string[] } = {
  cpu: [],
  cuda: [sharedLibrary, cudaLibrary],
  tensorrt: [sharedLibrary, cudaLibrary, tensorrtLibrary],
};

export interface AvailableProviders {
  /** Version of ONNX Runtime. */
  readonly version: string;
  /** Kinds whose files are all present. Whether the GPU and its libraries are there shows at load. */
  readonly kinds: readonly ProviderKind[];
  readonly libraryDirectory: string;
}

export function availableProviders(libraryDirectory = onnxLibraryDirectory()): AvailableProviders {
  const kinds = (['cpu', 'cuda', 'tensorrt'] as const).filter(
    (kind) => missingProviderFile(kind, libraryDirectory) === undefined,
  );
  return { version: onnxVersion(), kinds, libraryDirectory };
}

/** The first file that `kind` needs and that is not there. */
export function missingProviderFile(
  kind: ProviderKind,
  libraryDirectory: string,
): string | undefined {
  return providerFiles[kind].find((file) => !existsSync(join(libraryDirectory, file)));
}

/** The folder of libonnxruntime, where it looks for provider libraries (it searches nowhere else). */
export function onnxLibraryDirectory(): string {
  return join(packageDirectory(), 'bin', 'napi-v6', platform, arch);
}

export function onnxVersion(): string {
  const text = readFileSync(join(packageDirectory(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

function packageDirectory(): string {
  return dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
}
