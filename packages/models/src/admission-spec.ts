/** What model.yaml says of waiting: of free slots for fuller batches, and of callers for answers. */
import type { AdmissionSpec, LingerSpec } from '@inferry/contracts';
import type { FileProblem } from './file-problem.ts';
import type { ParsedModelYaml } from './model-yaml.ts';

/** Beyond this, waiting for company costs a caller more than a fuller batch gives back. */
const lingerMsDefaultMax = 20;
const lingerShare = 0.1;

export function lingerSpec({ config }: ParsedModelYaml): LingerSpec {
  const { linger, max_linger_ms: asked } = config.queue;
  const targetMs = config.latency_target_ms ?? Infinity;
  return { mode: linger, maxMs: asked ?? Math.min(targetMs * lingerShare, lingerMsDefaultMax) };
}

/** Keys that mean nothing in the mode are problems: an operator who wrote them expects something. */
export function admissionSpec(yaml: ParsedModelYaml, problems: FileProblem[]): AdmissionSpec {
  const { admission, latency_target_ms: targetMs } = yaml.config;
  const { budget_ms: askedMs, on_infeasible: onInfeasible } = admission;
  const budgetMs = askedMs ?? targetMs;
  const mode = admission.mode ?? (budgetMs === undefined ? 'depth' : 'target');
  const problemAt = (key: string, message: string): void => {
    problems.push(yaml.problemAt(['admission', key], message));
  };
  if (mode === 'target' && budgetMs === undefined) {
    problemAt('mode', 'target needs a latency_target_ms or an admission.budget_ms');
  }
  if (mode !== 'target' && askedMs !== undefined) {
    problemAt('budget_ms', `is for mode: target, not for mode: ${mode}`);
  }
  if (mode !== 'target' && mode !== 'timeout' && onInfeasible === 'accept') {
    problemAt(
      'on_infeasible',
      `accept is for mode: target or timeout; in mode: ${mode} no request is late`,
    );
  }
  return { mode, budgetMs: mode === 'target' ? (budgetMs ?? null) : null, onInfeasible };
}
