/**
 * The detectors of docs/examples from their `model.yaml` alone: real pictures over HTTP, boxes in pixels of
 * what was sent. In place of files too large to keep, small ones of the same signature; with the face
 * detector and its photographs beside the project (`../shared/data`) these are looked at as well.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type AppProcess, repositoryPath, startProcess } from '@inferry/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, inParallel, readiness, type RunningRole } from '../system.ts';

type Box = readonly [x: number, y: number, width: number, height: number];

interface Detection {
  readonly label: string;
  readonly score: number;
  readonly box: Readonly<Record<'x' | 'y' | 'width' | 'height', number>>;
}

const fixtures = repositoryPath('packages/testkit/fixtures/detectors');
const examples = repositoryPath('docs/examples');
const photographs = repositoryPath('../shared/data');
const trained = join(photographs, 'version-RFB-320.onnx');

interface FacePicture {
  readonly name: string;
  readonly model: string;
  readonly file: string;
  /** What there is to find. */
  readonly faces: readonly Box[];
  /** Of them, what must be found at least; and boxes that are on none, at most. */
  readonly foundMin: number;
  readonly strayMax: number;
}

const squares: FacePicture = {
  name: 'bright squares for faces',
  model: 'face',
  file: join(fixtures, 'squares.png'),
  faces: [
    [400, 80, 16, 16],
    [64, 128, 32, 32],
    [256, 192, 64, 64],
    [384, 256, 128, 128],
  ],
  foundMin: 4,
  strayMax: 0,
};

/**
 * face-boxes.json has the boxes that are drawn on the photographs, found by a larger network. In 240 lines the
 * smallest of those faces are 8 pixels wide, which is less than this network was made for.
 */
async function facePictures(): Promise<readonly FacePicture[]> {
  if (!existsSync(trained)) return [squares];
  const text = await readFile(new URL('face-boxes.json', import.meta.url), 'utf8');
  const faces = JSON.parse(text) as Readonly<Record<string, readonly Box[]>>;
  const limits = [
    ['faces_1.jpg', 34, 4],
    ['faces_26.jpg', 58, 8],
    ['faces_27.jpg', 36, 4],
  ] as const;
  const photos = limits.map(([name, foundMin, strayMax]) => {
    const file = join(photographs, name);
    return { name, model: 'face-trained', file, faces: faces[name] ?? [], foundMin, strayMax };
  });
  return [squares, ...photos];
}

const pictures = await facePictures();
let folder = '';
let serve: AppProcess;
let role: RunningRole;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-detectors-'));
  await install('face', 'face', join(fixtures, 'squares.onnx'));
  await install('yolov4', 'yolov4', join(fixtures, 'yolov4.onnx'));
  if (existsSync(trained)) await install('face-trained', 'face', trained);
  serve = startProcess(['serve', folder], { env: { PORT: '0', METRICS_PORT: '0' } });
  role = await readiness(serve, 'serve');
});

