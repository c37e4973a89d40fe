/** A decoder that breaks does not leave others at work in the memory of its batch. */
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { imageTensor } from './image.ts';
import { ImageFiller } from './image/image-filler.ts';
import { LinearMemory } from './image/linear-memory.ts';
import { imageModel } from './image/prepare-image.fixture.ts';
import { Resizer } from './image/resizer.ts';
import { TensorRoom } from './image/tensor-room.ts';

test('an image that breaks its decoder is told when the others of its job are done', async () => {
  const memory = new LinearMemory(16 * 1024 * 1024);
  const resizer = await Resizer.open(memory);
  const turbo = {
    description: 'breaks',
    decode: () => {
      throw new Error('the decoder broke');
    },
    close: () => {},
  };
  const filler = new ImageFiller({ memory, resizer, turbo });
  const room = new TensorRoom(memory);
  const white = sharp({ create: { width: 300, height: 300, channels: 3, background: '#ffffff' } });
  const [png, jpeg] = [await white.clone().png().toBuffer(), await white.clone().jpeg().toBuffer()];
  const { inputs, preprocess: spec } = imageModel({});
  const [input] = inputs;
  if (spec.kind !== 'image' || input === undefined) throw new Error('takes no images');

  const rows = [{ image: png }, { image: jpeg }];
  const wanted = { spec, input, datatype: 'UINT8', maxBatchSize: 4 } as const;
  await expect(imageTensor(wanted, rows, { filler, room })).rejects.toThrow('the decoder broke');
  const itemBytes = 2 * 2 * 3;
  const next = room.reserve(itemBytes, itemBytes) ?? 0;
  const first = room.view(next - 2 * itemBytes, itemBytes);
  expect([...first]).toEqual(Array<number>(itemBytes).fill(255));
});
