/**
 * Sends a picture to a detector, draws the boxes and labels of the answer on it, and writes the result:
 *
 *     node docs/examples/yolov4/client.mjs photo.jpg boxes.png --url http://127.0.0.1:8000 --model yolov4
 *
 * Prints a line for each box. Ends with 1 and the reason when there is no answer.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

const colours = ['#e6194b', '#3cb44b', '#4363d8', '#f58231', '#911eb4', '#008080', '#9a6324'];
const usage = 'usage: client.mjs PICTURE RESULT [--url http://127.0.0.1:8000] [--model yolov4]';

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8000' },
      model: { type: 'string', default: 'yolov4' },
    },
  });
  const [picture, result, ...others] = positionals;
  if (picture === undefined || result === undefined || others.length > 0) throw new Error(usage);
  const bytes = await readFile(picture);
  const { format, autoOrient } = await sharp(bytes).metadata();
  const detections = await detect(bytes, `image/${format}`, values);
  for (const { label, score, box } of detections) {
    console.log(
      `${label} ${score.toFixed(2)} at ${box.x},${box.y} size ${box.width}x${box.height}`,
    );
  }
  const overlay = Buffer.from(drawing(detections, autoOrient));
  await sharp(bytes)
    .autoOrient()
    .composite([{ input: overlay }])
    .toFile(result);
  console.log(`${result}: ${detections.length} boxes`);
} catch (cause) {
  console.error(cause.cause?.message ?? cause.message);
  process.exitCode = 1;
}

/** The detections of the answer; the server may take up to 55 seconds for it. */
async function detect(bytes, mediaType, { url, model }) {
  const response = await fetch(`${url}/v1/models/${model}/jobs`, {
    method: 'POST',
    headers: { 'content-type': mediaType, prefer: 'wait=55' },
    body: bytes,
  });
  const answer = await response.json();
  if (answer.status === 'succeeded') return answer.output.detections;
  throw new Error(answer.error?.detail ?? answer.detail ?? `the job is ${answer.status}`);
}

/** Boxes and labels as SVG of the picture's size, a colour for each label. */
function drawing(detections, { width, height }) {
  const line = Math.max(2, Math.round(Math.max(width, height) / 300));
  const names = [...new Set(detections.map(({ label }) => label))];
  const shapes = detections.map(({ label, score, box }) => {
    const colour = colours[names.indexOf(label) % colours.length];
    const caption = `${label} ${score.toFixed(2)}`;
    // In a crowd of small boxes, captions are as small as can be read.
    const text = Math.round(Math.min(6 * line, Math.max(8, box.width / 4)));
    const top = Math.max(text + line, box.y);
    return `<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}"
        fill="none" stroke="${colour}" stroke-width="${line}"/>
      <rect x="${box.x}" y="${top - text - line}" width="${caption.length * text * 0.6}" height="${text + line}"
        fill="${colour}"/>
      <text x="${box.x + line}" y="${top - line}" font-family="sans-serif" font-size="${text}" fill="#fff">${escaped(caption)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${shapes.join('')}</svg>`;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
