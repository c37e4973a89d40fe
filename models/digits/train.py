"""Trains the digits demo model and writes everything the server and the tests need.

Reads scikit-learn's own copy of the data (1,797 handwritten digits of 8x8 pixels): no download. Writes, beside
this file: 1/model.onnx, labels.txt, heldout/heldout.json and two sample pictures. Seeded; takes a few minutes
on one core. Prints the accuracy on the held-out digits for every size and both polarities.
"""

import base64
import io
import json
import os
from pathlib import Path

# One thread: the order of floating-point sums, and so the model, does not depend on the machine's cores.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np
import onnxruntime
from cnn import Network, train
from graph import PATCH, SIDE, digits_model, normaliser_model
from PIL import Image
from pictures import as_served, enlarged, redrawn, skeletons, through_jpeg, variations
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
SEED = 7
HELD_OUT = 360
VARIATIONS = 36
PASSES = 10
LEAST_ACCURACY = 0.97
SAMPLE_SEVEN = 4
SAMPLE_THREE = 2


def main() -> None:
    data = load_digits()
    digits = (data.images / 16).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        digits, data.target, test_size=HELD_OUT, stratify=data.target, random_state=SEED
    )
    # What is committed and tested is 8-bit, so the model is measured on the same 8 bits.
    test_bytes = np.round(test_x * 255).astype(np.uint8)

    rng = np.random.default_rng(SEED)
    pictures = variations(train_x, VARIATIONS, rng)
    plain = np.stack([as_served(digit) for digit in train_x])
    pictures = np.concatenate([pictures.reshape(-1, SIDE, SIDE), plain, plain])
    labels = np.tile(train_y, VARIATIONS + 2)
    patches = run(normaliser_model().SerializeToString(), pictures)
    patches = patches.reshape(-1, PATCH, PATCH, 1)
    print(f"digits: {len(patches)} training patches of {len(train_x)} digits", flush=True)

    network = Network(PATCH, rng)
    train(network, patches, labels, PASSES, rng)

    file = HERE / "1" / "model.onnx"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(digits_model(network.onnx_weights()).SerializeToString())
    (HERE / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    write_heldout(test_bytes, test_y)
    write_samples(test_x, test_y)
    print(f"digits: {file.stat().st_size} bytes")
    report(file.read_bytes(), test_bytes.astype(np.float32) / 255, test_y)


def run(model: bytes, pictures: np.ndarray) -> np.ndarray:
    """Runs a model on [n, SIDE, SIDE] pictures, 512 at a time."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    parts = [
        session.run(None, {"image": pictures[start : start + 512, None]})[0]
        for start in range(0, len(pictures), 512)
    ]
    return np.concatenate(parts)


def report(model: bytes, digits: np.ndarray, labels: np.ndarray) -> None:
    """Prints the held-out accuracy for each kind of picture; stops with an error where a promise is broken."""
    lines = skeletons(digits, 0.4)
    on_wide = [np.pad(enlarged(d, 140, Image.Resampling.BICUBIC), ((30, 30), (80, 80))) for d in digits]
    kinds = {
        "8x8": list(digits),
        "200x200 nearest": [enlarged(d, 200, Image.Resampling.NEAREST) for d in digits],
        "200x200 bicubic": [enlarged(d, 200, Image.Resampling.BICUBIC) for d in digits],
        "200x200 JPEG 60": [through_jpeg(enlarged(d, 200, Image.Resampling.BICUBIC), 60) for d in digits],
        "300x200, digit 140": on_wide,
        "pen 2 of 64": [redrawn(line, 2) for line in lines],
        "pen 5 of 64": [redrawn(line, 5) for line in lines],
    }
    for kind, pictures in kinds.items():
        served = np.stack([as_served(picture.astype(np.float32)) for picture in pictures])
        for polarity, shown in (("light on dark", served), ("dark on light", 1 - served)):
            accuracy = float((run(model, shown).argmax(axis=1) == labels).mean())
            print(f"digits: held-out accuracy {accuracy:.4f}, {kind}, {polarity}")
            if accuracy < LEAST_ACCURACY and not kind.startswith("pen"):
                raise SystemExit(f"accuracy below {LEAST_ACCURACY}: not fit to commit")


def png_of(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def write_heldout(digits: np.ndarray, labels: np.ndarray) -> None:
    """images: base64 of 8x8 8-bit greyscale PNGs, light on dark; labels: the digit each shows."""
    folder = HERE / "heldout"
    folder.mkdir(exist_ok=True)
    content = {
        "images": [base64.b64encode(png_of(digit)).decode() for digit in digits],
        "labels": [int(label) for label in labels],
    }
    (folder / "heldout.json").write_text(json.dumps(content) + "\n")


def write_samples(digits: np.ndarray, labels: np.ndarray) -> None:
    """Two clear held-out digits as pictures: a seven, light on dark, and a three as if drawn on paper."""
    folder = HERE / "samples"
    folder.mkdir(exist_ok=True)
    seven = enlarged(digits[labels == 7][SAMPLE_SEVEN], 128, Image.Resampling.BICUBIC)
    (folder / "seven.png").write_bytes(png_of((seven * 255).astype(np.uint8)))
    line = skeletons(digits[labels == 3][SAMPLE_THREE, None], 0.5)[0]
    large = ndimage.gaussian_filter(ndimage.zoom(redrawn(line, 4), 4, order=1), 4)
    drawn = np.pad(np.clip((large - 0.4) * 6 + 0.5, 0, 1), ((10, 10), (60, 60)))
    paper = np.array([247, 244, 236], dtype=np.float32)
    ink = np.array([38, 42, 68], dtype=np.float32)
    colours = paper + drawn[:, :, None] * (ink - paper)
    Image.fromarray(colours.astype(np.uint8)).save(folder / "three-on-paper.jpg", quality=85)


if __name__ == "__main__":
    main()
