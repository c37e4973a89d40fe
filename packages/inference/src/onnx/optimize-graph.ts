/** Writes what ONNX Runtime makes of a model's graph when it loads it, so that the work is done once. */
import { err, ok, type Result } from '@inferry/runtime';
import { plainReason } from './reason.ts';

/**
 * basic: constants folded, redundant nodes gone; any runtime can run the result. extended: operators fused
 * as well, into ones that only ONNX Runtime has. all: layouts that suit the processor of this machine too.
 */
export type GraphLevel = 'basic' | 'extended' | 'all';

/**
 * Reads `file`, writes the optimised graph for the CPU to `outFile`. The error is ONNX Runtime's own: the
 * file cannot be loaded, or the result cannot be written. Blocks this thread while it works.
 */
export async function optimizeGraph(
  file: string,
  outFile: string,
  level: GraphLevel,
): Promise<Result<void, string>> {
  const { env, InferenceSession } = await import('onnxruntime-node');
  env.logLevel = 'error';
  try {
    const session = await InferenceSession.create(file, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: level,
      optimizedModelFilePath: outFile,
      logSeverityLevel: 3,
    });
    await session.release();
    return ok(undefined);
  } catch (cause) {
    return err(plainReason(cause));
  }
}
