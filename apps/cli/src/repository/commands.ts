/** Commands on models and their versions. Nothing is loaded. */
import { ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import type { Report } from '../models-doctor.ts';
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

/** The error is one of usage. */
export function manageModels(
  name: ManagingCommand,
  words: Pick<Invocation, 'flags' | 'operands'>,
): Promise<Result<Report, string>> {
  return commands[name](words);
}
