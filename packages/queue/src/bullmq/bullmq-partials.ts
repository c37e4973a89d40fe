/** Partial outputs on Redis: a stream for each job that tells some, beside its outcome. */
import { decodeOutput, encodeOutput } from '@inferry/contracts';
import { invariant, err, ok, type Result } from '@inferry/runtime';
import {
  type PartialMark,
  type PartialOutput,
  type PartialRefusal,
  type PartialsRead,
  partialBytesPerRead,
  partialsPerRead,
  type PartialStore,
  tooManyPartials,
} from '../partials.ts';
import { storageExhausted, unavailable } from '../refusals.ts';
import { causeOf } from './connection.ts';
import { asBuffer, guard, type QueueContext } from './queue-context.ts';
import { asBytes, asInteger, asList, type Reply } from './script-runner.ts';

const states = ['gone', 'queued', 'running', 'ended'] as const;

export function bullmqPartials({
  followers,
  names,
  options,
  run,
  subscribe,
}: QueueContext): PartialStore {
  return {
    async emit(cls, claim, number, output): Promise<Result<'told' | 'lost', PartialRefusal>> {
      try {
        const code = await run('emit', cls, [
          claim.job.id,
          claim.fence,
          number,
          asBuffer(encodeOutput(output)),
          options.partialsPerJobMax,
          options.partialBytesPerJobMax,
          names.outcomeChannel,
        ]);
        if (code === 2) return err(tooManyPartials('number', options));
        if (code === 3) return err(tooManyPartials('bytes', options));
        return ok(code === 1 ? 'told' : 'lost');
      } catch (cause) {
        const kind = causeOf(cause);
        if (kind === 'bug') throw cause;
        return err(refusalFor(kind));
      }
    },

    follow({ class: cls, id }, wake) {
      return {
        read: (mark) =>
          guard(async () => {
            // Before the state is read: what happens from then on is told.
            await subscribe();
            const { epoch, number } = mark;
            const processId = options.processId;
            return readOf(
              await run('readPartials', cls, [
                id,
                epoch,
                number,
                processId,
                partialsPerRead,
                partialBytesPerRead,
              ]),
            );
          }),
        stop: followers.add(id, wake),
      };
    },
  };
}

function refusalFor(kind: 'memory' | 'unreachable'): PartialRefusal {
  const { code, ...rest } = kind === 'memory' ? storageExhausted() : unavailable();
  return { ...rest, code: code === 'queue_unavailable' ? code : 'storage_exhausted' };
}

/** What the script answers: state, attempt, epoch, last number, whether the place is void, parts. */
function readOf(reply: Reply): PartialsRead {
  const list = asList(reply);
  const [state = 0, attempt = 0, epoch = 0, last = 0, isVoid = 0] = list.slice(0, 5).map(asInteger);
  const partials = list.slice(5).map((entry): PartialOutput => {
    const [id, fields] = asList(entry);
    return {
      mark: markOf(asBytes(id).toString()),
      output: decodeOutput(asBytes(asList(fields)[3])),
    };
  });
  const hasMore = partials.length > 0 && partials.at(-1)?.mark.number !== last;
  invariant(
    partials.every(({ mark }) => mark.epoch === epoch),
    'partial outputs of one start are together',
  );
  return { state: states[state] ?? 'gone', attempt, isReset: isVoid === 1, partials, hasMore };
}

function markOf(id: string): PartialMark {
  const [epoch, number] = id.split('-').map(Number);
  invariant(
    epoch !== undefined && number !== undefined,
    'a partial output has an epoch and a number',
  );
  return { epoch, number };
}
