"""Writes image.json: small images, and the tensors that Pillow and numpy make of them.

    pip install -r models/requirements.txt && python packages/pipelines/golden/image.py

The reference resizes the whole image in float32 (Pillow's mode F, one channel at a time), cuts and pads afterwards as
torchvision and letterboxes do, cuts what a filter overshoots to 0..255, and normalises. A spec is written as ImageSpec in
packages/contracts/src/pipeline-spec.ts has it, without what is usual.
"""

import base64
import io
import json
from math import floor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}
USUAL = {
    "width": 16, "height": 12, "fit": "fill", "cropPct": 1, "pad": 0, "color": "rgb", "layout": "nchw",
    "interpolation": "linear", "scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
}
GREY = {"color": "gray", "mean": [0.5], "std": [0.25]}

rng = np.random.default_rng(20240607)


def picture(width, height):
    """Slopes, an edge and some noise: what photos are made of."""
    y, x = np.mgrid[0:height, 0:width]
    slopes = np.stack([x / width, y / height, (x + y) / (width + height)], axis=-1) * 220
    disc = ((x - width * 0.4) ** 2 + (y - height * 0.6) ** 2 < (min(width, height) * 0.3) ** 2)[..., None]
    noisy = np.where(disc, 255 - slopes, slopes) + rng.normal(0, 12, slopes.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8), "RGB")


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def resized(pixels, width, height, interpolation):
    """[height, width, 3] in float32."""
    channels = [
        np.asarray(Image.fromarray(pixels[..., c]).resize((width, height), FILTERS[interpolation]))
        for c in range(pixels.shape[2])
    ]
    return np.clip(np.stack(channels, axis=-1), 0, 255)


def fitted(pixels, spec):
    height, width = pixels.shape[:2]
    w, h, interpolation = spec["width"], spec["height"], spec["interpolation"]
    if spec["fit"] == "fill":
        return resized(pixels, w, h, interpolation)
    if spec["fit"] == "contain":
        factor = min(w / width, h / height)
        inner_w, inner_h = floor(width * factor + 0.5), floor(height * factor + 0.5)
        left, top = (w - inner_w) // 2, (h - inner_h) // 2
        sides = ((top, h - inner_h - top), (left, w - inner_w - left), (0, 0))
        inner = resized(pixels, inner_w, inner_h, interpolation)
        if spec["pad"] == "edge":
            return np.pad(inner, sides, mode="edge")
        return np.pad(inner, sides, constant_values=spec["pad"])
    # torchvision: Resize of the shorter side, then CenterCrop.
    big_w, big_h = floor(w / spec["cropPct"]), floor(h / spec["cropPct"])
    if big_w / width < big_h / height:
        whole = resized(pixels, int(width * big_h / height), big_h, interpolation)
    else:
        whole = resized(pixels, big_w, int(height * big_w / width), interpolation)
    top, left = round((whole.shape[0] - h) / 2), round((whole.shape[1] - w) / 2)
    return whole[top : top + h, left : left + w]


def tensor(image, spec):
    pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(np.float32)
    values = fitted(pixels, spec)
    if spec["color"] == "bgr":
        values = values[..., ::-1]
    if spec["color"] == "gray":
        values = values @ np.array([[0.299], [0.587], [0.114]], dtype=np.float32)
    values = (values * spec["scale"] - np.array(spec["mean"])) / np.array(spec["std"])
    if spec["layout"] == "nchw":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values, dtype="<f4")


images = {
    "landscape": picture(61, 47),
    "wide": picture(90, 31),
    "tall": picture(9, 23),
}
sources = {name: encoded(image, format="PNG", optimize=True) for name, image in images.items()}
for tag in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = tag
    name = f"turned {tag}"
    # No larger than the tensor, so that it is decoded in full.
    sources[name] = encoded(picture(14, 10), format="JPEG", quality=95, subsampling=0, exif=exif)
    images[name] = Image.open(io.BytesIO(base64.b64decode(sources[name])))

cases = []


def case(name, source, **spec):
    values = tensor(images[source], USUAL | spec)
    expected = base64.b64encode(values.tobytes()).decode()
    cases.append({"name": name, "source": source, "spec": spec, "shape": values.shape, "expected": expected})


for interpolation in FILTERS:
    how = {"interpolation": interpolation}
    case(f"{interpolation}, stretched", "landscape", **how)
    case(f"{interpolation}, made larger", "tall", **how)
    case(f"{interpolation}, cropped", "wide", fit="cover", **how)
    case(f"{interpolation}, cropped as Resize and CenterCrop", "landscape", fit="cover", cropPct=0.875, **how)
    case(f"{interpolation}, letterboxed", "wide", fit="contain", pad=114, **how)
    case(f"{interpolation}, letterboxed by its edges", "tall", fit="contain", pad="edge", **how)
case("nhwc", "landscape", layout="nhwc", width=13)
case("bgr", "landscape", color="bgr", width=7)
case("bgr, nhwc", "landscape", color="bgr", layout="nhwc")
case("grey", "landscape", **GREY)
case("grey, letterboxed", "tall", color="gray", mean=[0], std=[1], scale=1, fit="contain", pad=33.5)
case("one pixel", "landscape", width=1, height=1)
for tag in range(1, 9):
    for fit in ("cover", "contain"):
        case(f"orientation {tag}, {fit}", f"turned {tag}", fit=fit, pad=50, width=20, height=14, **GREY)

lines = [json.dumps(entry) for entry in cases]
text = f'{{"usual": {json.dumps(USUAL)},\n"sources": {json.dumps(sources)},\n"cases": [\n' + ",\n".join(lines) + "\n]}\n"
(HERE / "image.json").write_text(text)
print(f"{len(cases)} cases, {len(text)} bytes")
