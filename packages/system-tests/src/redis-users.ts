/** A Redis with users, made as an operator makes them. */
import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type RedisLogin, type RedisServerOptions, repositoryPath } from '@inferry/testkit';

export interface RedisUsers {
  /** For a server that has these users; its URL is that of the user of gateways and workers. */
  readonly server: Pick<RedisServerOptions, 'extraArguments' | 'login'>;
  readonly logins: Readonly<Record<'inferry' | 'admin' | 'exporter' | 'keda', RedisLogin>>;
}

/** Runs infra/redis/make-users.mjs; the ACL file lies in a temporary directory. */
export async function makeRedisUsers(): Promise<RedisUsers> {
  const file = join(await mkdtemp(join(tmpdir(), 'inferry-users-')), 'users.acl');
  const script = repositoryPath('infra/redis/make-users.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--out', file]);
  const loginOf = (variable: string): RedisLogin => {
    const line = stdout.split('\n').find((text) => text.startsWith(`${variable}=`));
    const { username, password } = new URL(line?.slice(variable.length + 1) ?? '');
    return { username, password };
  };
  const logins = {
    inferry: loginOf('REDIS_URL'),
    admin: loginOf('REDIS_URL_ADMIN'),
    exporter: loginOf('REDIS_URL_EXPORTER'),
    keda: loginOf('REDIS_URL_KEDA'),
  };
  return { server: { extraArguments: ['--aclfile', file], login: logins.inferry }, logins };
}
