/** One model of a repository, for commands that work on it. */
import type { ModelManifest } from '@inferry/contracts';
import { loadRepository, problemText, resolveModel } from '@inferry/models';
import { err, type Result } from '@inferry/runtime';

/** `version` null: the latest. The error is what is wrong with the model's files, or what there is instead. */
export async function findModel(
  modelsDir: string,
  model: string,
  version: string | null,
): Promise<Result<ModelManifest, string>> {
  const { models, problems } = await loadRepository(modelsDir);
  const own = problems.filter((problem) => problem.model === null || problem.model === model);
  if (own.length > 0) return err(own.map(problemText).join('\n'));
  const found = resolveModel(models, model, version ?? undefined);
  return found.ok ? found : err(`${modelsDir}: ${found.error.detail}`);
}
