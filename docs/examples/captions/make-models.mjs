/**
 * Writes a model repository with a captioning model of BLIP's published shapes, random weights and no meaning, and
 * the processor that runs it token by token:
 *
 *     node docs/examples/captions/make-models.mjs FOLDER [--hidden 8192]
 *
 * FOLDER/blip is a model of a Triton repository, as it would lie there. Needs nothing but Node.
 */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const vocabulary = 30_524;
const side = 384;
const patch = 16;
/** Of a token, and of what a picture comes down to. */
const width = 32;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { hidden: { type: 'string', default: '8192' } },
});
const [folder, ...others] = positionals;
const hidden = Number(values.hidden);
if (folder === undefined || others.length > 0 || !Number.isInteger(hidden) || hidden < 1) {
  console.error('usage: make-models.mjs FOLDER [--hidden 8192]');
  process.exit(2);
}
await cp(new URL('models/', import.meta.url), folder, { recursive: true });
const version = join(folder, 'blip', '1');
await mkdir(version, { recursive: true });
await writeFile(join(version, 'model.onnx'), model());
console.log(`${version}/model.onnx`);

/**
 * A picture is averaged over its patches and goes through two wide layers, whose weights are most of the model. A
 * token sees the picture and all tokens before it that the mask lets through.
 */
function model() {
  const cells = 3 * (side / patch) ** 2;
  const weights = {
    wide: random([cells, hidden], 1 / Math.sqrt(cells)),
    deep: random([hidden, hidden], 1 / Math.sqrt(hidden)),
    seen: random([hidden, width], 4 / Math.sqrt(hidden)),
    words: random([vocabulary, width], 1),
    mixed: random([width, width], 1 / Math.sqrt(width)),
    head: random([width, vocabulary], 1 / Math.sqrt(width)),
    one: integers([1]),
    two: integers([2]),
  };
  const nodes = [
    node('AveragePool', ['pixel_values'], 'patches', {
      kernel_shape: [patch, patch],
      strides: [patch, patch],
    }),
    node('Flatten', ['patches'], 'flat', { axis: 1 }),
    node('MatMul', ['flat', 'wide'], 'wide_sum'),
    node('Tanh', ['wide_sum'], 'wide_out'),
    node('MatMul', ['wide_out', 'deep'], 'deep_sum'),
    node('Tanh', ['deep_sum'], 'deep_out'),
    node('MatMul', ['deep_out', 'seen'], 'picture'),
    node('Unsqueeze', ['picture', 'one'], 'picture_row'),
    node('Gather', ['words', 'input_ids'], 'tokens'),
    node('Cast', ['attention_mask'], 'mask', { to: 1 }),
    node('Unsqueeze', ['mask', 'two'], 'mask_column'),
    node('Mul', ['tokens', 'mask_column'], 'tokens_seen'),
    node('CumSum', ['tokens_seen', 'one'], 'told'),
    node('Add', ['told', 'picture_row'], 'both'),
    node('MatMul', ['both', 'mixed'], 'mixed_sum'),
    node('Tanh', ['mixed_sum'], 'mixed_out'),
    node('MatMul', ['mixed_out', 'head'], 'logits'),
  ];
  const graph = [
    ...nodes.map((one) => message(1, one)),
    text(2, 'captions'),
    ...Object.entries(weights).map(([name, tensor]) => message(5, [...tensor, text(8, name)])),
    message(11, value('pixel_values', 1, ['batch', 3, side, side])),
    message(11, value('input_ids', 7, ['batch', 'length'])),
    message(11, value('attention_mask', 7, ['batch', 'length'])),
    message(12, value('logits', 1, ['batch', 'length', vocabulary])),
  ];
  return Buffer.concat(
    [number(1, 8), text(2, 'make-models'), message(7, graph), message(8, [number(2, 17)])].flat(),
  );
}

/** Weights, the same each time: the range is even, from a generator of 32 bits (mulberry32). */
function random(shape, scale) {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  let state = data.length;
  for (let i = 0; i < data.length; i += 1) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    data[i] = (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1) * scale * Math.sqrt(3);
  }
  return [...shape.map((size) => number(1, size)), number(2, 1), bytes(9, data)];
}

function integers(list) {
  return [number(1, list.length), number(2, 7), bytes(9, BigInt64Array.from(list, BigInt))];
}

/** An operator of ONNX; attributes are whole numbers, or lists of them. */
function node(operator, inputs, output, attributes = {}) {
  const lists = Object.entries(attributes).map(([name, given]) =>
    message(5, [
      text(1, name),
      ...(Array.isArray(given)
        ? [...given.map((one) => number(8, one)), number(20, 7)]
        : [number(3, given), number(20, 2)]),
    ]),
  );
  return [...inputs.map((name) => text(1, name)), text(2, output), text(4, operator), ...lists];
}

function value(name, type, shape) {
  const dimensions = shape.map((size) =>
    message(1, [typeof size === 'string' ? text(2, size) : number(1, size)]),
  );
  return [text(1, name), message(2, [message(1, [number(1, type), message(2, dimensions)])])];
}

/** The fields of protobuf that ONNX files need. Pieces are put together once, at the end. */
function number(field, given) {
  return Buffer.concat([varint(field << 3), varint(given)]);
}

function text(field, given) {
  return bytes(field, Buffer.from(given));
}

function bytes(field, view) {
  const raw = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return Buffer.concat([varint((field << 3) | 2), varint(raw.length), raw]);
}

function message(field, pieces) {
  return bytes(field, Buffer.concat(pieces.flat()));
}

function varint(given) {
  const out = [];
  let left = given;
  while (left >= 128) {
    out.push((left % 128) | 128);
    left = Math.floor(left / 128);
  }
  return Buffer.from([...out, left]);
}
