/**
 * What the head of a JPEG file says, read without decoding it (ITU-T T.81 Annex B, EXIF 2.3): sizes, how it
 * is coded, how it is to be turned. What cannot be read here is not given to a decoder: no decoder can be
 * stopped inside a file that makes it work for long.
 */
import { err, ok, type Result } from '@inferry/runtime';

export interface JpegHeader {
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 colour, 4 CMYK or YCCK. */
  readonly components: number;
  /** How often the decoder goes over the image: 1, or the scans of a file that is coded in several. */
  readonly scans: number;
  /** The EXIF tag, 1 to 8; 1 where there is none. */
  readonly orientation: number;
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  readonly isProgressive: boolean;
}

const soi = 0xd8;
const sos = 0xda;
const app1 = 0xe1;
/** Kinds of frames that decoders know, and whether they are progressive: Huffman and arithmetic coding. */
const frames: ReadonlyMap<number, boolean> = new Map([
  [0xc0, false],
  [0xc1, false],
  [0xc2, true],
  [0xc9, false],
  [0xca, true],
]);
/** Lossless and hierarchical frames. */
const rareFrames: ReadonlySet<number> = new Set([0xc3, 0xc5, 0xc6, 0xc7, 0xcb, 0xcd, 0xce, 0xcf]);
const segmentsMax = 10_000;

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === soi;
}

/** Of bytes that are a JPEG file by their beginning. Errors say why it cannot be used, for a person. */
export function readJpegHeader(bytes: Uint8Array): Result<JpegHeader, string> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation = 1;
  let frame: Frame | null = null;
  let at = 2;
  for (let segment = 0; segment < segmentsMax; segment += 1) {
    at = markerFrom(bytes, at);
    if (at + 4 > bytes.length) return err('cannot be decoded: its header is truncated');
    const kind = view.getUint8(at + 1);
    if (isAlone(kind)) {
      at += 2;
      continue;
    }
    const body = at + 4;
    const end = at + 2 + view.getUint16(at + 2);
    if (end > bytes.length) return err('cannot be decoded: its header is truncated');
    if (end <= body) return err('cannot be decoded: its header is damaged');
    const isProgressive = frames.get(kind);
    if (kind === sos) {
      if (frame === null) return err('cannot be decoded: its header is damaged');
      const { width, height, components } = frame;
      const isOneScan = !frame.isProgressive && view.getUint8(body) === components;
      const scans = isOneScan ? 1 : 1 + scansFrom(bytes, end);
      return ok({ width, height, components, scans, orientation });
    }
    if (isProgressive !== undefined) {
      if (frame !== null) return err('cannot be decoded: it has two frames');
      const read = readFrame(new DataView(view.buffer, view.byteOffset + body, end - body));
      if (!read.ok) return read;
      frame = { ...read.value, isProgressive };
    } else if (rareFrames.has(kind)) {
      return err('cannot be decoded: lossless and hierarchical JPEG are not supported');
    } else if (kind === app1 && orientation === 1) {
      orientation = exifOrientation(new DataView(view.buffer, view.byteOffset + body, end - body));
    }
    at = end;
  }
  return err(`cannot be decoded: its header has more than ${segmentsMax} segments`);
}

/** Where the next marker begins, past stray and fill bytes; the end where there is none. */
function markerFrom(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at + 1 < bytes.length) {
    const next = bytes[at + 1];
    if (bytes[at] === 0xff && next !== 0xff && next !== 0) return at;
    at += 1;
  }
  return bytes.length;
}

/** Markers without a segment: TEM, RST0 to RST7, SOI, EOI. */
function isAlone(kind: number): boolean {
  return kind === 0x01 || (kind >= 0xd0 && kind <= 0xd9);
}

function readFrame(segment: DataView): Result<Omit<Frame, 'isProgressive'>, string> {
  if (segment.byteLength < 6) return err('cannot be decoded: its header is damaged');
  const bits = segment.getUint8(0);
  if (bits !== 8) return err(`has ${bits} bits a sample; JPEG is supported with 8`);
  const height = segment.getUint16(1);
  const width = segment.getUint16(3);
  const components = segment.getUint8(5);
  if (width === 0 || height === 0) return err('cannot be decoded: its header has no size');
  return ok({ width, height, components });
}

const scanMarker = Uint8Array.of(0xff, sos);

function scansFrom(bytes: Uint8Array, from: number): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let scans = 0;
  let at = buffer.indexOf(scanMarker, from);
  while (at !== -1) {
    scans += 1;
    at = buffer.indexOf(scanMarker, at + 2);
  }
  return scans;
}

const exifSignature = 0x4578_6966;
const tiffAt = 6;
const orientationTag = 0x0112;
const shortType = 3;
const entryBytes = 12;

/** The orientation in the first directory of an EXIF segment; 1 where it has none that makes sense. */
function exifOrientation(segment: DataView): number {
  if (segment.byteLength < tiffAt + 8 || segment.getUint32(0) !== exifSignature) return 1;
  const order = segment.getUint16(tiffAt);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const isLittle = order === 0x4949;
  const directory = tiffAt + segment.getUint32(tiffAt + 4, isLittle);
  if (directory + 2 > segment.byteLength) return 1;
  const entries = segment.getUint16(directory, isLittle);
  for (let i = 0; i < entries; i += 1) {
    const entry = directory + 2 + i * entryBytes;
    if (entry + entryBytes > segment.byteLength) return 1;
    if (segment.getUint16(entry, isLittle) !== orientationTag) continue;
    const value = segment.getUint16(entry + 8, isLittle);
    const isShort = segment.getUint16(entry + 2, isLittle) === shortType;
    return isShort && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}
