/** Pre- and postprocessing: what a caller sends becomes tensors, what the model gives becomes an answer. */
export { postprocess } from './postprocess.ts';
export { prepare, type PreparedItem } from './prepare.ts';
