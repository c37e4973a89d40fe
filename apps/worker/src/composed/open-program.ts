/** The program of a composed model, by its backend. */
import type { ModelManifest } from '@inferry/contracts';
import { ok, type Result } from '@inferry/runtime';
import { ensembleProgram } from './ensemble.ts';
import { type ProcessorOptions, startProcessor } from './processor/processor.ts';
import type { Program } from './program.ts';

/** The error says why it cannot be served. */
export async function openProgram(
  manifest: ModelManifest,
  deps: Omit<ProcessorOptions, 'manifest'>,
): Promise<Result<Program, string>> {
  if (manifest.backend === 'ensemble') return ok(ensembleProgram(manifest));
  return startProcessor({ ...deps, manifest });
}
