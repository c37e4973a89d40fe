/** Images made for tests: like photos, and such as nobody wants to receive. */
import { crc32 } from 'node:zlib';
import { seededRandom } from '@inferry/runtime';
import sharp, { type Sharp } from 'sharp';

/** RGB with what photos are made of: slopes, discs with sharp edges, fine texture, a little noise. */
export function photo(width: number, height: number, seed: number): Sharp {
  const random = seededRandom(seed);
  const discs = Array.from({ length: 12 }, () => ({
    x: random.unit() * width,
    y: random.unit() * height,
    radius: (0.03 + random.unit() * 0.2) * Math.min(width, height),
    color: [random.unit() * 255, random.unit() * 255, random.unit() * 255] as const,
  }));
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const disc = discs.find((each) => (x - each.x) ** 2 + (y - each.y) ** 2 < each.radius ** 2);
      const noise = (random.unit() - 0.5) * 16 + 12 * Math.sin(x / 3) * Math.sin(y / 5);
      const at = (y * width + x) * 3;
      data[at] = level((disc?.color[0] ?? (x / width) * 255) + noise);
      data[at + 1] = level((disc?.color[1] ?? (y / height) * 255) + noise);
      data[at + 2] = level((disc?.color[2] ?? 128) + noise);
    }
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}

function level(value: number): number {
  return Math.min(255, Math.max(0, Math.round(value)));
}

/** A PNG whose header says another size than its pixels have. */
export function withPngSize(png: Buffer, width: number, height: number): Buffer {
  const changed = Buffer.from(png);
  changed.writeUInt32BE(width, 16);
  changed.writeUInt32BE(height, 20);
  changed.writeUInt32BE(crc32(changed.subarray(12, 29)), 29);
  return changed;
}

/** A baseline JPEG whose header says another size than its pixels have. */
export function withJpegSize(jpeg: Buffer, width: number, height: number): Buffer {
  const changed = Buffer.from(jpeg);
  const frame = changed.indexOf(Buffer.of(0xff, 0xc0));
  changed.writeUInt16BE(height, frame + 5);
  changed.writeUInt16BE(width, frame + 7);
  return changed;
}

/**
 * A small, valid, progressive JPEG (grey, black) that is coded in hundreds of scans: for each coefficient
 * one for each bit, which say that nothing changes in any block.
 */
export function manyScans(width: number, height: number): Buffer {
  const coefficients = 63;
  const highestBit = 13;
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  const empty = emptyScan(blocks);
  const parts = [
    Buffer.of(0xff, 0xd8),
    segment(0xdb, [0, ...Array<number>(64).fill(1)]),
    segment(0xc2, [8, height >> 8, height & 255, width >> 8, width & 255, 1, 1, 0x11, 0]),
    segment(0xc4, [0, 1, ...Array<number>(15).fill(0), 0]),
    segment(0xda, [1, 1, 0, 0, 0, 0]),
    Buffer.alloc(Math.ceil(blocks / 8)),
    segment(0xc4, [0x10, 1, ...Array<number>(15).fill(0), 0xe0]),
  ];
  for (let k = 1; k <= coefficients; k += 1) {
    for (let bit = highestBit; bit >= 0; bit -= 1) {
      const bits = bit === highestBit ? bit : ((bit + 1) << 4) | bit;
      parts.push(segment(0xda, [1, 1, 0, k, k, bits]), empty);
    }
  }
  return Buffer.concat([...parts, Buffer.of(0xff, 0xd9)]);
}

function segment(kind: number, body: readonly number[]): Buffer {
  const length = body.length + 2;
  return Buffer.of(0xff, kind, length >> 8, length & 255, ...body);
}

/** Runs of blocks without a coefficient: a zero bit, then 14 bits of what the run has beyond 16384. */
function emptyScan(blocks: number): Buffer {
  let bits = '';
  for (let left = blocks; left > 0;) {
    const run = Math.max(16_384, Math.min(32_767, left));
    bits += `0${(run - 16_384).toString(2).padStart(14, '0')}`;
    left -= run;
  }
  const bytes = (bits.match(/.{1,8}/gu) ?? []).map((byte) => parseInt(byte.padEnd(8, '1'), 2));
  return Buffer.from(bytes.flatMap((byte) => (byte === 255 ? [255, 0] : [byte])));
}
