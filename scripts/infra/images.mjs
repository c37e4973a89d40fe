/**
 * Proves what the images of infra/docker would hold, without a container engine: replays the Dockerfile in
 * folders, measures what each layer adds, then starts a gateway and a worker from the replayed files, as the
 * images' user with the images' environment and commands, on a real Redis, and asks them.
 *
 *     node scripts/infra/images.mjs          prints the sizes
 *     node scripts/infra/images.mjs --json   the same as JSON
 *
 * As a module: `checkImages()`. Base images are not measured: they cannot be had here.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ensureRedis } from '../ensure-redis.mjs';
import { writeBuildContext } from './build-context.mjs';
import { replayDockerfile } from './dockerfile.mjs';
import { proveImages } from './image-run.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const targets = ['gateway', 'worker-cpu'];
const tarMsMax = 5 * 60_000;

/** Returns the layers by image; throws an Error when one cannot be made or does not work. */
export async function checkImages() {
  ensureRedis();
  const folder = mkdtempSync(join(tmpdir(), 'inferry-images-'));
  // The user of the images is somebody else.
  chmodSync(folder, 0o755);
  try {
    const context = join(folder, 'context');
    mkdirSync(context);
    writeBuildContext(root, context);
    const text = readFileSync(join(context, 'infra/docker/Dockerfile'), 'utf8');
    const build = replayDockerfile({ text, context, folder: join(folder, 'stages') });
    const stages = Object.fromEntries(targets.map((target) => [target, build(target)]));
    const models = join(folder, 'models');
    cpSync(join(root, 'models'), models, { recursive: true });
    await proveImages({ folder, models, gateway: stages.gateway, worker: stages['worker-cpu'] });
    return targets.map((target) => imageOf(target, stages[target]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function imageOf(target, { base, layers }) {
  const measured = layers.map(({ instruction, paths }) => ({ instruction, ...sizeOf(paths) }));
  const sum = (member) => measured.reduce((total, layer) => total + (layer[member] ?? 0), 0);
  return {
    target,
    base,
    layers: measured,
    bytes: sum('bytes'),
    gzip_bytes: sum('gzip_bytes'),
  };
}

/** As a layer is stored (a tar archive) and sent (compressed); null where it could not be measured. */
function sizeOf(paths) {
  if (paths === null) return { bytes: null, gzip_bytes: null };
  const sizes = paths.map((path) => archiveBytes(path));
  return {
    bytes: sizes.reduce((total, { bytes }) => total + bytes, 0),
    gzip_bytes: sizes.reduce((total, { gzipBytes }) => total + gzipBytes, 0),
  };
}

function archiveBytes(path) {
  const options = '--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner';
  const script = `tar ${options} -C "$1" -cf - "$2" | tee >(wc -c >&2) | gzip -6 -n | wc -c`;
  const ended = spawnSync('bash', ['-c', script, 'bash', dirname(path), basename(path)], {
    encoding: 'utf8',
    timeout: tarMsMax,
  });
  const [bytes, gzipBytes] = [Number(ended.stderr.trim()), Number(ended.stdout.trim())];
  if (!(bytes > 0 && gzipBytes > 0)) throw new Error(`${path} cannot be measured: ${ended.stderr}`);
  return { bytes, gzipBytes };
}

function megabytes(bytes) {
  return bytes === null ? 'not measured' : `${(bytes / 1e6).toFixed(1)} MB`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    const images = await checkImages();
    if (process.argv.includes('--json')) console.log(JSON.stringify(images, null, 1));
    else {
      for (const { target, base, layers, bytes, gzip_bytes: gzipBytes } of images) {
        console.log(
          `${target}: ${megabytes(bytes)}, compressed ${megabytes(gzipBytes)}, on ${base}`,
        );
        for (const layer of layers) {
          const sizes = [megabytes(layer.bytes), megabytes(layer.gzip_bytes)];
          console.log(
            `  ${sizes.map((text) => text.padStart(12)).join(' ')}  ${layer.instruction}`,
          );
        }
      }
    }
  } catch (cause) {
    console.error(cause.message);
    process.exit(1);
  }
}
