/**
 * The whole system as an operator runs it, for tests: real processes around a real Redis, spoken to
 * over HTTP only. Every process started here is stopped by {@link System.stop}.
 */
import { parseExposition } from '@inferry/telemetry';
import {
  type AppProcess,
  type RedisServer,
  type RedisServerOptions,
  repositoryPath,
  startProcess,
  startRedisServer,
} from '@inferry/testkit';
import { makeRedisUsers } from './redis-users.ts';

export const demoModels = repositoryPath('models');
export const fixtureModels = repositoryPath('packages/testkit/fixtures/models');

/** A role of the command that said it is ready. */
export interface RunningRole {
  readonly process: AppProcess;
  /** The process that does the work, below its supervisor. */
  readonly childPid: number;
  readonly url: string;
  readonly metricsUrl: string;
  /** Null where gRPC is off, as it is unless a test asks for it. */
  readonly grpcPort: number | null;
}

/** A JSON document as it came; tests say what they expect of it. */
export type Document = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Document;
}

export class System {
  readonly redis: RedisServer;
  readonly #env: Readonly<Record<string, string>>;
  readonly #started: AppProcess[] = [];

  private constructor(redis: RedisServer, env: Readonly<Record<string, string>>) {
    this.redis = redis;
    this.#env = env;
  }

  static async open(
    redisOptions: RedisServerOptions = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<System> {
    // `npm run test:users`: the processes have the rights of their user alone.
    const hasUsers = process.env['INFERRY_TEST_REDIS_USERS'] === '1';
    const asUser = hasUsers ? (await makeRedisUsers()).server : {};
    return new System(await startRedisServer({ ...redisOptions, ...asUser }), env);
  }

  /** Starts a role on the given model repository and resolves once it is ready. */
  async start(
    role: 'gateway' | 'worker',
    models: string,
    argv: readonly string[] = [],
  ): Promise<RunningRole> {
    const process = startProcess([role, '--models', models, ...argv], {
      env: { REDIS_URL: this.redis.url, PORT: '0', METRICS_PORT: '0', ...this.#env },
    });
    this.#started.push(process);
    return readiness(process, role);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#started.map((process) => process.stop()));
    await this.redis[Symbol.asyncDispose]();
  }
}

/** Waits for the (next) line by which a role says that it is ready. */
export async function readiness(
  process: AppProcess,
  role: string,
  isNew: (pid: number) => boolean = () => true,
): Promise<RunningRole> {
  const line = await process.waitForLine((text) => {
    if (!text.includes('"msg":"ready"')) return false;
    return isNew((JSON.parse(text) as { readonly pid: number }).pid);
  }, 60_000);
  const ready = JSON.parse(line) as {
    readonly pid: number;
    readonly http_port?: number;
    readonly grpc_port: number | null;
    readonly metrics_port: number;
  };
  if (role !== 'worker' && ready.http_port === undefined)
    throw new Error(`no http_port in ${line}`);
  return {
    process,
    childPid: ready.pid,
    url: `http://127.0.0.1:${ready.http_port ?? 0}`,
    grpcPort: ready.grpc_port,
    metricsUrl: `http://127.0.0.1:${ready.metrics_port}`,
  };
}

export async function call(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? {} : (JSON.parse(text) as Document),
  };
}

export function postJson(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return call(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

/** The job once it has ended: long-polls until then, at most `timeoutMs`. */
export async function ended(base: string, id: string, timeoutMs = 60_000): Promise<Document> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const { status, body } = await call(`${base}/v1/jobs/${id}?wait=20`);
    if (status === 200 && body['done'] === true) return body;
    if (performance.now() > untilMs) {
      throw new Error(`job ${id} has not ended: ${status} ${JSON.stringify(body)}`);
    }
  }
}

/** Runs `task` for every item, at most `width` at a time, and keeps the order. */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  task: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await task(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}

/** Sum of a metric over all its series that carry the given labels, over all given processes. */
export async function metricSum(
  roles: readonly RunningRole[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  let sum = 0;
  for (const role of roles) {
    const text = await (await fetch(`${role.metricsUrl}/metrics`)).text();
    for (const [series, value] of parseExposition(text)) {
      if (series !== name && !series.startsWith(`${name}{`)) continue;
      const fits = Object.entries(labels).every(([key, label]) =>
        series.includes(`${key}="${label}"`),
      );
      if (fits) sum += value;
    }
  }
  return sum;
}
