/** The parts of the image path, for benchmarks that measure each by itself. */
export { decodedEighths, sharpSize } from './decoded-scale.ts';
export { fitImage } from './fit.ts';
export { ImageFiller } from './image-filler.ts';
export { LinearMemory } from './linear-memory.ts';
export { upright } from './orientation.ts';
export { sourceBytes } from './resize-plan.ts';
export { Resizer } from './resizer.ts';
export { decodeWithSharp } from './sharp-decoder.ts';
export { openTurboJpeg } from './turbojpeg.ts';
