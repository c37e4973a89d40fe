/** A repository in a folder of its own, and pulls into it, for tests. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '@inferry/runtime';
import { create, Header } from 'tar';
import { parsePullOptions } from './options.ts';
import { pullModel } from './pull.ts';

export interface Pulled {
  readonly code: number;
  readonly out: string;
  readonly told: string;
}

export class PullPlace {
  readonly folder: string;
  readonly models: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.models = join(folder, 'models');
  }

  static async make(): Promise<PullPlace> {
    return new PullPlace(await mkdtemp(join(tmpdir(), 'inferry-pull-')));
  }

  /** Pauses between tries take no time. Flags by name, empty for those without a value. */
  async pull(
    source: string,
    flags: Record<string, string>,
    idleMs = 5_000,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Pulled> {
    let out = '';
    let told = '';
    const parsed = parsePullOptions({
      operands: [source],
      flags: new Map(Object.entries({ models: this.models, ...flags })),
    });
    if (!parsed.ok) return { code: 2, out, told: parsed.error.join('\n') };
    const code = await pullModel(parsed.value, {
      clock: { nowMs: () => systemClock.nowMs(), after: (_, fire) => systemClock.after(0, fire) },
      env,
      print: (text) => void (out += text),
      complain: (text) => void (told += text),
      progress: () => undefined,
      idleMs,
    });
    return { code, out, told };
  }

  /** Writes files by their paths, and tells the folder. */
  async write(name: string, files: Record<string, string | Uint8Array>): Promise<string> {
    const folder = join(this.folder, name);
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content);
    }
    return folder;
  }

  /** The archive of such files. */
  async archive(name: string, files: Record<string, string | Uint8Array>): Promise<string> {
    const cwd = await this.write(`${name}-files`, files);
    const file = join(this.folder, name);
    await create({ file, cwd, gzip: name.endsWith('gz') }, await readdir(cwd));
    return file;
  }

  /** Everything in the repository, hidden or not, except folders. */
  async landed(): Promise<readonly string[]> {
    const entries = await readdir(this.models, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => !entry.isDirectory());
    return files.map((e) => join(e.parentPath, e.name).slice(this.models.length + 1)).toSorted();
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true });
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** An archive with one entry as no tool would write it. */
export function archiveOf(entry: ConstructorParameters<typeof Header>[0], size = 0): Buffer {
  const header = new Header(Object.assign({ mode: 0o644, mtime: new Date(0), size }, entry));
  const block = Buffer.alloc(512);
  header.encode(block);
  return Buffer.concat([block, Buffer.alloc(Math.ceil(size / 512) * 512 + 1024)]);
}
