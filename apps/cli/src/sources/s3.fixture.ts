/** A bucket of its own on a server that a test file shares, and what a test does with it beside our own commands. */
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
} from '@aws-sdk/client-s3';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '@inferry/runtime';
import type { S3Server } from '@inferry/testkit';
import { PullPlace, type Pulled } from '../pull/pull.fixture.ts';
import { parsePushOptions } from '../push/options.ts';
import { pushModel } from '../push/push.ts';
import { type ManagingCommand, manageModels } from '../repository/commands.ts';

let buckets = 0;

/** A folder and a bucket of a test, and the commands between them. */
export class S3Place {
  readonly here: PullPlace;
  readonly bucket: Bucket;
  /** With which commands reach the server, or what a test has put before it. */
  env: Readonly<Record<string, string>>;

  private constructor(here: PullPlace, bucket: Bucket, env: Readonly<Record<string, string>>) {
    this.here = here;
    this.bucket = bucket;
    this.env = env;
  }

  static async make(server: S3Server): Promise<S3Place> {
    return new S3Place(await PullPlace.make(), await Bucket.make(server), server.env);
  }

  /** `path` is that in the bucket. */
  pull(path: string, flags: Record<string, string> = {}, idleMs = 5_000): Promise<Pulled> {
    return this.here.pull(`s3://${this.bucket.name}/${path}`, flags, idleMs, this.env);
  }

  /** From the folder `from` of this place; `target` is a folder in the bucket. */
  async push(
    from: string,
    model: string,
    flags: Record<string, string> = {},
    { stop, target = 'models' }: { readonly stop?: AbortSignal; readonly target?: string } = {},
  ): Promise<Pulled> {
    const told = { out: '', told: '' };
    const parsed = parsePushOptions({
      operands: [model, `s3://${this.bucket.name}/${target}`],
      flags: new Map(Object.entries({ models: join(this.here.folder, from), ...flags })),
    });
    if (!parsed.ok) return { code: 2, ...told, told: parsed.error.join('\n') };
    const code = await pushModel(parsed.value, {
      clock: systemClock,
      env: this.env,
      print: (text) => void (told.out += text),
      complain: (text) => void (told.told += text),
      progress: () => undefined,
      idleMs: 5_000,
      ...(stop === undefined ? {} : { stop }),
    });
    return { code, ...told };
  }

  where(path: string): string {
    return `s3://${this.bucket.name}/${path}`;
  }

  /** On the folder `models` of the bucket; what is printed. */
  async manage(
    name: ManagingCommand,
    operands: readonly string[] = [],
    flags: Record<string, string> = {},
  ): Promise<string> {
    const words = { models: this.where('models'), ...flags };
    const told = await manageModels(
      name,
      { operands, flags: new Map(Object.entries(words)) },
      this.env,
    );
    return told.ok ? `${told.value.data}${told.value.remarks}` : told.error;
  }

  async remove(): Promise<void> {
    this.bucket.close();
    await this.here.remove();
  }
}

export class Bucket {
  readonly name: string;
  readonly #client: S3Client;

  private constructor(name: string, client: S3Client) {
    this.name = name;
    this.#client = client;
  }

  static async make({ env }: S3Server): Promise<Bucket> {
    buckets += 1;
    const name = `models-${process.pid}-${buckets}`;
    const client = new S3Client({
      endpoint: env['AWS_ENDPOINT_URL'] ?? '',
      region: 'us-east-1',
      forcePathStyle: true,
      requestChecksumCalculation: 'WHEN_REQUIRED',
      credentials: {
        accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '',
        secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '',
      },
    });
    await client.send(new CreateBucketCommand({ Bucket: name }));
    return new Bucket(name, client);
  }

  async put(
    key: string,
    bytes: Uint8Array | string,
    more: Partial<PutObjectCommandInput> = {},
  ): Promise<void> {
    await this.#client.send(
      new PutObjectCommand({ Bucket: this.name, Key: key, Body: bytes, ...more }),
    );
  }

  async text(key: string): Promise<string> {
    const got = await this.#client.send(new GetObjectCommand({ Bucket: this.name, Key: key }));
    return (await got.Body?.transformToString()) ?? '';
  }

  async remove(key: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.name, Key: key }));
  }

  async keys(): Promise<readonly string[]> {
    const listed = await this.#client.send(new ListObjectsV2Command({ Bucket: this.name }));
    return (listed.Contents ?? []).map(({ Key = '' }) => Key);
  }

  /** Keys of uploads in parts that were begun and neither ended nor taken back. */
  async unfinished(): Promise<readonly string[]> {
    const listed = await this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.name }));
    return (listed.Uploads ?? []).map(({ Key = '' }) => Key);
  }

  close(): void {
    this.#client.destroy();
  }
}

/** What happens to one request on its way. */
interface Fault {
  /** Answers in the server's place. */
  readonly answer?: (response: ServerResponse) => void;
  /** Breaks the connection after so many bytes of the body, once they `hasArrived`. */
  readonly cutAfter?: number;
  readonly hasArrived?: (bytes: number) => Promise<void>;
  /** Until it resolves the request is not passed on. */
  readonly until?: Promise<unknown>;
}

export interface FaultyWay {
  readonly url: string;
  /** Method, path and Range of what was asked. */
  readonly asked: readonly string[];
  /** What is to happen to a request; nothing by default. */
  fault: (asked: string) => Fault | undefined;
  close(): Promise<void>;
}

/** A server in front of another that passes everything on, except where a test wants it to break. */
export async function startFaultyWay(target: string): Promise<FaultyWay> {
  const asked: string[] = [];
  const server = createServer((incoming, response) => {
    const { headers, method = '', url = '' } = incoming;
    const range = headers.range === undefined ? '' : ` ${headers.range}`;
    const line = `${method} ${url.replace(/\?.*$/u, '')}${range}`;
    asked.push(line);
    const fault = way.fault(line);
    if (fault?.answer !== undefined) {
      incoming.resume();
      fault.answer(response);
      return;
    }
    void (fault?.until ?? Promise.resolve()).then(() => pass(target, incoming, response, fault));
  });
  const way: FaultyWay = {
    url: '',
    asked,
    fault: () => undefined,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return Object.assign(way, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

function pass(
  target: string,
  incoming: IncomingMessage,
  response: ServerResponse,
  fault: Fault | undefined,
): void {
  const { headers, method, url } = incoming;
  const onward = request(`${target}${url ?? ''}`, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    const { cutAfter, hasArrived } = fault ?? {};
    if (cutAfter === undefined) {
      answer.pipe(response);
      return;
    }
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => void chunks.push(chunk));
    answer.on('end', () => {
      response.write(Buffer.concat(chunks).subarray(0, cutAfter));
      void (hasArrived?.(cutAfter) ?? Promise.resolve()).finally(() => response.destroy());
    });
  });
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  incoming.pipe(onward);
}
