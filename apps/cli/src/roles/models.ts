/** The models a role knows, or why the repository cannot be used as it is. */
import { isComposed, type ModelManifest, modelsRunBy } from '@inferry/contracts';
import {
  loadRepository,
  problemText,
  type Repository,
  type RepositoryProblem,
} from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { Config } from '../config.ts';
import { isS3 } from '../sources/s3-location.ts';

type Source = Pick<Config, 'modelsDir' | 'only'>;

/**
 * Reads the repository. A model that is to be served and of which nothing can be is an error: a role that starts
 * without a model it was given would look healthy and refuse its callers. A version that is broken beside a sound
 * one is a problem of the repository and no error: to start while a rollout is broken must not be an outage.
 */
export async function readModels({
  modelsDir,
  only,
}: Source): Promise<Result<Repository, readonly string[]>> {
  if (isS3(modelsDir)) {
    return err([
      `${modelsDir}: serve, gateway and worker alone take models from S3; give this command a directory`,
    ]);
  }
  const all = await loadRepository(modelsDir);
  const repository = narrowed(all, only);
  const known = new Set(
    [...all.models, ...all.problems.map(({ model }) => ({ name: model }))].map(nameOf),
  );
  const missing = (only ?? []).filter((name) => !known.has(name));
  const errors = [
    ...repository.problems.filter(isStopping(repository)).map(problemText),
    ...missing.map((name) => `INFERRY_ONLY names "${name}", which is not in ${modelsDir}`),
  ];
  return errors.length > 0 ? err(errors) : ok(repository);
}

/**
 * What a worker may serve in the place of versions that cannot be loaded: the latest before them, where the policy of
 * their model asks for the latest and nothing else of it is left.
 */
export async function insteadOf(
  modelsDir: string,
  model: string,
  failed: readonly string[],
): Promise<ModelManifest | null> {
  const { models } = await loadRepository(modelsDir, { [model]: failed });
  return models.findLast(({ name }) => name === model) ?? null;
}

/** Of a version, where another one of its model is sound: the start goes on without it. */
function isStopping({ models }: Repository): (problem: RepositoryProblem) => boolean {
  const sound = new Set<string | null>(models.map(nameOf));
  return ({ model, version }) => version === null || !sound.has(model);
}

/** What it says of these models, and of the directory as a whole; of all where `only` is null. */
export function narrowed(repository: Repository, only: Config['only']): Repository {
  if (only === null) return repository;
  const isWanted = (model: string | null): boolean => model === null || only.includes(model);
  const ofWanted = <T>(byModel: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(byModel).filter(([model]) => isWanted(model)));
  const { choices, models, problems, routing, warnings } = repository;
  return {
    ...repository,
    models: models.filter(({ name }) => isWanted(name)),
    problems: problems.filter(({ model }) => isWanted(model)),
    warnings: warnings.filter(({ model }) => isWanted(model)),
    routing: ofWanted(routing),
    choices: ofWanted(choices),
  };
}

type Device = Config['device'];

/** It has instances for that device, or needs none. */
export function isServable(manifest: ModelManifest, device: Device): boolean {
  if (isComposed(manifest)) return true;
  return manifest.instances.some(
    ({ gpus, kind }) =>
      (kind === 'cpu') === (device.kind === 'cpu') && (gpus?.includes(device.index) ?? true),
  );
}

/** Says in the log which versions are not served, and what models are served without. */
export function logFindings({ problems, warnings }: Repository, logger: Logger): void {
  for (const problem of problems) {
    const fields = { model: problem.model, version: problem.version };
    const what = 'a version cannot be read; the others of its model are served';
    logger.error({ ...fields, problem: problemText(problem) }, what);
  }
  for (const warning of warnings) logger.warn({ model: warning.model }, problemText(warning));
}

/** Of models that have no session on the device, or run others that are left out, where no other process could serve them. */
export function unservable(models: readonly ModelManifest[], device: Device): readonly string[] {
  const here = device.kind === 'cpu' ? 'cpu' : `${device.kind}:${device.index}`;
  const names = new Set(models.map(nameOf));
  const leftOut = models.flatMap((manifest) =>
    modelsRunBy(manifest)
      .filter(({ model }) => !names.has(model))
      .map(({ model }) => {
        const { name, version } = manifest;
        return `${name}@${version} runs "${model}", which INFERRY_ONLY leaves out`;
      }),
  );
  const elsewhere = models
    .filter((model) => !isServable(model, device))
    .map(({ name, version, instances }) => {
      const devices = instances.flatMap(
        ({ gpus, kind }) => gpus?.map((index) => `${kind}:${index}`) ?? kind,
      );
      return `${name}@${version} has instances for ${devices.join(', ')} only, and this process runs on ${here}`;
    });
  return [...elsewhere, ...new Set(leftOut)];
}

function nameOf({ name }: { readonly name: string | null }): string | null {
  return name;
}
