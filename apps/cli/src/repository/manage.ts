/** `inferry models list`, `show` and `rm`: what a repository holds, and less of it. Nothing is loaded. */
import { lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelManifest } from '@inferry/contracts';
import {
  loadRepository,
  problemText,
  readVersions,
  resolveModel,
  type VersionsEdit,
} from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import { type ModelReference, parseModelReference } from '../model-reference.ts';
import { fileOf, type Report, servedBlock } from '../models-doctor.ts';
import { changeVersions, type VersionsState } from './change-versions.ts';
import { type Extent, extentOf, formOf, versionFolders } from './folders.ts';
import { table } from './table.ts';
import { type VersionUses, versionUses } from './version-uses.ts';
import { labelsOf, shareOf, whyServed } from './why-served.ts';

const titles = ['MODEL', 'VERSION', 'FORM', 'BYTES', 'DIGEST', 'LABELS', 'TRAFFIC'];

type Words = Pick<Invocation, 'flags' | 'operands'>;

/** One row for each version; the exit code is 2 when something there is not served. */
export async function listModels({ flags, operands }: Words): Promise<Report> {
  const directory = operands[0] ?? directoryOf(flags);
  const repository = await loadRepository(directory);
  const { choices, models, problems, routing } = repository;
  const rows = await Promise.all(models.map((manifest) => rowOf(manifest, directory)));
  const exitCode = problems.length === 0 ? 0 : 2;
  if (flags.has('json')) {
    return {
      data: json({ directory, models: rows, problems, routing, choices }),
      remarks: '',
      exitCode,
    };
  }
  const lines = rows.map((row) => [
    row.name,
    row.version,
    row.form,
    String(row.bytes),
    row.digest.slice(0, 12),
    labelsOf(routing[row.name], row.version).join(',') || '-',
    shareOf(routing[row.name], row.version) ?? '-',
  ]);
  return {
    data: lines.length === 0 ? '' : table([titles, ...lines]),
    remarks: problems.map((problem) => `not served: ${problemText(problem)}\n`).join(''),
    exitCode,
  };
}

/** All versions of a model, or one. The error is one of usage. */
export async function showModel({ flags, operands }: Words): Promise<Result<Report, string>> {
  const reference = referenceOf(operands);
  if (!reference.ok) return reference;
  const { model, version } = reference.value;
  const directory = directoryOf(flags);
  const repository = await loadRepository(directory);
  const { choices, routing } = repository;
  const problems = repository.problems.filter(
    (one) =>
      one.model === null ||
      (one.model === model && (version === null || (one.version ?? version) === version)),
  );
  const shown = repository.models.filter(
    (one) => one.name === model && (version === null || one.version === version),
  );
  if (shown.length === 0 && problems.length === 0) {
    const found = resolveModel(repository.models, model, version ?? undefined);
    const why = found.ok ? 'is not served' : found.error.detail;
    return ok({ data: '', remarks: `inferry: ${directory}: ${why}\n`, exitCode: 1 });
  }
  const exitCode = problems.length === 0 ? 0 : 2;
  const rows = await Promise.all(shown.map((manifest) => rowOf(manifest, directory)));
  if (flags.has('json')) {
    const models = shown.map((manifest, i) => ({
      ...manifest,
      ...rows[i],
      file: fileOf(manifest, directory),
    }));
    return ok({
      data: json({ directory, models, problems, routing: routing[model], choice: choices[model] }),
      remarks: '',
      exitCode,
    });
  }
  const blocks = shown.map((manifest, i) =>
    servedBlock(manifest, directory, [
      ['form', rows[i]?.form ?? ''],
      ['size', `${rows[i]?.bytes ?? 0} bytes`],
      ['digest', manifest.digest],
      ['served', whyServed(repository, manifest.name, manifest.version)],
    ]),
  );
  const remarks = problems.map((problem) => `not served: ${problemText(problem)}\n`).join('');
  return ok({ data: blocks.join('\n'), remarks, exitCode });
}

/**
 * Removes a model or one version. It is moved away in one step before anything of it is deleted, so that
 * nobody ever reads a part. Without `--yes` it says what would go. The error is one of usage.
 */
