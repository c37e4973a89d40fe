/** Runs the scripts of the lua files beside it by their hash, with replies as bytes. */
import { createHash } from 'node:crypto';
import type { ClassId } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { Redis } from 'ioredis';
import {
  cancelScript,
  enqueueScript,
  eraseScript,
  findScript,
  quoteScript,
} from './lua-gateway.ts';
import { emitScript, readPartialsScript } from './lua-partials.ts';
import { addStatisticsScript, flowsScript, statisticsScript, statsScript } from './lua-stats.ts';
import {
  claimScript,
  giveBackScript,
  offerScript,
  renewScript,
  settleScript,
  sweepScript,
} from './lua-worker.ts';

/**
 * Every script, as it is; tests break some of them.
 * @internal
 */
export const scripts = {
  enqueue: enqueueScript,
  quote: quoteScript,
  claim: claimScript,
  settle: settleScript,
  renew: renewScript,
  offer: offerScript,
  giveBack: giveBackScript,
  sweep: sweepScript,
  find: findScript,
  cancel: cancelScript,
  erase: eraseScript,
  emit: emitScript,
  readPartials: readPartialsScript,
  stats: statsScript,
  flows: flowsScript,
  addStatistics: addStatisticsScript,
  statistics: statisticsScript,
} as const;

type ScriptName = keyof typeof scripts;
export type Scripts = Readonly<Record<ScriptName, string>>;
export type Argument = string | number | Buffer;
/** What a script answers: integers, byte strings, nulls and lists of them. */
export type Reply = number | Buffer | null | readonly Reply[];

/** Commands are named by content, so that processes of different versions can share one Redis. */
function commandName(name: ScriptName, text: string): string {
  return `inferry_${name}_${createHash('sha1').update(text).digest('hex').slice(0, 8)}`;
}

export type RunScript = (
  name: ScriptName,
  cls: ClassId,
  args: readonly Argument[],
) => Promise<Reply>;

/** Call right after the connection was made: its commands must exist before the first one is queued. */
export function scriptRunner(
  redis: Redis,
  prefixOf: (cls: ClassId) => string,
  others: Partial<Scripts>,
): RunScript {
  const names = new Map<ScriptName, string>();
  for (const [name, lua] of Object.entries({ ...scripts, ...others }) as [ScriptName, string][]) {
    const command = commandName(name, lua);
    names.set(name, command);
    redis.defineCommand(command, { numberOfKeys: 1, lua });
  }
  const commands = redis as unknown as Record<
    string,
    ((...args: readonly Argument[]) => Promise<Reply>) | undefined
  >;
  return (name, cls, args) => {
    const run = commands[`${names.get(name)}Buffer`];
    invariant(run !== undefined, `the command for script ${name} is defined`);
    return run.call(redis, prefixOf(cls), ...args);
  };
}

/** Readers of replies: a reply of another type is a bug in a script. */
export function asInteger(reply: Reply | undefined): number {
  invariant(typeof reply === 'number', 'a script answered an integer here');
  return reply;
}

export function asList(reply: Reply | undefined): readonly Reply[] {
  invariant(Array.isArray(reply), 'a script answered a list here');
  return reply as readonly Reply[];
}

export function asBytes(reply: Reply | undefined): Buffer {
  invariant(Buffer.isBuffer(reply), 'a script answered bytes here');
  return reply;
}
