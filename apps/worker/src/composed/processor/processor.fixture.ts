/** A processor in a folder of its own, with steps that a test answers. For tests only. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { defaultLimits, type Failure, type ModelManifest, type Tensor } from '@inferry/contracts';
import { ok, type Result, systemClock } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import { testManifest } from '@inferry/testkit';
import type { Program, ProgramContext, StepRequest } from '../program.ts';
import { startProcessor } from './processor.ts';

interface LoggedLine {
  readonly fields: unknown;
  readonly text: string | undefined;
}

export interface ProcessorFolder {
  readonly folder: string;
  readonly lines: readonly LoggedLine[];
  /** Writes a file into the model's folder. */
  readonly put: (name: string, text: string) => Promise<void>;
  /** Loads `processor.ts` of the folder. */
  readonly start: (
    changes?: Partial<ModelManifest>,
    file?: string,
  ) => Promise<Result<Program, string>>;
  /** Loads a processor with this text, which must load. */
  readonly load: (
    text: string,
    changes?: Partial<ModelManifest>,
    file?: string,
  ) => Promise<Program>;
  readonly close: () => Promise<void>;
}

export async function processorFolder(): Promise<ProcessorFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-processor-'));
  const lines: LoggedLine[] = [];
  const started: Program[] = [];
  const put: ProcessorFolder['put'] = async (name, text) => {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  };
  const start: ProcessorFolder['start'] = async (changes = {}, file = 'processor.ts') => {
    const program = await startProcessor({
      manifest: testManifest({
        backend: 'processor',
        maxBatchSize: 0,
        inputs: [{ name: 'x', datatype: 'FP32', shape: [-1] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
        executionTimeoutMs: 60_000,
        processor: { file: join(folder, file), runs: ['twice', 'other'], stepsMax: 5 },
        ...changes,
      }),
      limits: defaultLimits,
      clock: systemClock,
      logger: recorderOf(lines),
    });
    if (program.ok) started.push(program.value);
    return program;
  };
  return {
    folder,
    lines,
    put,
    start,
    async load(text, changes, file = 'processor.ts') {
      await put(file, text);
      const program = await start(changes, file);
      if (!program.ok) throw new Error(program.error);
      return program.value;
    },
    async close() {
      await Promise.all(started.map((program) => program.close()));
      await rm(folder, { recursive: true });
    },
  };
}

function recorderOf(lines: LoggedLine[]): Logger {
  const record = (fields: unknown, text?: string): void => void lines.push({ fields, text });
  const logger: Logger = {
    trace: record,
    debug: record,
    info: record,
    warn: record,
    error: record,
    fatal: record,
    child: () => logger,
  };
  return logger;
}

export function fp32(name: string, ...values: readonly number[]): Tensor {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { name, datatype: 'FP32', shape: [values.length], bytes };
}

export function numbersOf(tensor: Tensor | undefined): readonly number[] {
  if (tensor === undefined) return [];
  const copy = Uint8Array.from(tensor.bytes);
  return [...new Float32Array(copy.buffer)];
}

/** What a job asks of its worker, with steps that double what they are given. */
export function contextOf(
  changes: Partial<ProgramContext> = {},
): ProgramContext & { readonly steps: StepRequest[]; readonly partials: (readonly Tensor[])[] } {
  const steps: StepRequest[] = [];
  const partials: (readonly Tensor[])[] = [];
  return {
    signal: new AbortController().signal,
    isSuspect: false,
    step: (request): Promise<Result<readonly Tensor[], Failure>> => {
      steps.push(request);
      const [x] = request.tensors;
      return Promise.resolve(ok([fp32('y', ...numbersOf(x).map((value) => value * 2))]));
    },
    emit: (tensors) => {
      partials.push(tensors);
      return Promise.resolve();
    },
    steps,
    partials,
    ...changes,
  };
}
