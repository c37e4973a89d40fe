/** Whatever the graph, and in whatever order its steps end, an ensemble gives what evaluating it gives. */
import {
  type EnsembleStep,
  failure,
  type ModelManifest,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { err, ok, seededRandom } from '@inferry/runtime';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { modelManifest } from '../worker.fixture.ts';
import { ensembleProgram } from './ensemble.ts';
import type { ProgramContext, StepRequest } from './program.ts';

/** Each step takes tensors that were there before it: 0 and 1 are inputs, n + 2 is what step n gives. */
type Graph = readonly (readonly [left: number, right: number])[];

const graphs: fc.Arbitrary<Graph> = fc
  .array(fc.tuple(fc.nat(1_000), fc.nat(1_000)), { minLength: 1, maxLength: 12 })
  .map((steps) => steps.map(([left, right], i) => [left % (i + 2), right % (i + 2)] as const));

const nameOf = (tensor: number) => `t${tensor}`;

function tensorOf(name: string, value: number): Tensor {
  const bytes = new Uint8Array(Float64Array.of(value).buffer);
  return { name, datatype: 'FP64', shape: [1], bytes };
}

function valueOf({ bytes }: Tensor): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
}

/** Every step adds its two inputs; `order` is that in which the steps stand in the configuration. */
function manifestOf(
  graph: Graph,
  order: readonly number[],
  outputs: readonly number[],
): ModelManifest {
  const spec = (tensor: number): TensorSpec => ({
    name: nameOf(tensor),
    datatype: 'FP64',
    shape: [-1],
  });
  const steps = graph.map(([left, right], i): EnsembleStep => ({
    model: 'add',
    version: null,
    inputs: { a: nameOf(left), b: nameOf(right) },
    outputs: { sum: nameOf(i + 2) },
  }));
  const shuffled = steps.toSorted(
    (a, b) => (order[steps.indexOf(a)] ?? 0) - (order[steps.indexOf(b)] ?? 0),
  );
  return {
    ...modelManifest,
    inputs: [spec(0), spec(1)],
    outputs: outputs.map(spec),
    ensemble: { steps: shuffled },
  };
}

function added({ tensors }: StepRequest): Tensor {
  const values = new Map(tensors.map((tensor) => [tensor.name, valueOf(tensor)]));
  return tensorOf('sum', (values.get('a') ?? Number.NaN) + (values.get('b') ?? Number.NaN));
}

const inputs = [tensorOf('t0', 3), tensorOf('t1', 5)];
const never = new AbortController().signal;

function contextOf(step: ProgramContext['step']): ProgramContext {
  return { signal: never, isSuspect: false, step, emit: () => Promise.resolve() };
}

test('the outputs are those of the graph, and each step runs once', async () => {
  const cases = fc.record({
    graph: graphs,
    order: fc.array(fc.nat(), { minLength: 12, maxLength: 12 }),
    picks: fc.uniqueArray(fc.nat(11), { minLength: 1, maxLength: 4 }),
    seed: fc.nat(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ graph, order, picks, seed }) => {
      const values = [3, 5];
      for (const [left, right] of graph) values.push((values[left] ?? 0) + (values[right] ?? 0));
      const outputs = [...new Set(picks.map((pick) => (pick % graph.length) + 2))];
      const random = seededRandom(seed);
      const waiting: (() => void)[] = [];
      let runs = 0;
      const context = contextOf(
        (request) =>
          new Promise((resolve) => {
            runs += 1;
            waiting.push(() => resolve(ok([added(request)])));
          }),
      );
      const ran = ensembleProgram(manifestOf(graph, order, outputs)).run(inputs, context);
      for (;;) {
        const [next] = waiting.splice(Math.floor(random.unit() * waiting.length), 1);
        if (next === undefined) break;
        next();
        for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
      }
      const result = await ran;
      expect(runs).toBe(graph.length);
      expect(result.ok && result.value.map((t) => [t.name, valueOf(t)])).toEqual(
        outputs.map((tensor) => [nameOf(tensor), values[tensor]]),
      );
    }),
    { numRuns: 300 },
  );
});

test('the first failure is the end, whatever the others are about to give', async () => {
  await fc.assert(
    fc.asyncProperty(graphs, fc.nat(1_000), async (graph, pick) => {
      const failing = nameOf((pick % graph.length) + 2);
      const manifest = manifestOf(graph, [], [graph.length + 1]);
      // Each is told by the name of its model.
      const named = (step: EnsembleStep): EnsembleStep => ({
        ...step,
        model: step.outputs['sum'] ?? '',
      });
      const steps = manifest.ensemble?.steps.map(named) ?? [];
      const context = contextOf((request) =>
        Promise.resolve(
          request.model === failing ? err(failure('model_error', 'no')) : ok([added(request)]),
        ),
      );
      const result = await ensembleProgram({ ...manifest, ensemble: { steps } }).run(
        inputs,
        context,
      );
      expect(result).toMatchObject({ ok: false, error: { code: 'model_error' } });
    }),
  );
});
