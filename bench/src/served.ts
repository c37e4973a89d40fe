/** A system of its own for one benchmark: a model repository, Redis, a gateway and workers on free ports. */
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AppProcess, startProcess, startRedisServer } from '@inferry/testkit';

export interface ServedModel {
  readonly name: string;
  /** Text of its model.yaml. */
  readonly yaml: string;
  /** Path of its ONNX file; none for a simulated model. */
  readonly file?: string;
}

export interface Served {
  /** Of the gateway, without a slash at its end. */
  readonly url: string;
  readonly pids: { readonly gateway: number; readonly worker: number; readonly redis: number };
  readonly close: () => Promise<void>;
}

/** Resolves when every process is ready. */
export async function serve(
  model: ServedModel,
  {
    workers = 1,
    env = {},
  }: { readonly workers?: number; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Served> {
  const models = await mkdtemp(join(tmpdir(), 'inferry-bench-'));
  const version = join(models, model.name, '1');
  await mkdir(version, { recursive: true });
  await writeFile(join(models, model.name, 'model.yaml'), model.yaml);
  if (model.file !== undefined) await copyFile(model.file, join(version, 'model.onnx'));
  const redis = await startRedisServer();
  const started: AppProcess[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(started.map((process) => process.stop()));
    await redis[Symbol.asyncDispose]();
    await rm(models, { recursive: true, force: true });
  };
  const start = (role: string): Promise<{ readonly pid: number; readonly http_port: number }> => {
    const process = startProcess([role, '--models', models], {
      env: { REDIS_URL: redis.url, PORT: '0', METRICS_PORT: '0', ...env },
    });
    started.push(process);
    return readyOf(process);
  };
  try {
    const [worker] = await Promise.all(Array.from({ length: workers }, () => start('worker')));
    const gateway = await start('gateway');
    return {
      url: `http://127.0.0.1:${gateway.http_port}`,
      pids: { gateway: gateway.pid, worker: worker?.pid ?? 0, redis: redis.pid },
      close,
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

/** The line by which a role says that it is ready, as what it says. */
async function readyOf(
  process: AppProcess,
): Promise<{ readonly pid: number; readonly http_port: number }> {
  const line = await process.waitForLine(/"msg":"ready"/u, 30_000);
  return JSON.parse(line) as { readonly pid: number; readonly http_port: number };
}
