/** Families whose boxes are decoded here, from the grid they were predicted on: SSD, YOLOv3 and YOLOv4, YOLOX. */
import type {
  DetectSpec,
  SsdHead,
  YoloAnchorHead,
  YoloAnchorOutput,
  YoloxHead,
} from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import { classCount, classGrid, fitScoresAndBoxes } from './decoded-families.ts';
import { type Family, outputAt, type RowValues } from './family.ts';
import {
  boxCount,
  type CornersOf,
  exponential,
  type Level,
  levelIndexOf,
  levelsOf,
  writeCentred,
} from './geometry.ts';
import {
  channelsBeforeClasses,
  type ObjectnessGrid,
  scanClasses,
  scanObjectness,
  sigmoid,
} from './scores.ts';
import { cornersEach } from './suppress.ts';

/** Class scores [n, classes] beside offsets [n, 4] from n priors. */
export function ssdFamily(head: SsdHead, spec: DetectSpec): Family {
  const classes = classCount(head.scores, spec);
  const levels = levelsOf(
    head.priors.map(({ stride, sizes }) => ({ stride, perCell: sizes.length })),
    spec,
  );
  const priors = boxCount(levels);
  return {
    fits: (counts) => fitScoresAndBoxes(counts, classes) && counts[1] === priors * cornersEach,
    read: (row) => ({
      collect: (rule, into) => {
        scanClasses(classGrid(head.scores, classes, outputAt(row, 0)), rule, into);
      },
      corners: ssdCorners(head, levels, outputAt(row, 1)),
    }),
  };
}

function ssdCorners(head: SsdHead, levels: readonly Level[], offsets: Float32Array): CornersOf {
  const [ofCentre, ofSize] = head.variances;
  return (box, out, at) => {
    const index = levelIndexOf(levels, box);
    const { stride, columns, perCell, firstBox } = levelAt(levels, index);
    const inLevel = box - firstBox;
    const cell = Math.floor(inLevel / perCell);
    const [width, height] = head.priors[index]?.sizes[inLevel % perCell] ?? [0, 0];
    const x = ((cell % columns) + 0.5) * stride;
    const y = (Math.floor(cell / columns) + 0.5) * stride;
    const first = box * cornersEach;
    writeCentred(
      out,
      at,
      x + (offsets[first] ?? 0) * ofCentre * width,
      y + (offsets[first + 1] ?? 0) * ofCentre * height,
      width * exponential((offsets[first + 2] ?? 0) * ofSize),
      height * exponential((offsets[first + 3] ?? 0) * ofSize),
    );
  };
}

/** Where channel 0 of a box lies in the output of its level, and how far apart its channels are. */
interface ChannelPlace {
  readonly channelStride: number;
  readonly offsetOf: (box: number) => number;
}

function channelPlace(output: YoloAnchorOutput, level: Level, classes: number): ChannelPlace {
  const each = channelsBeforeClasses + classes;
  const { cells, perCell } = level;
  if (output.layout === 'nhwc') return { channelStride: 1, offsetOf: (box) => box * each };
  return {
    channelStride: cells,
    offsetOf: (box) => (box % perCell) * each * cells + Math.floor(box / perCell),
  };
}

/** One raw output a stride. Boxes are numbered by output, cell and anchor, whichever way they lie. */
export function yoloAnchorFamily(head: YoloAnchorHead, spec: DetectSpec): Family {
  const classes = spec.labels.length;
  const each = channelsBeforeClasses + classes;
  const levels = levelsOf(
    head.outputs.map(({ stride, anchors }) => ({ stride, perCell: anchors.length })),
    spec,
  );
  const parts = head.outputs.map((output, index) => {
    const level = levelAt(levels, index);
    return { output, level, place: channelPlace(output, level, classes) };
  });
  return {
    fits: (counts) =>
      levels.every(({ cells, perCell }, index) => counts[index] === cells * perCell * each),
    read: (row) => ({
      collect: (rule, into) => {
        for (const [index, { level, place }] of parts.entries()) {
          const grid: ObjectnessGrid = {
            values: outputAt(row, index),
            boxes: level.cells * level.perCell,
            channelStride: place.channelStride,
            classes,
            isLogit: head.activated === 'none',
            firstBox: level.firstBox,
            offsetOf: place.offsetOf,
          };
          scanObjectness(grid, rule, into);
        }
      },
      corners: yoloAnchorCorners(head, parts, levels, row),
    }),
  };
}

interface YoloPart {
  readonly output: YoloAnchorOutput;
  readonly level: Level;
  readonly place: ChannelPlace;
}

function yoloAnchorCorners(
  head: YoloAnchorHead,
  parts: readonly YoloPart[],
  levels: readonly Level[],
  row: RowValues,
): CornersOf {
  const centre = head.activated === 'all' ? (value: number) => value : sigmoid;
  return (box, out, at) => {
    const index = levelIndexOf(levels, box);
    const part = parts[index];
    const values = outputAt(row, index);
    if (part === undefined) return;
    const { output, level, place } = part;
    const inLevel = box - level.firstBox;
    const cell = Math.floor(inLevel / level.perCell);
    const first = place.offsetOf(inLevel);
    const channel = (k: number): number => values[first + k * place.channelStride] ?? 0;
    const [width, height] = output.anchors[inLevel % level.perCell] ?? [0, 0];
    const leeway = (output.scaleXY - 1) / 2;
    const x = (cell % level.columns) + centre(channel(0)) * output.scaleXY - leeway;
    const y = Math.floor(cell / level.columns) + centre(channel(1)) * output.scaleXY - leeway;
    writeCentred(
      out,
      at,
      x * level.stride,
      y * level.stride,
      width * exponential(channel(2)),
      height * exponential(channel(3)),
    );
  };
}

/** [n, 5 + c], one box a cell of each stride's grid. */
export function yoloxFamily(head: YoloxHead, spec: DetectSpec): Family {
  const classes = spec.labels.length;
  const each = channelsBeforeClasses + classes;
  const levels = levelsOf(
    head.strides.map((stride) => ({ stride, perCell: 1 })),
    spec,
  );
  const boxes = boxCount(levels);
  return {
    fits: ([count]) => count === boxes * each,
    read: (row) => {
      const values = outputAt(row, 0);
      return {
        collect: (rule, into) => {
          const offsetOf = (box: number): number => box * each;
          const grid = { values, boxes, channelStride: 1, classes, isLogit: false, firstBox: 0 };
          scanObjectness({ ...grid, offsetOf }, rule, into);
        },
        corners: (box, out, at) => {
          const { stride, columns, firstBox } = levelAt(levels, levelIndexOf(levels, box));
          const cell = box - firstBox;
          const first = box * each;
          writeCentred(
            out,
            at,
            ((values[first] ?? 0) + (cell % columns)) * stride,
            ((values[first + 1] ?? 0) + Math.floor(cell / columns)) * stride,
            exponential(values[first + 2] ?? 0) * stride,
            exponential(values[first + 3] ?? 0) * stride,
          );
        },
      };
    },
  };
}

function levelAt(levels: readonly Level[], index: number): Level {
  const level = levels[index];
  invariant(level !== undefined, 'there is a level for each part of the head');
  return level;
}
