/** Commands on models and their versions. Nothing is loaded. */
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import type { Report } from '../models-doctor.ts';
import { isS3 } from '../sources/s3-location.ts';
import { listModels, removeModel, showModel } from './manage.ts';
import { orderModel } from './order.ts';
import { labelModel, rollBack, shareTraffic } from './route.ts';

const commands = {
  'models list': async (words) => ok(await listModels(words)),
  'models show': showModel,
  'models rm': removeModel,
  'models label': labelModel,
  'models traffic': shareTraffic,
  'models rollback': rollBack,
  'models load': (words) => orderModel('load', words),
  'models unload': (words) => orderModel('unload', words),
} as const satisfies Record<
  string,
  (words: Pick<Invocation, 'flags' | 'operands'>) => Promise<Result<Report, string>>
>;

export type ManagingCommand = keyof typeof commands;

/** The error is one of usage. `env` says how S3 is reached. */
export async function manageModels(
  name: ManagingCommand,
  words: Pick<Invocation, 'flags' | 'operands'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Result<Report, string>> {
  const { flags, operands } = words;
  const isList = name === 'models list';
  if (isList && operands[0] !== undefined && flags.has('models')) {
    return err('the repository is given twice: as an argument and as --models');
  }
  const where = (isList ? operands[0] : undefined) ?? flags.get('models') ?? '';
  if (!isS3(where)) return commands[name](words);
  const { remoteCommands } = await import('./remote.ts');
  if (isRemote(name, remoteCommands)) return remoteCommands[name](words, where, env);
  return err(`--models must be a directory for "${name}", not ${JSON.stringify(where)}`);
}

function isRemote<Names extends object>(
  name: PropertyKey,
  remote: Names,
): name is keyof Names & PropertyKey {
  return Object.hasOwn(remote, name);
}
