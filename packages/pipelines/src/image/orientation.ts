/** The eight orientations of EXIF: how the pixels that are stored lie in the image that is meant. */
export interface Orientation {
  /** The stored x axis is the y axis of the image. */
  readonly isSwapped: boolean;
  /** The stored x or y axis runs backwards. */
  readonly isXFlipped: boolean;
  readonly isYFlipped: boolean;
}

/** As stored. */
export const upright: Orientation = { isSwapped: false, isXFlipped: false, isYFlipped: false };

/** By the value of the tag 0x0112, from 1 (TIFF 6.0, "Orientation"). Another value means upright. */
export function orientationOf(tag: number): Orientation {
  return {
    isSwapped: tag >= 5 && tag <= 8,
    isXFlipped: tag === 2 || tag === 3 || tag === 7 || tag === 8,
    isYFlipped: tag === 3 || tag === 4 || tag === 6 || tag === 7,
  };
}
