/** What happens in a random history of one class (history.fixture.ts), and how often. */
import fc from 'fast-check';
import { foreverMs } from './recorder.fixture.ts';

/** `pick`, `worker` and `subset` choose among what there is when the command is run. */
export type Command =
  | {
      readonly do: 'enqueue';
      readonly flow: number;
      readonly rows: number;
      readonly queueTimeoutMs: number;
      readonly deadlineMs: number;
    }
  | {
      readonly do: 'claim';
      readonly worker: number;
      readonly rowsMax: number;
      readonly rowsMin: number;
      readonly takeSuspect: boolean;
    }
  | {
      readonly do: 'settle';
      readonly worker: number;
      readonly subset: number;
      readonly succeeds: boolean;
    }
  | {
      readonly do: 'fail';
      readonly worker: number;
      readonly subset: number;
      readonly asSuspects: boolean;
    }
  | { readonly do: 'crash' | 'join' | 'leave'; readonly worker: number }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'cancel'; readonly pick: number }
  | { readonly do: 'sweep' };

export interface Scene {
  readonly flows: readonly {
    readonly tenant: string;
    readonly priority: 'high' | 'normal' | 'low';
    readonly weight: number;
  }[];
  readonly rowsMax: number;
  readonly agingMs: number;
  /** Relative frequency of what disturbs the order: 0 for none. */
  readonly storms: number;
  /** Relative frequency of jobs that end while they wait. */
  readonly endings: number;
}

export function histories(scene: Scene): fc.Arbitrary<readonly Command[]> {
  const worker = fc.nat(99);
  const subset = fc.nat(255);
  const timeoutMs = scene.endings === 0 ? fc.constant(foreverMs) : fc.constantFrom(foreverMs, 700);
  const of = (weight: number, arbitrary: fc.Arbitrary<Command>) => ({ weight, arbitrary });
  return fc.array(
    fc.oneof(
      of(
        16,
        fc.record({
          do: fc.constant('enqueue' as const),
          flow: fc.nat(scene.flows.length - 1),
          rows: fc.integer({ min: 1, max: scene.rowsMax }),
          queueTimeoutMs: timeoutMs,
          deadlineMs: timeoutMs.map((ms) => 2 * ms),
        }),
      ),
      of(
        10,
        fc.record({
          do: fc.constant('claim' as const),
          worker,
          rowsMax: fc.integer({ min: 1, max: 9 }),
          rowsMin: fc.constantFrom(1, 1, 1, 3),
          takeSuspect: fc.boolean(),
        }),
      ),
      of(
        5,
        fc.record({
          do: fc.constant('settle' as const),
          worker,
          subset,
          succeeds: fc.boolean(),
        }),
      ),
      of(
        2 * scene.storms,
        fc.record({
          do: fc.constant('fail' as const),
          worker,
          subset,
          asSuspects: fc.constantFrom(false, false, true),
        }),
      ),
      of(scene.storms, fc.record({ do: fc.constantFrom('crash' as const, 'leave'), worker })),
      of(1, fc.record({ do: fc.constant('join' as const), worker })),
      of(
        3,
        fc.record({
          do: fc.constant('advance' as const),
          ms: fc.constantFrom(1, 40, 300, 1_000),
        }),
      ),
      of(scene.endings, fc.record({ do: fc.constant('cancel' as const), pick: fc.nat(999) })),
      of(2, fc.constant({ do: 'sweep' as const })),
    ),
    { minLength: 1, maxLength: 90, size: 'max' },
  );
}
