/** A model for tests: everything a manifest has, so that a test says only what it is about. */
import type { ModelManifest } from '@inferry/contracts';

/** Takes rows of two numbers and gives the same, on one CPU instance, in batches of up to 8. */
export function testManifest(changes: Partial<ModelManifest> = {}): ModelManifest {
  return {
    name: 'm',
    version: '1',
    digest: '',
    backend: 'onnxruntime',
    file: null,
    fileBytes: 0,
    maxBatchSize: 8,
    instances: [{ kind: 'cpu', count: 1 }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
    preprocess: { kind: 'none' },
    postprocess: { kind: 'none' },
    simulated: null,
    latencyTargetMs: null,
    linger: { mode: 'none', maxMs: 0 },
    admission: { mode: 'depth', budgetMs: null, onInfeasible: 'refuse' },
    agingMs: 60_000,
    weight: 1,
    queueDepthMax: 10,
    timeoutMs: 1000,
    executionTimeoutMs: 1000,
    session: { intraOpThreads: 1, graphOptimization: 'all' },
    warmupRows: [1],
    ...changes,
  };
}
