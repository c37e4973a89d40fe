"""Writes detect.json: outputs of detectors of every family, seeded, and the boxes that a plain reference finds in them.

    pip install -r models/requirements.txt && python packages/pipelines/golden/detect.py

The reference is detect_reference.py.
"""

import base64
import json
from pathlib import Path

import numpy as np

from detect_reference import activated, detections, priors_of, sigmoid

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT = 64, 32
LABELS = ["cat", "dog", "owl"]
STRIDES = [8, 16, 32]
ANCHORS = [[[5, 6], [9, 12], [16, 8]], [[14, 20], [24, 16], [20, 28]], [[40, 24], [30, 31], [60, 30]]]
FILL = {"sourceWidth": 200, "sourceHeight": 150, "scaleX": 0.32, "scaleY": 32 / 150, "offsetX": 0, "offsetY": 0}
# A portrait in the middle of a wide tensor, and a landscape of which left and right are cut off.
CONTAIN = {"sourceWidth": 100, "sourceHeight": 160, "scaleX": 0.2, "scaleY": 0.2, "offsetX": 22, "offsetY": 0}
COVER = {"sourceWidth": 300, "sourceHeight": 100, "scaleX": 0.32, "scaleY": 0.32, "offsetX": -16, "offsetY": 0}

rng = np.random.default_rng(20240501)
cases = []


def case(name, head, outputs, images=(FILL,), **changes):
    """`outputs`: name -> array with a leading row dimension; stored and read as FP32."""
    spec = {
        "kind": "detect",
        "head": head,
        "inputWidth": WIDTH,
        "inputHeight": HEIGHT,
        "labels": LABELS,
        "scoreThreshold": 0.3,
        "iouThreshold": 0.45,
        "isClassAgnostic": False,
        "isMultiLabel": False,
        "candidatesMax": 1000,
        "detectionsMax": 100,
        **changes,
    }
    stored = {key: np.ascontiguousarray(value, dtype="<f4") for key, value in outputs.items()}
    expected = []
    for row, image in enumerate(images):
        own = [value[row].astype(np.float64) for value in stored.values()]
        expected.append(detections(spec, own, image))
    tensors = [
        {"name": key, "shape": list(value.shape), "base64": base64.b64encode(value.tobytes()).decode()}
        for key, value in stored.items()
    ]
    cases.append({"name": name, "spec": spec, "placements": list(images), "tensors": tensors, "expected": expected})
    print(f"{name}: {', '.join(str(len(row)) for row in expected)}")


