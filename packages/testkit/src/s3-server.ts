/**
 * A local S3 server (moto) for a test, on a free loopback port, with everything in memory. It checks signatures and
 * knows one user, who may do anything. A server that cannot be had is an error: tests on S3 are never skipped.
 */
import { spawn } from 'node:child_process';
import { ensureS3Server } from '../../../scripts/ensure-s3-server.mjs';
import { freePort } from './free-port.ts';
import { registerLive } from './live-resources.ts';
import { waitFor } from './wait-for.ts';

export interface S3Server {
  readonly url: string;
  /** What reaches it, as every tool for S3 reads it. */
  readonly env: Readonly<Record<string, string>>;
  [Symbol.asyncDispose](): Promise<void>;
}

const startMsMax = 60_000;

export async function startS3Server(): Promise<S3Server> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const argv = ['-m', 'moto.server', '--host', '127.0.0.1', '--port', String(port)];
  const child = spawn(ensureS3Server(), argv, { stdio: ['ignore', 'ignore', 'pipe'] });
  const unregister = registerLive(`moto on port ${port}`, () => void child.kill('SIGKILL'));
  let told = '';
  child.stderr.on('data', (chunk: Buffer) => {
    told = (told + chunk.toString()).slice(-4_000);
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      unregister();
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  try {
    await waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error(`moto ended: ${told}`);
        return (await fetch(`${url}/moto-api/`)).ok;
      },
      { timeoutMs: startMsMax, what: 'moto' },
    );
    return { url, env: await credentials(url), [Symbol.asyncDispose]: stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

/** Makes the user, and then turns on what asks everybody for a signature. */
async function credentials(url: string): Promise<Readonly<Record<string, string>>> {
  const statement = { Effect: 'Allow', Action: '*', Resource: '*' };
  const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await iam(url, { Action: 'CreateUser', UserName: 'tester' });
  await iam(url, {
    Action: 'PutUserPolicy',
    UserName: 'tester',
    PolicyName: 'all',
    PolicyDocument: policy,
  });
  const answer = await iam(url, { Action: 'CreateAccessKey', UserName: 'tester' });
  await post(`${url}/moto-api/reset-auth`, '0', {});
  return {
    AWS_ENDPOINT_URL: url,
    AWS_ACCESS_KEY_ID: within(answer, 'AccessKeyId'),
    AWS_SECRET_ACCESS_KEY: within(answer, 'SecretAccessKey'),
  };
}

/** Nobody looks at the signature yet; it names the service. */
function iam(url: string, form: Readonly<Record<string, string>>): Promise<string> {
  const scope = 'Credential=tester/20260101/us-east-1/iam/aws4_request';
  const authorization = `AWS4-HMAC-SHA256 ${scope}, SignedHeaders=host, Signature=0`;
  const body = new URLSearchParams({ Version: '2010-05-08', ...form }).toString();
  const type = 'application/x-www-form-urlencoded';
  return post(`${url}/`, body, { authorization, 'content-type': type });
}

async function post(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const response = await fetch(url, { method: 'POST', headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`moto answered ${response.status}: ${text.slice(0, 400)}`);
  return text;
}

function within(xml: string, tag: string): string {
  const value = new RegExp(`<${tag}>([^<]+)</${tag}>`, 'u').exec(xml)?.[1];
  if (value === undefined) throw new Error(`no ${tag} in ${xml.slice(0, 400)}`);
  return value;
}
