/** `inferry models list`, `show` and `rm` for a repository in S3. */
import { parseVersionsYaml } from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import { type ModelReference, parseModelReference } from '../model-reference.ts';
import type { Report } from '../models-doctor.ts';
import { openS3 } from '../sources/open-s3.ts';
import {
  missing,
  remoteVersions,
  type RemoteVersion,
  removeRemote,
} from '../sources/remote-models.ts';
import { below, parseS3Location, type S3Location, s3Text } from '../sources/s3-location.ts';
import type { S3Store } from '../sources/s3-store.ts';
import { routingFile } from './folders.ts';
import { table } from './table.ts';
import { versionUses } from './version-uses.ts';

type Words = Pick<Invocation, 'flags' | 'operands'>;
type Environment = Readonly<Record<string, string | undefined>>;

/** One look at a bucket: what is found there, or is to be done. */
interface Asked {
  readonly store: S3Store;
  readonly location: S3Location;
  readonly found: readonly RemoteVersion[];
}

const titles = ['MODEL', 'VERSION', 'FORM', 'FILES', 'BYTES', 'DIGEST'];
const idleMs = 30_000;
const routingBytesMax = 1024 ** 2;

/** The error of each is one of usage. */
export const remoteCommands = {
  'models list': ({ flags }, where, env) =>
    ask(where, env, async ({ found, location }) => {
      const directory = s3Text(location);
      if (flags.has('json')) return told(json({ directory, models: found.map(rowOf) }));
      const rows = found.map((one) => [
        one.name,
        one.version,
        one.form,
        String(one.files.length),
        String(one.bytes),
        one.digest?.slice(0, 12) ?? '-',
      ]);
      return told(rows.length === 0 ? '' : table([titles, ...rows]));
    }),
  'models show': (words, where, env) =>
    withReference(words, (reference) =>
      ask(where, env, async ({ found, location }) => {
        const why = missing(found, reference);
        if (why !== undefined) return failure(`${s3Text(location)}: ${why}`);
        const shown = found.filter((one) => isMeant(one, reference));
        if (words.flags.has('json')) {
          const models = shown.map((one) => ({ ...rowOf(one), files: one.files }));
          return told(json({ directory: s3Text(location), models }));
        }
        return told(shown.map(block).join('\n'));
      }),
    ),
  'models rm': (words, where, env) =>
    withReference(words, (reference) =>
      ask(where, env, async ({ found, location, store }) => {
        const why = missing(found, reference);
        if (why !== undefined) return failure(`${s3Text(location)}: ${why}`);
        const gone = found.filter((one) => isMeant(one, reference));
        const { model, version } = reference;
        const name = `${s3Text(location)}/${model}${version === null ? '' : `@${version}`}`;
        const bytes = gone.reduce((sum, one) => sum + one.bytes, 0);
        const used = version === null ? undefined : await whyUsed(store, location, model, version);
        if (used !== undefined) return failure(used);
        if (!words.flags.has('yes')) {
          return failure(`would remove ${name} (${bytes} bytes); --yes does it`);
        }
        const removed = await removeRemote(store, location, reference);
        if (!removed.ok) return failure(removed.error);
        const document = { name: model, version, location: name, objects: removed.value, bytes };
        return told(
          words.flags.has('json') ? json(document) : `${name}: removed (${bytes} bytes)\n`,
        );
      }),
    ),
} as const satisfies Record<
  string,
  (words: Words, where: string, env: Environment) => Promise<Result<Report, string>>
>;

/** That the repository gives the version a label or traffic; without it, it would be broken. */
async function whyUsed(
  store: S3Store,
  location: S3Location,
  model: string,
  version: string,
): Promise<string | undefined> {
  const at = below(location, `${model}/${routingFile}`);
  const read = await store.readText(at.key, routingBytesMax);
  if (!read.ok) {
    return read.error.kind === 'absent' ? undefined : `${s3Text(at)}: ${read.error.text}`;
  }
  const parsed = parseVersionsYaml(s3Text(at), read.value.text);
  // What is broken may be removed.
  if (!parsed.ok) return undefined;
  const { isSpecific, uses } = versionUses(parsed.value.config, version);
  const all = [...uses, ...(isSpecific ? ['a place in the policy'] : [])];
  if (all.length === 0) return undefined;
  return `${s3Text(at)} gives version ${version} ${all.join(' and ')}; take that away first`;
}

async function ask(
  where: string,
  env: Environment,
  answer: (asked: Asked) => Promise<Report>,
): Promise<Result<Report, string>> {
  const location = parseS3Location(where);
  if (!location.ok) return err(`the repository ${location.error}`);
  const store = openS3(location.value.bucket, { env, idleMs });
  if (!store.ok) return err(store.error);
  try {
    const found = await remoteVersions(store.value, location.value);
    if (!found.ok) return ok(failure(found.error));
    const asked = { store: store.value, location: location.value, found: found.value };
    return ok(await answer(asked));
  } finally {
    store.value.close();
  }
}

async function withReference(
  { operands }: Words,
  act: (reference: ModelReference) => Promise<Result<Report, string>>,
): Promise<Result<Report, string>> {
  const reference = parseModelReference(operands[0] ?? '');
  if (reference !== undefined) return act(reference);
  return err(`MODEL must be a name, as in digits, or digits@2, not "${operands[0] ?? ''}"`);
}

function isMeant({ name, version }: RemoteVersion, wanted: ModelReference): boolean {
  return name === wanted.model && (wanted.version ?? version) === version;
}

function rowOf({ bytes, digest, files, form, name, version }: RemoteVersion): object {
  return { name, version, form, files: files.length, bytes, digest };
}

function block({ bytes, digest, files, form, name, version }: RemoteVersion): string {
  const rows = files.map(({ bytes: size, path, sha256 }) => [
    `  ${path}`,
    String(size),
    sha256 ?? '-',
  ]);
  const about = `  form       ${form}\n  size       ${bytes} bytes\n  digest     ${digest ?? 'unknown: it was not pushed by inferry'}\n`;
  return `${name} ${version}\n${about}${table(rows)}`;
}

function told(data: string): Report {
  return { data, remarks: '', exitCode: 0 };
}

function failure(message: string): Report {
  return { data: '', remarks: `inferry: ${message}\n`, exitCode: 1 };
}

function json(document: object): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