export async function removeModel({ flags, operands }: Words): Promise<Result<Report, string>> {
  const reference = referenceOf(operands);
  if (!reference.ok) return reference;
  const directory = directoryOf(flags);
  const found = await findFolder(directory, reference.value);
  if (!found.ok) return ok(failure(found.error));
  const folder = found.value;
  const extent = await extentOf(folder);
  const { model, version } = reference.value;
  const used = await usesOf(join(directory, model), version ?? '');
  const uses = used.uses.join(' and ');
  if (used.isSpecific) {
    return ok(
      failure(`the policy of ${model} names ${version}; take it out of versions.yaml first`),
    );
  }
  if (uses !== '' && !flags.has('force')) {
    return ok(failure(`${folder} has ${uses}; --force takes that away with it`));
  }
  if (!flags.has('yes')) {
    return ok(failure(`would remove ${folder} (${extentText(extent)}); --yes does it`));
  }
  if (version !== null && (uses !== '' || used.isNoted)) {
    const freed = await changeVersions(directory, model, (state) => ok(without(state, version)));
    if (!freed.ok) return ok(failure(freed.error));
  }
  const own = join(directory, '.inferry');
  let aside: string | undefined;
  try {
    await mkdir(own, { recursive: true });
    // Called as what a pull leaves behind, so that the next one clears away what is left of this.
    aside = await mkdtemp(join(own, 'stage-'));
    await rename(folder, join(aside, model));
    await rm(aside, { recursive: true });
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    if (aside !== undefined) await rm(aside, { recursive: true, force: true });
    return ok(failure(cause.message));
  }
  const removed = { name: model, version, folder, ...extent };
  const data = flags.has('json') ? json(removed) : `${folder}: removed (${extentText(extent)})\n`;
  return ok({ data, remarks: '', exitCode: 0 });
}

/** What of versions.yaml asks for the version. Nothing where that is broken: what is broken may be removed. */
async function usesOf(folder: string, version: string): Promise<VersionUses> {
  const versions = await readVersions(folder);
  return versionUses(versions.ok ? versions.value.versionsYaml?.config : undefined, version);
}

function without({ labels, previous, traffic }: VersionsState, version: string): VersionsEdit {
  const left = <T>(all: Readonly<Record<string, T>>, isGone: (key: string, value: T) => boolean) =>
    Object.fromEntries(Object.entries(all).filter(([key, value]) => !isGone(key, value)));
  return {
    labels: left(labels, (_, named) => named === version),
    previous: left(previous, (_, named) => named === version),
    traffic: left(traffic, (named) => named === version),
  };
}

interface Row extends Extent {
  readonly name: string;
  readonly version: string;
  readonly form: string;
  readonly digest: string;
}

/** Files and bytes are those in the folder of the version. */
async function rowOf({ digest, name, version }: ModelManifest, directory: string): Promise<Row> {
  const form = await formOf(join(directory, name));
  return { name, version, form, digest, ...(await extentOf(join(directory, name, version))) };
}

/** The folder of a model, or of a version that is not its last. Broken ones are found as well. */
async function findFolder(
  directory: string,
  { model, version }: ModelReference,
): Promise<Result<string, string>> {
  const folder = join(directory, model);
  const isFolder = (await lstat(folder).catch(() => undefined)) !== undefined;
  if (!isFolder) return err(`${folder} does not exist`);
  const versions = await versionFolders(folder).catch((): readonly string[] => []);
  const isModel = versions.length > 0 || (await formOf(folder)) !== 'plain';
  if (!isModel) return err(`${folder} holds no model, and is left alone`);
  if (version === null) return ok(folder);
  if (!versions.includes(version)) {
    return err(`${folder} has no version ${version}; it has: ${versions.join(', ')}`);
  }
  if (versions.length > 1) return ok(join(folder, version));
  return err(`${version} is the only version of ${folder}; remove the model: ${model}`);
}

function referenceOf(operands: readonly string[]): Result<ModelReference, string> {
  const text = operands[0] ?? '';
  const reference = parseModelReference(text);
  if (reference !== undefined) return ok(reference);
  return err(`MODEL must be a name, as in digits, or digits@2, not "${text}"`);
}

function directoryOf(flags: Words['flags']): string {
  return flags.get('models') ?? 'models';
}

function failure(message: string): Report {
  return { data: '', remarks: `inferry: ${message}\n`, exitCode: 1 };
}

function extentText({ bytes, files }: Extent): string {
  return `${files} ${files === 1 ? 'file' : 'files'}, ${bytes} bytes`;
}

function json(document: object): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
