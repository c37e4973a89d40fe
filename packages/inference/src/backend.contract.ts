/**
 * What every inference backend promises about a loaded instance. Run by the tests of each implementation
 * with a model that takes one INT64 per row, refuses one value, and answers the others.
 */
import type { Tensor } from '@inferry/contracts';
import { invariant, type Result } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import type { Item, ModelInstance, RunFailure, RunOutput } from './port.ts';

export interface ContractSubject {
  readonly instance: ModelInstance;
  /** Name of the model's INT64 [N, 1] input. */
  readonly input: string;
  /** Name of its only output, INT64 [N, 1]. */
  readonly output: string;
  /** What it answers for a value below 16. */
  readonly answer: (value: number) => number;
  /** A value that makes the run fail. */
  readonly bad: number;
  /** `warmup_rows` of its manifest. */
  readonly warmupRows: readonly number[];
}

export function describeBackend(name: string, open: () => Promise<ContractSubject>): void {
  describe(`${name} keeps the promises of the inference port`, () => {
    test('every item gets the answers to its own rows, in order', async () => {
      const subject = await open();
      const batches = [[3], [1, 2], [15, 0, 7], [4]];
      const output = valueOf(await subject.instance.run(items(subject, batches), []));
      expect(output.items.map(numbers)).toEqual(batches.map((own) => own.map(subject.answer)));
      expect(output.items.map((own) => own[0]?.shape)).toEqual([
        [1, 1],
        [2, 1],
        [3, 1],
        [1, 1],
      ]);
      expect(output.computeMs).toBeGreaterThanOrEqual(0);
      await subject.instance.close();
    });

    test('a batch answers what its items answer alone', async () => {
      const subject = await open();
      const batches = [[5, 6], [0], [11, 12, 13]];
      const together = valueOf(await subject.instance.run(items(subject, batches), []));
      const alone: number[][] = [];
      for (const own of batches) {
        const output = valueOf(await subject.instance.run(items(subject, [own]), []));
        alone.push(...output.items.map(numbers));
      }
      expect(together.items.map(numbers)).toEqual(alone);
      await subject.instance.close();
    });

    test('one run does not disturb the answers of the run before', async () => {
      const subject = await open();
      const first = valueOf(await subject.instance.run(items(subject, [[1], [2]]), []));
      await subject.instance.run(items(subject, [[8], [9]]), []);
      expect(first.items.map(numbers)).toEqual([[subject.answer(1)], [subject.answer(2)]]);
      await subject.instance.close();
    });

    test('the outputs asked for are the outputs given', async () => {
      const subject = await open();
      const output = valueOf(await subject.instance.run(items(subject, [[1]]), [subject.output]));
      expect(output.items.map((own) => own.map((tensor) => tensor.name))).toEqual([
        [subject.output],
      ]);
      await subject.instance.close();
    });

    test('a batch with a bad item fails as a whole, and the instance works on', async () => {
      const subject = await open();
      const failed = await subject.instance.run(items(subject, [[1], [subject.bad], [2]]), []);
      expect(failed).toMatchObject({ ok: false, error: { code: 'model_error' } });
      const next = valueOf(await subject.instance.run(items(subject, [[1], [2]]), []));
      expect(next.items.map(numbers)).toEqual([[subject.answer(1)], [subject.answer(2)]]);
      await subject.instance.close();
    });

    test('every size that was warmed was timed', async () => {
      const { instance, warmupRows } = await open();
      expect(new Set(instance.warmupRuns.map((run) => run.rows))).toEqual(new Set(warmupRows));
      for (const { ms } of instance.warmupRuns) expect(ms).toBeGreaterThanOrEqual(0);
      await instance.close();
    });

    test('a tensor inside a larger buffer leaves its neighbours to their owner', async () => {
      const subject = await open();
      const frame = new Uint8Array(BigInt64Array.of(2n, 3n, 4n).buffer);
      const views = [frame.subarray(0, 8), frame.subarray(8, 16)];
      const output = valueOf(
        await subject.instance.run(
          views.map((bytes) => item(subject, bytes)),
          [],
        ),
      );
      expect(output.items.map(numbers)).toEqual([[subject.answer(2)], [subject.answer(3)]]);
      expect(new BigInt64Array(frame.buffer)[2]).toBe(4n);
      await subject.instance.close();
    });
  });
}

function item(subject: ContractSubject, bytes: Uint8Array): Item {
  const rows = bytes.byteLength / 8;
  return {
    rows,
    tensors: [{ name: subject.input, datatype: 'INT64', shape: [rows, 1], bytes }],
  };
}

function items(subject: ContractSubject, batches: readonly (readonly number[])[]): Item[] {
  return batches.map((own) =>
    item(subject, new Uint8Array(BigInt64Array.from(own, BigInt).buffer)),
  );
}

function numbers(tensors: readonly Tensor[]): number[] {
  return tensors.flatMap(({ bytes }) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.byteLength / 8 }, (_, i) =>
      Number(view.getBigInt64(i * 8, true)),
    );
  });
}

function valueOf(result: Result<RunOutput, RunFailure>): RunOutput {
  invariant(result.ok, 'the run succeeds');
  return result.value;
}
