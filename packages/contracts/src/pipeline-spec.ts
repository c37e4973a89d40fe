/** What stands between a caller and a model, as data: how an input becomes tensors, and outputs an answer. */
import type { DetectSpec, ScoreActivation } from './detect-spec.ts';
import type { TabularSpec } from './tabular-spec.ts';
import type { TensorAnswerSpec, TensorFieldsSpec } from './tensor-pipeline-spec.ts';
import type { TextSpec } from './text-spec.ts';

/** How an image becomes a tensor. Sizes in pixels, after orientation. */
export interface ImageSpec {
  readonly kind: 'image';
  /** Name of the pipeline's input field. */
  readonly input: string;
  readonly width: number;
  readonly height: number;
  /** Turn the image as its EXIF orientation says. */
  readonly orient: boolean;
  /** Red, green and blue, 0..255, under transparent pixels. */
  readonly background: readonly [number, number, number];
  /** contain: letterbox; cover: crop the middle; fill: stretch. */
  readonly fit: 'contain' | 'cover' | 'fill';
  /** With cover: the share of each side of the covered area that is kept, above 0 and at most 1. */
  readonly cropPct: number;
  /** What fills the letterbox: the nearest edge pixel, or a grey level 0..255. */
  readonly pad: 'edge' | number;
  readonly color: 'rgb' | 'bgr' | 'gray';
  readonly layout: 'nchw' | 'nhwc';
  readonly interpolation: 'nearest' | 'linear' | 'cubic' | 'lanczos3';
  /** value = (pixel * scale - mean[channel]) / std[channel], pixel in 0..255. One entry a channel. */
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export type PreprocessSpec =
  | ImageSpec
  | TabularSpec
  | TextSpec
  | TensorFieldsSpec
  | { readonly kind: 'none' };

/** Scores [rows, classes] become `{ label, score, top_k: [{ label, score }] }` for each row. */
export interface ClassifySpec {
  readonly kind: 'classify';
  /** Name of the ONNX output that holds the scores. */
  readonly output: string;
  readonly labels: readonly string[];
  readonly topK: number;
  /** How scores become probabilities; sigmoid where several labels may hold at once. */
  readonly activation: ScoreActivation;
  /** What `top_k` holds must reach this; null without such a limit. */
  readonly threshold: number | null;
}

export type PostprocessSpec =
  | ClassifySpec
  | DetectSpec
  | TensorAnswerSpec
  | { readonly kind: 'none' };
