/** What model.yaml says that only models with a session and batches of their own have; composed models refuse it. */
import type { ModelYaml } from './model-yaml-schema.ts';

/** The keys of those settings that are there and say something, each as a path with dots. */
export function sessionSettings(config: ModelYaml): readonly string[] {
  const [instance, ...more] = config.instances;
  const { graph_optimization: optimization, intra_op_threads: threads } = config.session;
  const { linger, max_linger_ms: lingerMs, weight } = config.queue;
  const isSet = {
    'queue.linger': linger !== 'auto',
    'queue.max_linger_ms': lingerMs !== undefined,
    'queue.weight': weight !== 1,
    preprocess: config.preprocess !== undefined,
    postprocess: config.postprocess !== undefined,
    warmup: config.warmup.rows !== undefined,
    instances: more.length > 0 || instance?.kind !== 'cpu' || instance.count !== 1,
    session: threads !== 1 || optimization !== 'all',
  };
  return Object.entries(isSet).flatMap(([key, is]) => (is ? [key] : []));
}
