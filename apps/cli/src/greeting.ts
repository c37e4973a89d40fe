/** What `inferry serve` prints once it is ready: addresses, and three requests to paste into a shell. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { exampleRow, type ModelManifest, type TensorSpec } from '@inferry/contracts';

export interface GreetingOptions {
  readonly host: string;
  readonly httpPort: number;
  /** Null where gRPC is off. */
  readonly grpcPort: number | null;
  readonly metricsPort: number;
  readonly modelsDir: string;
  readonly models: readonly ModelManifest[];
  readonly isQueueInMemory: boolean;
}

/** A request body, as arguments of curl. */
interface Example {
  readonly model: string;
  readonly isImage: boolean;
  readonly curlArguments: string;
}

/** Values of a real flower: the middle of the declared ranges would be a strange one. */
const irisRow: Readonly<Record<string, number>> = {
  sepal_length: 5.1,
  sepal_width: 3.5,
  petal_length: 1.4,
  petal_width: 0.2,
};

/** Larger tensors make no readable command. */
const elementsMax = 64;

/** The text, with a line feed at its end. The commands work in the directory the server was started in. */
export function greeting(options: GreetingOptions): string {
  const base = `http://${reachableHost(options.host)}:${options.httpPort}`;
  const operators = `http://${reachableHost(options.host)}:${options.metricsPort}`;
  const lines = ['', `Inferry is ready on ${base}`, ''];
  const examples = options.models.flatMap((manifest) => exampleOf(manifest, options.modelsDir));
  const now = examples.find((example) => !example.isImage) ?? examples[0];
  const later = examples.find((example) => example.isImage) ?? examples[0];
  if (now === undefined || later === undefined) {
    lines.push('What the models take:', '', `  curl -s ${base}/v1/models`, '');
  } else {
    lines.push(
      'Ask, and wait for the answer; submit, and keep the id of the job; read its result:',
      '',
      `  curl -s ${base}/v1/models/${now.model}/jobs -H 'Prefer: wait=10' ${now.curlArguments}`,
      `  JOB=$(curl -s ${base}/v1/models/${later.model}/jobs ${later.curlArguments} | grep -o 'job_[0-9a-z]*' | head -n 1)`,
      `  curl -s "${base}/v1/jobs/$JOB?wait=10"`,
      '',
    );
  }
  lines.push(`Docs     ${base}/docs`);
  const grpc = `${reachableHost(options.host)}:${options.grpcPort}`;
  if (options.grpcPort !== null) lines.push(`gRPC     ${grpc} (Open Inference Protocol v2)`);
  lines.push(`Metrics  ${operators}/metrics`);
  if (options.isQueueInMemory) {
    lines.push(
      'Queue    in memory: queued work does not survive a restart.',
      '         To keep it, set REDIS_URL, e.g. REDIS_URL=redis://127.0.0.1:6379',
    );
  }
  return `${lines.join('\n')}\n\n`;
}

/** Nothing where no body can be made up that the model would take. */
function exampleOf(manifest: ModelManifest, modelsDir: string): Example[] {
  const { name, preprocess } = manifest;
  switch (preprocess.kind) {
    case 'image': {
      const picture = samplePicture(join(modelsDir, name, 'samples'));
      if (picture === undefined) return [];
      const type = picture.endsWith('.png') ? 'image/png' : 'image/jpeg';
      const curlArguments = `-H 'Content-Type: ${type}' --data-binary ${quoted(`@${picture}`)}`;
      return [{ model: name, isImage: true, curlArguments }];
    }
    case 'text':
    case 'tensor': {
      const row = exampleRow(manifest);
      return row === undefined ? [] : [jsonExample(name, row)];
    }
    case 'tabular': {
      const row = Object.entries(exampleRow(manifest) ?? {});
      const filled = row.map(([column, value]) => [column, irisRow[column] ?? value]);
      return [jsonExample(name, Object.fromEntries(filled))];
    }
    case 'none': {
      const tensors = manifest.inputs.flatMap(zeros);
      if (tensors.length < manifest.inputs.length) return [];
      return [jsonExample(name, { inputs: tensors })];
    }
  }
}

function jsonExample(model: string, input: object): Example {
  const body = quoted(JSON.stringify({ input }));
  return {
    model,
    isImage: false,
    curlArguments: `-H 'Content-Type: application/json' -d ${body}`,
  };
}

/** One row of zeros; nothing for a tensor too large to show. */
function zeros({ name, datatype, shape }: TensorSpec): object[] {
  const one = shape.map((dimension) => Math.max(1, dimension));
  const count = one.reduce((product, dimension) => product * dimension, 1);
  if (count > elementsMax) return [];
  const zero = datatype === 'BYTES' ? '' : datatype === 'BOOL' ? false : 0;
  return [{ name, datatype, shape: one, data: Array.from({ length: count }, () => zero) }];
}

/** The first picture kept beside a model to try it with, a PNG rather than a JPEG. */
function samplePicture(folder: string): string | undefined {
  let names: string[];
  try {
    names = readdirSync(folder).toSorted();
  } catch {
    // No such folder: not every model has samples.
    return undefined;
  }
  const found =
    names.find((name) => name.endsWith('.png')) ?? names.find((name) => /\.jpe?g$/u.test(name));
  return found === undefined ? undefined : join(folder, found);
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/u.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Where a caller on this machine reaches a server that listens on `host`. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