afterAll(async () => {
  await serve[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** An example as its README says, with a model file of the test's. */
async function install(name: string, example: string, model: string): Promise<void> {
  await cp(join(examples, example, 'model.yaml'), join(folder, name, 'model.yaml'));
  await cp(model, join(folder, name, '1/model.onnx'));
  const labels = join(examples, example, 'labels.txt');
  if (existsSync(labels)) await cp(labels, join(folder, name, 'labels.txt'));
}

async function detections(model: string, file: string): Promise<readonly Detection[]> {
  const { status, body } = await call(`${role.url}/v1/models/${model}/jobs`, {
    method: 'POST',
    headers: {
      'content-type': file.endsWith('.png') ? 'image/png' : 'image/jpeg',
      prefer: 'wait=50',
    },
    body: await readFile(file),
  });
  expect([status, body['error']]).toEqual([200, null]);
  return (body['output'] as { readonly detections: readonly Detection[] }).detections;
}

function boxOf({ box }: Detection): Box {
  return [box.x, box.y, box.width, box.height];
}

function overlap([ax, ay, aw, ah]: Box, [bx, by, bw, bh]: Box): number {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx);
  const height = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  const shared = Math.max(0, width) * Math.max(0, height);
  return shared / (aw * ah + bw * bh - shared);
}

function bestOverlap(box: Box, among: readonly Box[]): number {
  return Math.max(0, ...among.map((other) => overlap(box, other)));
}

describe('the face detector', () => {
  test.each(pictures.map((picture) => [picture.name, picture] as const))(
    'finds the faces, in pixels of the picture: %s',
    async (_, { model, file, faces, foundMin, strayMax }) => {
      const answer = await detections(model, file);
      const boxes = answer.map(boxOf);
      const found = faces.filter((face) => bestOverlap(face, boxes) >= 0.5);
      const stray = boxes.filter((box) => bestOverlap(box, faces) < 0.4);
      expect(found.length).toBeGreaterThanOrEqual(foundMin);
      expect(stray.length).toBeLessThanOrEqual(strayMax);
      expect(boxes.length).toBeLessThanOrEqual(faces.length + strayMax);
      expect(new Set(answer.map(({ label }) => label))).toEqual(new Set(['face']));
      const scores = answer.map(({ score }) => score);
      expect(scores).toEqual(scores.toSorted((a, b) => b - a));
      expect(Math.min(...scores)).toBeGreaterThanOrEqual(0.4);
    },
  );

  test('puts a box where the square is, to the pixel', async () => {
    const boxes = (await detections('face', squares.file)).map(boxOf);
    expect(boxes.toSorted((a, b) => a[2] - b[2])).toEqual(squares.faces);
  });

  test('finds nothing in a picture without anything', async () => {
    // One dark pixel: PNG, 8 bits of grey.
    const dark =
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==';
    const file = join(folder, 'dark.png');
    await writeFile(file, Buffer.from(dark, 'base64'));
    expect(await detections('face', file)).toEqual([]);
  });
});

describe('YOLOv4, with a 36th of its channels', () => {
  const blocks = join(fixtures, 'blocks.png');

  async function expected(): Promise<readonly Detection[]> {
    const text = await readFile(join(fixtures, 'yolov4.json'), 'utf8');
    return JSON.parse(text) as readonly Detection[];
  }

  test('gives the boxes of the reference, alone and in batches', async () => {
    const wanted = await expected();
    const answers = await inParallel(Array.from({ length: 6 }), 6, () =>
      detections('yolov4', blocks),
    );
    for (const answer of answers) {
      expect(answer.map(({ label }) => label)).toEqual(wanted.map(({ label }) => label));
      for (const [index, detection] of answer.entries()) {
        expect(detection.score).toBeCloseTo(wanted[index]?.score ?? NaN, 3);
        const off = boxOf(detection).map((side, k) => side - (boxOf(wanted[index]!)[k] ?? NaN));
        expect(Math.max(...off.map(Math.abs))).toBeLessThan(0.1);
      }
    }
  });

  test('is described with its labels, and what a box is', async () => {
    const { body } = await call(`${role.url}/v1/models/yolov4`);
    expect(body).toMatchObject({
      output_schema: { anyOf: [{ properties: { detections: { maxItems: 100 } } }, {}] },
    });
    expect(JSON.stringify(body)).toContain('"toothbrush"');
  });

  test('has a client that draws the boxes on the picture', async () => {
    const result = join(folder, 'boxes.png');
    const client = join(examples, 'yolov4/client.mjs');
    const { stdout } = await promisify(execFile)(process.execPath, [
      client,
      blocks,
      result,
      '--url',
      role.url,
    ]);
    const wanted = await expected();
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => line.split(/ \d/u)[0])).toEqual([
      ...wanted.map(({ label }) => label),
      `${result}:`,
    ]);
    const [drawn, plain] = await Promise.all([readFile(result), readFile(blocks)]);
    // Width and height in the header of a PNG.
    expect(drawn.subarray(16, 24)).toEqual(plain.subarray(16, 24));
    expect(drawn.equals(plain)).toBe(false);
  });

  test('has a client that says why there is no answer', async () => {
    const client = join(examples, 'yolov4/client.mjs');
    const argv = [client, blocks, join(folder, 'none.png'), '--url', role.url, '--model', 'absent'];
    await expect(promisify(execFile)(process.execPath, argv)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('absent') as string,
    });
  });
});
