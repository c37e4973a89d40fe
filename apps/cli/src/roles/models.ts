/** The models a role knows, or why the repository cannot be used as it is. */
import type { ModelManifest } from '@inferry/contracts';
import { loadRepository, problemText, type Repository } from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { Config } from '../config.ts';

/**
 * Reads the repository. A problem in a model that is to be served is an error: a role that starts
 * without a model it was given would look healthy and refuse its callers.
 */
export async function readModels({
  modelsDir,
  only,
}: Pick<Config, 'modelsDir' | 'only'>): Promise<Result<Repository, readonly string[]>> {
  const { directory, models, problems, warnings } = await loadRepository(modelsDir);
  const isWanted = (model: string | null): boolean =>
    only === null || model === null || only.includes(model);
  const wanted = models.filter(({ name }) => isWanted(name));
  const wrong = problems.filter(({ model }) => isWanted(model));
  const known = new Set([...models, ...problems.map(({ model }) => ({ name: model }))].map(nameOf));
  const missing = (only ?? []).filter((name) => !known.has(name));
  const errors = [
    ...wrong.map(problemText),
    ...missing.map((name) => `INFERRY_ONLY names "${name}", which is not in ${modelsDir}`),
  ];
  if (errors.length > 0) return err(errors);
  const told = warnings.filter(({ model }) => isWanted(model));
  return ok({ directory, models: wanted, problems: [], warnings: told });
}

type Device = Config['device'];

/** It has instances for that device. */
export function isServable({ instances }: ModelManifest, device: Device): boolean {
  return instances.some(
    ({ gpus, kind }) =>
      (kind === 'cpu') === (device.kind === 'cpu') && (gpus?.includes(device.index) ?? true),
  );
}

/** Says in the log what models are served without, though their configuration asks for it. */
export function logWarnings({ warnings }: Repository, logger: Logger): void {
  for (const warning of warnings) logger.warn({ model: warning.model }, problemText(warning));
}

/** Of models that have no session on the device, where no other process could serve them. */
export function unservable(models: readonly ModelManifest[], device: Device): readonly string[] {
  const here = device.kind === 'cpu' ? 'cpu' : `${device.kind}:${device.index}`;
  return models
    .filter((model) => !isServable(model, device))
    .map(({ name, version, instances }) => {
      const devices = instances.flatMap(
        ({ gpus, kind }) => gpus?.map((index) => `${kind}:${index}`) ?? kind,
      );
      return `${name}@${version} has instances for ${devices.join(', ')} only, and this process runs on ${here}`;
    });
}

function nameOf({ name }: { readonly name: string | null }): string | null {
  return name;
}
