import { datatypeBytes } from '@inferry/contracts';
import { seededRandom } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { generateTensors, parseTensorMetadata, type TensorMetadata } from './tensors.ts';

const image: TensorMetadata = { name: 'x', datatype: 'FP32', shape: [-1, 3, 4] };

interface Body {
  readonly inputs: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly datatype: string;
    readonly data: readonly unknown[];
  }[];
}

function bodies(
  tensors: readonly TensorMetadata[],
  { data = 'random', shapes = {} }: { data?: 'zeros' | 'random'; shapes?: object } = {},
): readonly Body[] | string {
  const options = { data, shapes: new Map(Object.entries(shapes)), random: seededRandom(1) };
  const inputs = generateTensors(tensors, options);
  if (!inputs.ok) return inputs.error;
  return inputs.value.map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as Body);
}

test('zeros are one body, random data are several that differ', () => {
  const zeros = bodies([image], { data: 'zeros' }) as readonly Body[];
  expect(zeros).toEqual([
    {
      inputs: [
        {
          name: 'x',
          shape: [1, 3, 4],
          datatype: 'FP32',
          data: Array.from({ length: 12 }, () => 0),
        },
      ],
    },
  ]);
  const random = bodies([image]) as readonly Body[];
  expect(new Set(random.map((body) => JSON.stringify(body))).size).toBe(8);
  for (const { inputs } of random) {
    for (const value of inputs[0]!.data) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(1);
    }
  }
});

test('there are elements of every datatype', () => {
  const tensors = (Object.keys(datatypeBytes) as TensorMetadata['datatype'][]).map((datatype) => ({
    name: datatype,
    datatype,
    shape: [2],
  }));
  const [first] = bodies(tensors) as readonly Body[];
  const types = Object.fromEntries(
    first!.inputs.map(({ name, data }) => [name, data.map((value) => typeof value)]),
  );
  expect(types['BYTES']).toEqual(['string', 'string']);
  expect(types['BOOL']).toEqual(['boolean', 'boolean']);
  for (const name of ['INT8', 'UINT64', 'FP16', 'BF16', 'FP64']) {
    expect(types[name]).toEqual(['number', 'number']);
  }
});

describe('dimensions that vary', () => {
  const text: TensorMetadata = { name: 'ids', datatype: 'INT64', shape: [-1, -1] };

  test('are taken from the shape that was given', () => {
    const [first] = bodies([text], { shapes: { ids: [2, 5] } }) as readonly Body[];
    expect(first!.inputs[0]).toMatchObject({ shape: [2, 5] });
    expect(first!.inputs[0]!.data).toHaveLength(10);
  });

  test('have to be given, but for the first', () => {
    expect(bodies([text])).toContain('like --shape ids:1,16, or an --input');
  });

  test('others cannot be changed, nor those of inputs that there are not', () => {
    expect(bodies([image], { shapes: { x: [2, 3, 5] } })).toContain("fit the model's [-1,3,4]");
    expect(bodies([image], { shapes: { x: [2, 3] } })).toContain("fit the model's [-1,3,4]");
    expect(bodies([image], { shapes: { y: [1] } })).toContain('no input "y", it has x');
  });

  test('make no more elements than a server takes', () => {
    expect(bodies([image], { shapes: { x: [10_000_000, 3, 4] } })).toContain('are not generated');
  });
});

describe('metadata', () => {
  test('of other servers may have dimensions in words', () => {
    const inputs = [{ name: 'x', datatype: 'FP32', shape: ['-1', '4'] }];
    expect(parseTensorMetadata({ inputs })).toMatchObject({ value: [{ shape: [-1, 4] }] });
  });

  test.each([
    [{}, 'it names no inputs'],
    [{ inputs: [] }, 'it names no inputs'],
    [{ inputs: [{ name: 'x', datatype: 'FP128', shape: [1] }] }, 'a datatype that is not known'],
    [{ inputs: [{ name: 'x', datatype: 'FP32' }] }, 'input "x" has no shape'],
    [{ inputs: [null] }, 'an input has no name'],
    [undefined, 'it names no inputs'],
  ])('that says too little is refused: %j', (document, problem) => {
    const parsed = parseTensorMetadata(document);
    expect(parsed.ok ? '' : parsed.error).toContain(problem);
  });
});
