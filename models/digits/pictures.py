"""Pictures for training: the data set's 8x8 digits turned into what people send.

A picture is a float32 array in 0..1, light ink on dark until `finish` decides otherwise. `as_served` does what
the server does before the model: greyscale, letterbox with the edge's colour, linear resize.
"""

import io

import numpy as np
from graph import SIDE
from PIL import Image
from scipy import ndimage

CANVAS = 64
"""Side in pixels on which pictures are varied."""


def as_served(picture: np.ndarray) -> np.ndarray:
    """A greyscale picture of any size to [SIDE, SIDE], as model.yaml's `preprocess.image` asks."""
    height, width = picture.shape
    scale = SIDE / max(height, width)
    new_w, new_h = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(Image.fromarray(picture).resize((new_w, new_h), Image.Resampling.BILINEAR))
    left, top = (SIDE - new_w) // 2, (SIDE - new_h) // 2
    return np.pad(small, ((top, SIDE - new_h - top), (left, SIDE - new_w - left)), mode="edge")


def enlarged(digit: np.ndarray, side: int, resampling: Image.Resampling) -> np.ndarray:
    """An 8x8 digit to side x side pixels, clipped to 0..1."""
    return np.clip(np.asarray(Image.fromarray(digit).resize((side, side), resampling)), 0, 1)


def through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """The picture with what JPEG does to it."""
    file = io.BytesIO()
    Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), dtype=np.float32) / 255


def skeletons(digits: np.ndarray, level: float) -> np.ndarray:
    """One-pixel-wide lines [n, CANVAS, CANVAS] along the strokes where the ink is above `level`.

    Zhang and Suen's thinning, on all digits at once. It is what lets strokes of any width be drawn anew.
    """
    large = np.stack([enlarged(digit, CANVAS - 16, Image.Resampling.BICUBIC) for digit in digits])
    lines = np.pad(large > level, ((0, 0), (8, 8), (8, 8)))
    changed = True
    while changed:
        changed = False
        for phase in (0, 1):
            removed = lines & thinnable(lines, phase)
            changed = changed or bool(removed.any())
            lines &= ~removed
    return lines


def thinnable(lines: np.ndarray, phase: int) -> np.ndarray:
    """Pixels that one phase of the thinning takes away: on the rim, and not what holds a line together."""
    ring = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
    around = [np.roll(lines, (-row, -column), axis=(1, 2)) for row, column in ring]
    count = sum(side.astype(np.int8) for side in around)
    starts = sum((~around[i] & around[(i + 1) % 8]).astype(np.int8) for i in range(8))
    north, east, south, west = around[0], around[2], around[4], around[6]
    if phase == 0:
        open_sides = ~(north & east & south) & ~(east & south & west)
    else:
        open_sides = ~(north & east & west) & ~(north & south & west)
    return (count >= 2) & (count <= 6) & (starts == 1) & open_sides


def redrawn(line: np.ndarray, width: float) -> np.ndarray:
    """The skeleton drawn with a pen `width` canvas pixels wide, its edge one pixel soft."""
    distance = ndimage.distance_transform_edt(~line).astype(np.float32)
    return np.clip(width / 2 + 0.5 - distance, 0, 1)


def moved(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned, slanted, stretched, bent and shifted at random, on the same canvas, 0 outside."""
    angle = np.deg2rad(rng.uniform(-12, 12))
    slant = rng.uniform(-0.15, 0.15)
    size = rng.uniform(0.6, 1.15)
    aspect = rng.uniform(0.8, 1.2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.linalg.inv(turn @ np.array([[size, 0], [slant * size, size * aspect]]))
    middle = np.array([(CANVAS - 1) / 2] * 2)
    room = CANVAS * max(0.04, 0.5 - size / 2)
    shift = rng.uniform(-room, room, size=2)
    places = np.indices((CANVAS, CANVAS), dtype=np.float64).reshape(2, -1)
    sources = matrix @ (places - (middle + shift)[:, None]) + middle[:, None]
    bend = rng.uniform(-2.5, 2.5, size=(2, 5, 5))
    bend = np.stack([ndimage.zoom(part, CANVAS / 5, order=1).reshape(-1) for part in bend])
    return ndimage.map_coordinates(picture, sources + bend, order=1).reshape(CANVAS, CANVAS)


def finish(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Letterbox, blur, contrast, polarity, uneven light, grain and JPEG, each at random; [SIDE, SIDE]."""
    if rng.random() < 0.3:
        wider = int(rng.uniform(4, 20))
        sides = ((0, 0), (wider, wider)) if rng.random() < 0.7 else ((wider, wider), (0, 0))
        picture = np.pad(picture, sides)
    if rng.random() < 0.4:
        picture = ndimage.gaussian_filter(picture, rng.uniform(0.3, 1.8))
    ground = rng.uniform(0, 0.25)
    picture = ground + picture * (rng.uniform(0.6, 1.0) - ground)
    if rng.random() < 0.3:
        slope = np.linspace(-1, 1, picture.shape[1], dtype=np.float32) * rng.uniform(-0.07, 0.07)
        picture = picture + slope
    if rng.random() < 0.5:
        picture = 1 - picture
    if rng.random() < 0.4:
        picture = picture + rng.normal(0, rng.uniform(0.005, 0.05), picture.shape)
    picture = np.clip(picture, 0, 1).astype(np.float32)
    if rng.random() < 0.3:
        picture = through_jpeg(picture, int(rng.uniform(40, 95)))
    return as_served(picture)


def variations(digits: np.ndarray, each: int, rng: np.random.Generator) -> np.ndarray:
    """`each` varied pictures of every digit: [each, n, SIDE, SIDE]. A third of them are redrawn with a pen."""
    lines = [skeletons(digits, level) for level in (0.35, 0.5)]
    result = np.empty((each, len(digits), SIDE, SIDE), dtype=np.float32)
    ways = [Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC]
    for index, digit in enumerate(digits):
        for turn in range(each):
            if turn % 3 == 2:
                picture = redrawn(lines[rng.integers(2)][index], rng.uniform(1.2, 9))
            else:
                picture = enlarged(digit, CANVAS, ways[rng.integers(3)])
                if rng.random() < 0.3:
                    # Harder edges at another level: bolder or thinner strokes of the same shape.
                    level = rng.uniform(0.25, 0.65)
                    picture = np.clip((picture - level) * rng.uniform(2, 6) + 0.5, 0, 1)
            if rng.random() < 0.85:
                picture = moved(picture, rng)
            result[turn, index] = finish(picture.astype(np.float32), rng)
    return result
