/**
 * Makes sure that libjpeg-turbo can be loaded, installing it with the system's own package tool when it is
 * missing. Ends with status 1 and a plain message when that is impossible: the tests run the fast path for
 * real. Also usable as a module: `ensureTurboJpeg()`. Serving does not need it: sharp decodes JPEG then.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { installPackage } from './install-package.mjs';

/** Where linkers and Homebrew have it; packages/pipelines/src/image/turbojpeg.ts loads the same. */
const names = {
  linux: ['libturbojpeg.so.0'],
  darwin: [
    'libturbojpeg.dylib',
    '/opt/homebrew/lib/libturbojpeg.dylib',
    '/usr/local/lib/libturbojpeg.dylib',
  ],
};

/** Returns the name it is loaded by; throws an Error with advice when it cannot be had. */
export function ensureTurboJpeg() {
  const present = loadableName();
  if (present !== undefined) return present;
  console.error('libjpeg-turbo is missing; installing it');
  const tried = installPackage({ apt: ['libturbojpeg0', 'libturbojpeg'], brew: 'jpeg-turbo' });
  const name = loadableName();
  if (name !== undefined) return name;
  throw new Error(
    `libjpeg-turbo is missing and could not be installed (${tried}). Install it and run this again: ` +
      'Debian: sudo apt-get install libturbojpeg0; Ubuntu: sudo apt-get install libturbojpeg; ' +
      'Fedora: sudo dnf install turbojpeg; macOS: brew install jpeg-turbo.',
  );
}

function loadableName() {
  const { load } = createRequire(new URL('../packages/pipelines/package.json', import.meta.url))(
    'koffi',
  );
  return names[process.platform]?.find((name) => {
    try {
      load(name);
      return true;
    } catch {
      return false;
    }
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    console.log(ensureTurboJpeg());
  } catch (cause) {
    console.error(cause.message);
    process.exit(1);
  }
}
