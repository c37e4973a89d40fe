/**
 * A real Prometheus for a test: the shipped configuration and rules, with a second in place of the shipped
 * intervals and given addresses in place of names, on a free loopback port, with a directory of its own.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, registerLive, repositoryPath, waitFor } from '@inferry/testkit';
import { parse, stringify } from 'yaml';
import { ensurePrometheus } from '../../../../scripts/ensure-prometheus.mjs';

/** Addresses (`host:port`) by the name of the scrape job. */
export type ScrapeTargets = Readonly<Record<string, readonly string[]>>;

/** One element of an instant vector. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A rule as Prometheus tells it after it was evaluated. */
interface RuleStatus {
  readonly name: string;
  readonly type: 'recording' | 'alerting';
  readonly labels: Readonly<Record<string, string>>;
  /** `ok`, `err`, or `unknown` before its first evaluation. */
  readonly health: string;
  readonly lastError: string;
  /** Of an alert: what it was raised for. Undefined for a recording rule. */
  readonly alerts?: readonly {
    readonly state: 'firing' | 'pending';
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
}

export interface PrometheusServer {
  readonly url: string;
  /** Instant query; throws with the message of Prometheus when it cannot be evaluated. */
  query(expression: string): Promise<readonly Sample[]>;
  rules(): Promise<readonly RuleStatus[]>;
  /** Kills it and removes its directory. */
  [Symbol.asyncDispose](): Promise<void>;
}

const infra = repositoryPath('infra/prometheus');
const outputLinesMax = 100;

interface Configuration {
  global: Record<string, string>;
  scrape_configs: readonly (Record<string, unknown> & { readonly job_name: string })[];
  [key: string]: unknown;
}

/** Starts a server that scrapes the targets every second; resolves once it is ready. */
export async function startPrometheus(targets: ScrapeTargets): Promise<PrometheusServer> {
  const directory = await mkdtemp(join(tmpdir(), 'inferry-prometheus-'));
  await writeConfiguration(directory, targets);
  const port = await freePort();
  const argv = [
    `--config.file=${join(directory, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--storage.tsdb.retention.time=31d',
    '--enable-feature=exemplar-storage',
    '--log.level=warn',
  ];
  const child = spawn(ensurePrometheus().prometheus.path, argv, {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const output: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => {
    output.push(...chunk.toString().split('\n'));
    output.splice(0, output.length - outputLinesMax);
  });
  const unregister = registerLive(`prometheus on port ${port}`, () => child.kill('SIGKILL'));
  let hasExited = false;
  const exited = new Promise<void>((resolve) => {
    child.once('error', (cause) => output.push(String(cause)));
    child.once('close', () => {
      hasExited = true;
      unregister();
      resolve();
    });
  });
  const url = `http://127.0.0.1:${port}`;
  const server: PrometheusServer = {
    url,
    query: (expression) => query(url, expression),
    rules: () => rules(url),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await waitFor(async () => hasExited || (await fetch(`${url}/-/ready`)).ok, {
      timeoutMs: 30_000,
      what: `prometheus on port ${port} to be ready`,
    });
    if (hasExited) throw new Error(`prometheus did not start:\n${output.join('\n').trim()}`);
  } catch (cause) {
    await server[Symbol.asyncDispose]();
    throw cause;
  }
  return server;
}

/** The shipped files, with shorter intervals, given targets and without what is not in the test. */
async function writeConfiguration(directory: string, targets: ScrapeTargets): Promise<void> {
  const read = (name: string): Promise<string> => readFile(join(infra, name), 'utf8');
  const shipped = parse(await read('prometheus.yml')) as Configuration;
  const configuration = {
    ...shipped,
    alerting: undefined,
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    scrape_configs: shipped.scrape_configs
      .filter(({ job_name: name }) => Object.hasOwn(targets, name))
      .map((job) => ({
        ...job,
        dns_sd_configs: undefined,
        static_configs: [{ targets: targets[job.job_name] }],
      })),
  };
  await mkdir(join(directory, 'rules'));
  await writeFile(join(directory, 'prometheus.yml'), stringify(configuration));
  const text = await read('rules/inferry.yml');
  await writeFile(
    join(directory, 'rules', 'inferry.yml'),
    text.replaceAll(/^( +interval:) \w+$/gmu, '$1 1s'),
  );
}

interface Reply {
  readonly status: 'success' | 'error';
  readonly error?: string;
  readonly data: {
    readonly resultType?: string;
    readonly result?: unknown;
    readonly groups?: readonly { readonly rules: readonly RuleStatus[] }[];
  };
}

async function query(url: string, expression: string): Promise<readonly Sample[]> {
  const body = new URLSearchParams({ query: expression });
  const response = await fetch(`${url}/api/v1/query`, { method: 'POST', body });
  const { status, error, data } = (await response.json()) as Reply;
  if (status !== 'success') throw new Error(`${error ?? 'no message'}, in: ${expression}`);
  if (data.resultType === 'scalar') {
    return [{ labels: {}, value: Number((data.result as readonly string[])[1]) }];
  }
  const vector = data.result as readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly value: readonly [number, string];
  }[];
  return vector.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
}

async function rules(url: string): Promise<readonly RuleStatus[]> {
  const { data } = (await (await fetch(`${url}/api/v1/rules`)).json()) as Reply;
  return (data.groups ?? []).flatMap((group) =>
    group.rules.map((rule) => ({ ...rule, lastError: rule.lastError ?? '' })),
  );
}
