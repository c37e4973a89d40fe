/** A system of its own for one benchmark: a model repository, Redis, a gateway and workers on free ports. */
import { rmSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AppProcess, registerLive, startProcess, startRedisServer } from '@inferry/testkit';

export type ServedModel = DescribedModel | ModelFolder;

interface DescribedModel {
  readonly name: string;
  /** Text of its model.yaml. */
  readonly yaml: string;
  /** Path of its ONNX file; none for a simulated model. */
  readonly file?: string;
}

/** A folder as it lies in a model repository, with its model.yaml and versions. */
interface ModelFolder {
  readonly name: string;
  readonly folder: string;
}

export interface Served {
  /** Directory of the model repository, which goes away with the system. */
  readonly repository: string;
  /** Of the gateway, without a slash at its end. */
  readonly url: string;
  /** Of every process: where its metrics are. */
  readonly metricsUrls: readonly string[];
  /** `worker` is the first, 0 where there is none. */
  readonly pids: { readonly gateway: number; readonly worker: number; readonly redis: number };
  readonly workerPids: readonly number[];
  /** All processes descend from these: Redis, and the supervisor of each role. */
  readonly roots: readonly number[];
  /** Starts another command on the same repository and queue; it ends with the others. */
  readonly start: (argv: readonly string[]) => AppProcess;
  readonly close: () => Promise<void>;
}

/** Does nothing, at once: what is measured with it is the way to it and back. */
export const noopModel = {
  name: 'noop',
  yaml: `backend: simulated
max_batch_size: 32
inputs: [{name: x, dtype: FP32, shape: [-1, 4]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 4]}]
simulated: {run_ms: 0}
`,
};

/** Resolves when every process is ready. */
export async function serve(
  models: ServedModel | readonly ServedModel[],
  {
    workers = 1,
    env = {},
    checkout,
  }: {
    readonly workers?: number;
    readonly env?: Readonly<Record<string, string>>;
    /** Root of the checkout that is run; this one by default. */
    readonly checkout?: string | undefined;
  } = {},
): Promise<Served> {
  const repository = await mkdtemp(join(tmpdir(), 'inferry-bench-'));
  const unregister = registerLive(repository, () =>
    rmSync(repository, { recursive: true, force: true }),
  );
  for (const model of [models].flat()) await place(model, repository);
  const redis = await startRedisServer();
  const started: AppProcess[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(started.map((process) => process.stop()));
    await redis[Symbol.asyncDispose]();
    await rm(repository, { recursive: true, force: true });
    unregister();
  };
  const start: Served['start'] = ([command = '', ...flags]) => {
    const process = startProcess([command, '--models', repository, ...flags], {
      env: { REDIS_URL: redis.url, PORT: '0', METRICS_PORT: '0', ...env },
      ...(checkout === undefined ? {} : { checkout }),
    });
    started.push(process);
    return process;
  };
  try {
    const [gateway, ...ready] = await Promise.all([
      readyOf(start(['gateway'])),
      ...Array.from({ length: workers }, () => readyOf(start(['worker']))),
    ]);
    const workerPids = ready.map(({ pid }) => pid);
    return {
      repository,
      url: `http://127.0.0.1:${gateway.http_port}`,
      metricsUrls: [gateway, ...ready].map((one) => `http://127.0.0.1:${one.metrics_port}/metrics`),
      pids: { gateway: gateway.pid, worker: workerPids[0] ?? 0, redis: redis.pid },
      workerPids,
      roots: [redis.pid, ...started.map(({ pid }) => pid)],
      start,
      close,
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

/** Puts a model into a repository. */
async function place(model: ServedModel, repository: string): Promise<void> {
  const folder = join(repository, model.name);
  if ('folder' in model) return cp(model.folder, folder, { recursive: true });
  const version = join(folder, '1');
  await mkdir(version, { recursive: true });
  await writeFile(join(folder, 'model.yaml'), model.yaml);
  if (model.file !== undefined) await copyFile(model.file, join(version, 'model.onnx'));
}

interface Ready {
  readonly pid: number;
  readonly http_port: number;
  readonly metrics_port: number;
}

/** The line by which a role says that it is ready, as what it says. */
async function readyOf(process: AppProcess): Promise<Ready> {
  const line = await process.waitForLine(/"msg":"ready"/u, 60_000);
  return JSON.parse(line) as Ready;
}
