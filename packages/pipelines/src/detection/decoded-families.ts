/** Families whose boxes the graph has decoded: boxes beside scores, YOLOv5, YOLOv8, and end to end. */
import type {
  BoxesHead,
  ClassScores,
  DetectSpec,
  EndToEndHead,
  Yolov5Head,
  Yolov8Head,
} from '@inferry/contracts';
import type { Candidates } from './candidates.ts';
import { type Family, outputAt } from './family.ts';
import { decodedCorners } from './geometry.ts';
import {
  channelsBeforeClasses,
  type ClassGrid,
  scanClasses,
  scanObjectness,
  type ScoreRule,
} from './scores.ts';
import { cornersEach } from './suppress.ts';

/** Scores [n, classes] beside boxes [n, 4]. */
export function boxesFamily(head: BoxesHead, spec: DetectSpec): Family {
  const classes = classCount(head.scores, spec);
  return {
    fits: (counts) => fitScoresAndBoxes(counts, classes),
    read: (row) => ({
      collect: (rule, into) => {
        scanClasses(classGrid(head.scores, classes, outputAt(row, 0)), rule, into);
      },
      corners: decodedCorners(
        {
          values: outputAt(row, 1),
          boxStride: cornersEach,
          numberStride: 1,
          format: head.format,
          units: head.units,
        },
        spec,
      ),
    }),
  };
}

/** With the background, which has no label. */
export function classCount(scores: ClassScores, spec: DetectSpec): number {
  return spec.labels.length + (scores.background === null ? 0 : 1);
}

export function fitScoresAndBoxes(counts: readonly number[], classes: number): boolean {
  const [scores = 0, corners = 0] = counts;
  return corners % cornersEach === 0 && scores === (corners / cornersEach) * classes;
}

/** Scores in rows of one box each. */
export function classGrid(scores: ClassScores, classes: number, values: Float32Array): ClassGrid {
  return {
    values,
    first: 0,
    boxes: values.length / classes,
    boxStride: classes,
    classStride: 1,
    classes,
    activation: scores.activation,
    background: scores.background,
  };
}

/** [n, 5 + c] */
export function yolov5Family(head: Yolov5Head, spec: DetectSpec): Family {
  const classes = spec.labels.length;
  const each = channelsBeforeClasses + classes;
  return {
    fits: ([count = 0]) => count % each === 0,
    read: (row) => {
      const values = outputAt(row, 0);
      return {
        collect: (rule, into) => {
          const boxes = values.length / each;
          const offsetOf = (box: number): number => box * each;
          const grid = { values, boxes, channelStride: 1, classes, isLogit: false, firstBox: 0 };
          scanObjectness({ ...grid, offsetOf }, rule, into);
        },
        corners: decodedCorners(
          { values, boxStride: each, numberStride: 1, format: 'cxcywh', units: head.units },
          spec,
        ),
      };
    },
  };
}

/** [4 + c, n]: each number of all boxes lies together. */
export function yolov8Family(head: Yolov8Head, spec: DetectSpec): Family {
  const classes = spec.labels.length;
  const each = cornersEach + classes;
  return {
    fits: ([count = 0]) => count % each === 0,
    read: (row) => {
      const values = outputAt(row, 0);
      const boxes = values.length / each;
      return {
        collect: (rule, into) => {
          const grid: ClassGrid = {
            values,
            first: cornersEach * boxes,
            boxes,
            boxStride: 1,
            classStride: boxes,
            classes,
            activation: 'none',
            background: null,
          };
          scanClasses(grid, rule, into);
        },
        corners: decodedCorners(
          { values, boxStride: 1, numberStride: boxes, format: 'cxcywh', units: head.units },
          spec,
        ),
      };
    },
  };
}

const endToEndEach = 6;

/** [n, 6]: a box, its score and its class. Rows that fill up the output have no score, or no known class. */
export function endToEndFamily(head: EndToEndHead, spec: DetectSpec): Family {
  return {
    fits: ([count = 0]) => count % endToEndEach === 0,
    read: (row) => {
      const values = outputAt(row, 0);
      return {
        collect: (rule, into) => {
          collectEndToEnd(values, spec.labels.length, rule, into);
        },
        corners: decodedCorners(
          {
            values,
            boxStride: endToEndEach,
            numberStride: 1,
            format: head.format,
            units: head.units,
          },
          spec,
        ),
      };
    },
  };
}

function collectEndToEnd(
  values: Float32Array,
  labels: number,
  rule: ScoreRule,
  into: Candidates,
): void {
  for (let box = 0; box < values.length / endToEndEach; box += 1) {
    const score = values[box * endToEndEach + 4] ?? 0;
    const label = Math.round(values[box * endToEndEach + 5] ?? 0);
    if (score >= rule.threshold && label >= 0 && label < labels) into.add(box, label, score);
  }
}
