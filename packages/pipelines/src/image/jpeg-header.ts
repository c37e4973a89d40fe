/**
 * What the head of a JPEG file says, read without decoding it (ITU-T T.81 Annex B, EXIF 2.3): sizes, how it
 * is coded, how it is to be turned. Anything unusual is undefined, and left to a decoder that knows it all.
 */
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

const marker = { soi: 0xd8, eoi: 0xd9, sos: 0xda, app1: 0xe1 } as const;
/** Baseline, extended and progressive Huffman coding. */
const frameFirst = 0xc0;
const frameLast = 0xc2;
const segmentsMax = 1_000;

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === marker.soi && bytes[2] === 0xff;
}

export function readJpegHeader(bytes: Uint8Array): JpegHeader | undefined {
  if (!isJpeg(bytes)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation = 1;
  let frame: { width: number; height: number; components: number; isProgressive: boolean } | null =
    null;
  let at = 2;
  for (let segment = 0; segment < segmentsMax; segment += 1) {
    if (at + 4 > bytes.length || bytes[at] !== 0xff) return undefined;
    const kind = view.getUint8(at + 1);
    const length = view.getUint16(at + 2);
    const body = at + 4;
    const end = at + 2 + length;
    if (length < 2 || end > bytes.length) return undefined;
    if (kind === marker.sos) {
      if (frame === null || end <= body) return undefined;
      const { width, height, components, isProgressive } = frame;
      const isOneScan = !isProgressive && view.getUint8(body) === components;
      const scans = isOneScan ? 1 : 1 + scansFrom(bytes, end);
      return { width, height, components, scans, orientation };
    }
    if (kind >= frameFirst && kind <= frameLast) {
      if (frame !== null || end - body < 6 || view.getUint8(body) !== 8) return undefined;
      const height = view.getUint16(body + 1);
      const width = view.getUint16(body + 3);
      if (width === 0 || height === 0) return undefined;
      const components = view.getUint8(body + 5);
      frame = { width, height, components, isProgressive: kind === frameLast };
    } else if (kind === marker.app1 && orientation === 1) {
      orientation = exifOrientation(new DataView(view.buffer, view.byteOffset + body, end - body));
    } else if (!isSkipped(kind)) {
      return undefined;
    }
    at = end;
  }
  return undefined;
}

/** Tables, restart intervals, application data and comments. */
function isSkipped(kind: number): boolean {
  return (
    kind === 0xc4 ||
    kind === 0xdb ||
    kind === 0xdd ||
    (kind >= 0xe0 && kind <= 0xef) ||
    kind === 0xfe
  );
}

const scanMarker = Uint8Array.of(0xff, marker.sos);

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
const orientationTag = 0x0112;
const shortType = 3;
const entryBytes = 12;

/** The orientation in the first directory of an EXIF segment; 1 where it has none that makes sense. */
function exifOrientation(segment: DataView): number {
  const tiff = 6;
  if (segment.byteLength < tiff + 8 || segment.getUint32(0) !== exifSignature) return 1;
  const order = segment.getUint16(tiff);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const isLittle = order === 0x4949;
  const directory = tiff + segment.getUint32(tiff + 4, isLittle);
  if (directory + 2 > segment.byteLength) return 1;
  const entries = segment.getUint16(directory, isLittle);
  for (let i = 0; i < entries; i += 1) {
    const entry = directory + 2 + i * entryBytes;
    if (entry + entryBytes > segment.byteLength) return 1;
    if (segment.getUint16(entry, isLittle) !== orientationTag) continue;
    const value = segment.getUint16(entry + 8, isLittle);
    const isValid =
      segment.getUint16(entry + 2, isLittle) === shortType && value >= 1 && value <= 8;
    return isValid ? value : 1;
  }
  return 1;
}
