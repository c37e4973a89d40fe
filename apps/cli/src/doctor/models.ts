/** Would the models of the repository be served by a process with these settings? */
import { loadRepository, problemText } from '@inferry/models';
import type { Config } from '../config.ts';
import { unservable } from '../roles/models.ts';
import { isS3 } from '../sources/s3-location.ts';
import { bad, doubtful, fine, type Finding, leftOut } from './check.ts';

export async function checkRepository({
  device,
  modelsDir,
  only,
}: Pick<Config, 'device' | 'only'> & { readonly modelsDir: string | null }): Promise<
  readonly Finding[]
> {
  if (modelsDir === null) {
    return [leftOut('Models', 'no repository was given', 'name one: inferry doctor models')];
  }
  if (isS3(modelsDir)) {
    const how = `look there: inferry models list ${modelsDir}`;
    return [leftOut('Models', `${modelsDir} is no directory of this machine`, how)];
  }
  const { models, problems, warnings } = await loadRepository(modelsDir);
  const wanted = models.filter(({ name }) => only === null || only.includes(name));
  const missing = (only ?? []).filter((name) => !models.some((model) => model.name === name));
  const findings: Finding[] = [
    ...problems.map((problem) =>
      bad('Models', problemText(problem), 'correct it; "inferry models doctor" shows all of them'),
    ),
    ...warnings.map((warning) =>
      doubtful('Models', problemText(warning), 'the model is served without it'),
    ),
    ...missing.map((name) =>
      bad('Models', `${name} is not in ${modelsDir}`, 'correct INFERRY_ONLY or the repository'),
    ),
    ...unservable(wanted, device).map((reason) =>
      doubtful('Models', reason, 'start a worker that serves what is missing here'),
    ),
  ];
  if (wanted.length > 0) {
    const names = wanted.map(({ name, version }) => `${name}@${version}`);
    findings.unshift(fine('Models', names.join(', ')));
  } else if (findings.length === 0) {
    findings.push(bad('Models', `${modelsDir} has no models`, 'see README, "Your own model"'));
  }
  return findings;
}