def some_boxes(rows, count):
    """Relative corners, some over the rim, in heaps so that they cover each other."""
    heaps = rng.uniform(0, 1, (rows, 1 + count // 5, 2))
    centre = heaps[:, rng.integers(0, heaps.shape[1], count)] + rng.normal(0, 0.03, (rows, count, 2))
    half = rng.uniform(0.04, 0.25, (rows, count, 2))
    return np.concatenate([centre - half, centre + half], axis=2)


def as_form(boxes, form, units):
    size = boxes[..., 2:] - boxes[..., :2]
    if form == "xywh":
        boxes = np.concatenate([boxes[..., :2], size], axis=-1)
    if form == "cxcywh":
        boxes = np.concatenate([boxes[..., :2] + size / 2, size], axis=-1)
    return boxes if units == "relative" else boxes * [WIDTH, HEIGHT, WIDTH, HEIGHT]


def boxes_head(form="xyxy", units="relative", activation="none", background=None):
    scores = {"output": "scores", "activation": activation, "background": background}
    return {"family": "boxes", "scores": scores, "boxes": "boxes", "format": form, "units": units}


def boxes_case(name, head, images=(FILL,), count=60, **changes):
    scores = head["scores"]
    classes = len(LABELS) + (scores["background"] is not None)
    logits = rng.normal(-1, 2, (len(images), count, classes))
    values = logits if scores["activation"] != "none" else activated(logits, "softmax")
    boxes = as_form(some_boxes(len(images), count), head["format"], head["units"])
    case(name, head, {"scores": values, "boxes": boxes}, images, **changes)


boxes_case("boxes, corners, background first, every class", boxes_head(background=0), isMultiLabel=True)
boxes_case("boxes, sigmoid, two rows, any class covers any", boxes_head("cxcywh", "pixels", "sigmoid"), (CONTAIN, COVER), isClassAgnostic=True)
boxes_case("boxes, sigmoid, every class", boxes_head("xywh", "pixels", "sigmoid"), (COVER,), isMultiLabel=True)
boxes_case("boxes, softmax, background last", boxes_head("xywh", "relative", "softmax", len(LABELS)), (COVER,))
boxes_case("boxes, softmax without background, every class", boxes_head("xyxy", "pixels", "softmax"), (CONTAIN,), isMultiLabel=True)
boxes_case("boxes, few candidates, fewer answers", boxes_head(), scoreThreshold=0, candidatesMax=25, detectionsMax=7)

PRIORS = [
    {"stride": 8, "sizes": [[6, 6], [9, 6], [6, 9]]},
    {"stride": 16, "sizes": [[14, 14], [20, 12]]},
    # 64 and 32 pixels are not whole numbers of these cells.
    {"stride": 24, "sizes": [[28, 24]]},
]
ssd = {"scores": {"output": "scores", "activation": "softmax", "background": 0}, "boxes": "offsets", "priors": PRIORS, "variances": [0.1, 0.2]}
ssd = {"family": "ssd", **ssd}
prior_count = len(priors_of({"head": ssd, "inputWidth": WIDTH, "inputHeight": HEIGHT}))
ssd_outputs = {
    "scores": rng.normal(0, 1.5, (2, prior_count, len(LABELS) + 1)) + [1.5, 0, 0, 0],
    "offsets": rng.normal(0, 2, (2, prior_count, 4)),
}
case("ssd, two rows", ssd, ssd_outputs, (FILL, CONTAIN), isMultiLabel=True)


def yolo_outputs(layout, activation, rows=1, joined=False):
    outputs = {}
    for index, stride in enumerate(STRIDES):
        shape = (rows, HEIGHT // stride, WIDTH // stride, len(ANCHORS[index]), 5 + len(LABELS))
        output = rng.normal(0, 1, shape)
        output[..., 2:4] *= 0.4
        output[..., 4] += -1.5
        output[..., 5:] *= 2
        if activation != "none":
            output[..., 4:] = sigmoid(output[..., 4:])
        if activation == "all":
            output[..., :2] = sigmoid(output[..., :2])
        if layout == "nchw":
            output = output.transpose(0, 3, 4, 1, 2).reshape(rows, -1, *shape[1:3])
        elif joined:
            output = output.reshape(*shape[:3], -1)
        outputs[f"head{stride}"] = output
    return outputs


def yolo_head(family, layout, activation):
    scales = [1.2, 1.1, 1.05] if family == "yolov4" else [1, 1, 1]
    outputs = [
        {"output": f"head{stride}", "stride": stride, "anchors": anchors, "scaleXY": scale, "layout": layout}
        for stride, anchors, scale in zip(STRIDES, ANCHORS, scales)
    ]
    return {"family": family, "outputs": outputs, "activated": activation}


case("yolov3, nhwc, raw", yolo_head("yolov3", "nhwc", "none"), yolo_outputs("nhwc", "none"))
case("yolov4, nchw, raw, two rows", yolo_head("yolov4", "nchw", "none"), yolo_outputs("nchw", "none", 2), (CONTAIN, COVER))
case("yolov4, nhwc, scores activated", yolo_head("yolov4", "nhwc", "scores"), yolo_outputs("nhwc", "scores"), isMultiLabel=True)
case("yolov4, nhwc in one dimension, all activated", yolo_head("yolov4", "nhwc", "all"), yolo_outputs("nhwc", "all", joined=True), isClassAgnostic=True)

yolov5 = np.concatenate([as_form(some_boxes(2, 50), "cxcywh", "pixels"), sigmoid(rng.normal(0, 2, (2, 50, 4)))], axis=2)
case("yolov5, two rows", {"family": "yolov5", "output": "out", "units": "pixels"}, {"out": yolov5}, (CONTAIN, FILL))
case("yolov5, every class", {"family": "yolov5", "output": "out", "units": "pixels"}, {"out": yolov5[:1]}, isMultiLabel=True, scoreThreshold=0.1)

yolov8 = np.concatenate([as_form(some_boxes(2, 50), "cxcywh", "relative"), sigmoid(rng.normal(-1, 2, (2, 50, 3)))], axis=2)
yolov8 = yolov8.transpose(0, 2, 1)
case("yolov8, relative, two rows", {"family": "yolov8", "output": "out", "units": "relative"}, {"out": yolov8}, (COVER, FILL))
yolov8_pixels = yolov8 * np.array([WIDTH, HEIGHT, WIDTH, HEIGHT, 1, 1, 1])[None, :, None]
case("yolov8, pixels, every class", {"family": "yolov8", "output": "out", "units": "pixels"}, {"out": yolov8_pixels[:1]}, isMultiLabel=True)

cells = sum((WIDTH // stride) * (HEIGHT // stride) for stride in STRIDES)
yolox = np.concatenate(
    [rng.uniform(0, 1, (2, cells, 2)), rng.normal(0.4, 0.4, (2, cells, 2)), sigmoid(rng.normal(0, 2, (2, cells, 4)))], axis=2
)
case("yolox, two rows", {"family": "yolox", "output": "out", "strides": STRIDES}, {"out": yolox}, (FILL, CONTAIN))

end = np.concatenate([as_form(some_boxes(1, 12), "xyxy", "pixels"), np.sort(rng.uniform(0, 1, (1, 12, 1)), axis=1)[:, ::-1], rng.integers(0, 3, (1, 12, 1))], axis=2)
end[0, 9:] = 0
end[0, 8] = [0, 0, 9, 9, 0.9, -1]
case("end to end, filled up with nothing", {"family": "end_to_end", "output": "out", "format": "xyxy", "units": "pixels"}, {"out": end}, (CONTAIN,))

# Boxes chosen by hand, for suppression alone.
HAND = [
    ("equal scores keep their order", [[4, 4, 20, 20, 0.5, 0], [5, 4, 21, 20, 0.5, 0], [40, 4, 60, 20, 0.5, 0]], 0.5),
    ("identical boxes are one, of another class two", [[4, 4, 20, 20, 0.9, 0], [4, 4, 20, 20, 0.9, 0], [4, 4, 20, 20, 0.8, 1]], 0.99),
    ("boxes without area are left out and cover nothing", [[10, 4, 10, 20, 0.9, 0], [4, 4, 20, 20, 0.8, 0], [20, 20, 4, 4, 0.7, 0]], 0.1),
    ("as large as the threshold is not larger", [[0, 0, 16, 16, 0.9, 0], [0, 0, 16, 8, 0.8, 0]], 0.5),
    ("at 0, a touch is no overlap", [[0, 0, 16, 16, 0.9, 0], [16, 0, 32, 16, 0.8, 0], [31, 0, 40, 16, 0.7, 0]], 0),
    ("at 1, nothing is covered", [[0, 0, 16, 16, 0.9, 0], [0, 0, 16, 16, 0.8, 0]], 1),
    ("what is covered does not cover", [[0, 0, 16, 16, 0.9, 0], [6, 0, 22, 16, 0.8, 0], [12, 0, 28, 16, 0.7, 0]], 0.4),
    ("beyond the image, cut or left out", [[-9, -9, 5, 5, 0.9, 0], [60, 28, 99, 99, 0.8, 1], [70, 4, 90, 20, 0.7, 2]], 0.5),
]
for name, rows, threshold in HAND:
    rows = np.array(rows)
    scores = np.zeros((1, len(rows), len(LABELS)))
    scores[0, np.arange(len(rows)), rows[:, 5].astype(int)] = rows[:, 4]
    case(name, boxes_head("xyxy", "pixels"), {"scores": scores, "boxes": rows[None, :, :4]}, iouThreshold=threshold)

text = "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in cases) + "\n]\n"
(HERE / "detect.json").write_text(text)
