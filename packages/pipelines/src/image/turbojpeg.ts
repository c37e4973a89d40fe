/**
 * libjpeg-turbo through its TurboJPEG API (the functions that versions 2 and 3 share), called in the
 * thread that wants the pixels. The library is the system's own.
 */
import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { err, invariant, ok, type Result } from '@inferry/runtime';

/** Names under which system linkers and Homebrew know the library. */
const libraryNames: { readonly [Platform in NodeJS.Platform]?: readonly string[] } = {
  linux: ['libturbojpeg.so.0'],
  darwin: [
    'libturbojpeg.dylib',
    '/opt/homebrew/lib/libturbojpeg.dylib',
    '/usr/local/lib/libturbojpeg.dylib',
  ],
};

const howToInstall =
  'install it (Debian: apt-get install libturbojpeg0; Ubuntu: apt-get install libturbojpeg; macOS: brew install jpeg-turbo)';

/** From turbojpeg.h. */
const pixelFormatRgb = 0;
const limitScansFlag = 32_768;
const warningCode = 0;

type TurboOutcome =
  | { readonly kind: 'decoded' }
  /** Decoded, but something in the file is not as it should be. */
  | { readonly kind: 'warned'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface TurboJpeg {
  readonly description: string;
  /**
   * Decodes into `pixels` as RGB, rows without gaps, at the largest scale of libjpeg-turbo (8/8, 7/8, ...
   * 1/8, each side rounded up) that fits into `width` and `height`.
   */
  decode(jpeg: Uint8Array, pixels: Uint8Array, width: number, height: number): TurboOutcome;
  close(): void;
}

/** Loads the library. An error says what is missing and how to get it. */
export async function openTurboJpeg(
  names: readonly string[] = libraryNames[process.platform] ?? [],
): Promise<Result<TurboJpeg, string>> {
  if (names.length === 0) return err(`libjpeg-turbo is not supported on ${process.platform}`);
  const reasons: string[] = [];
  for (const name of names) {
    try {
      return ok(await loadTurboJpeg(name));
    } catch (cause) {
      reasons.push(cause instanceof Error ? cause.message : String(cause));
    }
  }
  return err(`libjpeg-turbo cannot be loaded (${reasons[0]}); ${howToInstall}`);
}

async function loadTurboJpeg(name: string): Promise<TurboJpeg> {
  // Loaded here, so that a platform without this native code can still decode with sharp.
  const { load } = await import('koffi');
  const library = load(name);
  const initDecompress = library.func('void *tjInitDecompress()');
  const decompress = library.func(
    'int tjDecompress2(void *handle, const uint8_t *jpeg, unsigned long bytes, uint8_t *pixels, int width, int pitch, int height, int format, int flags)',
  );
  const errorText = library.func('const char *tjGetErrorStr2(void *handle)');
  const errorCode = library.func('int tjGetErrorCode(void *handle)');
  const destroy = library.func('int tjDestroy(void *handle)');
  const handle: unknown = initDecompress();
  if (handle === null) throw new Error('tjInitDecompress gave no handle');
  const version = (await versionIn(name)) ?? (hasSymbol(library, 'tj3Init') ? '3' : '2');
  let isClosed = false;
  return {
    description: `libjpeg-turbo ${version}`,
    decode(jpeg, pixels, width, height) {
      invariant(!isClosed, 'a decoder decodes until it is closed');
      const pitch = width * 3;
      const status: unknown = decompress(
        handle,
        jpeg,
        jpeg.length,
        pixels,
        width,
        pitch,
        height,
        pixelFormatRgb,
        limitScansFlag,
      );
      if (status === 0) return { kind: 'decoded' };
      const reason = String(errorText(handle));
      return { kind: errorCode(handle) === warningCode ? 'warned' : 'failed', reason };
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      destroy(handle);
    },
  };
}

/** The library has no call that tells its version, but its file has the text; undefined where it is not found. */
async function versionIn(name: string): Promise<string | undefined> {
  try {
    const path = isAbsolute(name) ? name : await loadedFrom(name);
    const text = await readFile(path, 'latin1');
    return /libjpeg-turbo version (\d+\.\d+\.\d+)/u.exec(text)?.[1];
  } catch {
    return undefined;
  }
}

/** Linux lists the files that are mapped into this process. */
async function loadedFrom(name: string): Promise<string> {
  const maps = await readFile('/proc/self/maps', 'utf8');
  const line = maps.split('\n').find((mapping) => mapping.includes(`/${name}`));
  return line?.slice(line.indexOf('/')) ?? '';
}

function hasSymbol(library: { symbol(name: string): unknown }, name: string): boolean {
  try {
    return library.symbol(name) !== null;
  } catch {
    return false;
  }
}
