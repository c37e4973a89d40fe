/** Pre- and postprocessing: what a caller sends becomes tensors, what the model gives becomes an answer. */
export { checkTexts } from './check-texts.ts';
export type { ImagePlacement } from './image/fit.ts';
export { openTurboJpeg, type TurboJpeg } from './image/turbojpeg.ts';
export { postprocess } from './postprocess.ts';
export type { PreparedItem } from './prepare.ts';
export {
  type JpegDecoderChoice,
  openPreparer,
  type PreparedBatch,
  type Preparer,
  type PreparerOptions,
} from './preparer.ts';
export { sampleInput } from './sample-input.ts';
