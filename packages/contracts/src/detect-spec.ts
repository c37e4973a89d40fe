/** How a detector's outputs become boxes, as data: one form for each family of models, under its field's names. */

/** Corners; centre and size; left-top corner and size. */
export type BoxFormat = 'xyxy' | 'cxcywh' | 'xywh';
/** relative: 0..1 of the input's width and height; pixels: pixels of the model's input. */
export type BoxUnits = 'relative' | 'pixels';

/** How raw class scores become probabilities. */
export type ScoreActivation = 'none' | 'sigmoid' | 'softmax';

/** Class scores [rows, n, classes] of n boxes, in an output of their own. */
export interface ClassScores {
  readonly output: string;
  readonly activation: ScoreActivation;
  /** The class that means "nothing here" and has no label; null where there is none. */
  readonly background: number | null;
}

/** Boxes that the graph has decoded, [rows, n, 4]. */
export interface BoxesHead {
  readonly family: 'boxes';
  readonly scores: ClassScores;
  readonly boxes: string;
  readonly format: BoxFormat;
  readonly units: BoxUnits;
}

/** The priors of one feature map: a grid of ceil(input / stride) cells, each with these, row by row. */
export interface PriorLevel {
  readonly stride: number;
  /** [width, height] in pixels of the input. */
  readonly sizes: readonly (readonly [number, number])[];
}

/** Offsets [rows, n, 4] from priors (Liu et al. 2016, "SSD"), in the order of the priors. */
export interface SsdHead {
  readonly family: 'ssd';
  readonly scores: ClassScores;
  readonly boxes: string;
  readonly priors: readonly PriorLevel[];
  /** What offsets of the centre and of the size are multiplied by. */
  readonly variances: readonly [number, number];
}

/** One of the raw outputs of YOLOv3 and YOLOv4. */
export interface YoloAnchorOutput {
  readonly output: string;
  readonly stride: number;
  /** [width, height] in pixels of the input. */
  readonly anchors: readonly (readonly [number, number])[];
  /** YOLOv4's `scale_x_y`: how far a centre may leave its cell; 1 for YOLOv3. */
  readonly scaleXY: number;
  /** nchw: [rows, a * (5 + c), h, w]; nhwc: [rows, h, w, a, 5 + c], the last two perhaps as one. */
  readonly layout: 'nchw' | 'nhwc';
}

/** Raw heads with anchors (Redmon and Farhadi 2018; Bochkovskiy et al. 2020). */
export interface YoloAnchorHead {
  readonly family: 'yolov3' | 'yolov4';
  readonly outputs: readonly YoloAnchorOutput[];
  /** What the graph has passed through a sigmoid: nothing, objectness and classes, or the centres too. */
  readonly activated: 'none' | 'scores' | 'all';
}

/** Decoded [rows, n, 5 + c]: centre, size, objectness, classes; all activated. */
export interface Yolov5Head {
  readonly family: 'yolov5';
  readonly output: string;
  readonly units: BoxUnits;
}

/** Decoded and without anchors, [rows, 4 + c, n]: centre, size, classes; all activated. */
export interface Yolov8Head {
  readonly family: 'yolov8';
  readonly output: string;
  readonly units: BoxUnits;
}

/** [rows, n, 5 + c] in cells of each stride's grid, sizes as logarithms (Ge et al. 2021, "YOLOX"). */
export interface YoloxHead {
  readonly family: 'yolox';
  readonly output: string;
  readonly strides: readonly number[];
}

/** The graph has done everything: [rows, n, 6] of a box, its score and its class. */
export interface EndToEndHead {
  readonly family: 'end_to_end';
  readonly output: string;
  readonly format: BoxFormat;
  readonly units: BoxUnits;
}

export type DetectHead =
  | BoxesHead
  | SsdHead
  | YoloAnchorHead
  | Yolov5Head
  | Yolov8Head
  | YoloxHead
  | EndToEndHead;

/** Boxes become `{ detections: [{ label, score, box }] }` for each row, in pixels of the original image. */
export interface DetectSpec {
  readonly kind: 'detect';
  readonly head: DetectHead;
  /** Of the model's input, in pixels. */
  readonly inputWidth: number;
  readonly inputHeight: number;
  readonly labels: readonly string[];
  /** A box with a lower score is none. */
  readonly scoreThreshold: number;
  /** Of two boxes whose intersection over union is larger, the better one stays. */
  readonly iouThreshold: number;
  /** Whether boxes of different classes suppress each other. */
  readonly isClassAgnostic: boolean;
  /** A box counts once for each class above the threshold, or only for its best. */
  readonly isMultiLabel: boolean;
  /** The best so many enter non-maximum suppression, and the best so many are answered. */
  readonly candidatesMax: number;
  readonly detectionsMax: number;
}

/** The outputs of the model that are read, in the order of the spec. */
export function detectOutputs(head: DetectHead): readonly string[] {
  switch (head.family) {
    case 'boxes':
    case 'ssd':
      return [head.scores.output, head.boxes];
    case 'yolov3':
    case 'yolov4':
      return head.outputs.map(({ output }) => output);
    case 'yolov5':
    case 'yolov8':
    case 'yolox':
    case 'end_to_end':
      return [head.output];
  }
}
