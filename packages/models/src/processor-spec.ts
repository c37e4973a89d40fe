/** What model.yaml says of a processor, checked and completed. */
import { resolve } from 'node:path';
import type { ProcessorSpec } from '@inferry/contracts';
import type { FileProblem } from './file-problem.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import type { ProcessorFiles } from './processor-files.ts';
import { sessionSettings } from './session-settings.ts';

export interface ProcessorParts {
  readonly processor: ProcessorSpec;
  readonly concurrentMax: number;
}

/** Null for every other backend; what does not go together is added to `problems`. */
export function processorParts(
  yaml: ParsedModelYaml,
  files: ProcessorFiles | null,
  problems: FileProblem[],
): ProcessorParts | null {
  const { backend, processor } = yaml.config;
  if (backend !== 'processor') {
    if (processor !== undefined) {
      problems.push(yaml.problemAt(['processor'], 'is for backend: processor only'));
    }
    return null;
  }
  if (processor === undefined) {
    problems.push(yaml.problemAt(['processor'], 'is required with backend: processor'));
  }
  checkUnused(yaml, problems);
  return {
    processor: {
      file: resolve(files?.file ?? ''),
      runs: processor?.runs ?? [],
      stepsMax: processor?.max_steps ?? 0,
    },
    concurrentMax: processor?.concurrent ?? 1,
  };
}

/** It has no session, and its jobs are not joined: that is for the models of its steps. */
function checkUnused({ config, problemAt }: ParsedModelYaml, problems: FileProblem[]): void {
  const hasRows = (config.max_batch_size ?? 0) !== 0;
  for (const key of [...(hasRows ? ['max_batch_size'] : []), ...sessionSettings(config)]) {
    problems.push(problemAt(key.split('.'), 'is for models with a session, not a processor'));
  }
}
