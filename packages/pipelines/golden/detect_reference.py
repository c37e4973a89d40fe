"""Detection written plainly: every box is decoded into one array and filtered afterwards, slow and easy to check.

A spec is written as packages/contracts/src/detect-spec.ts has it, a placement as ImagePlacement of packages/pipelines.
"""

from math import ceil, floor

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def activated(scores, how):
    if how == "sigmoid":
        return sigmoid(scores)
    if how == "softmax":
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)
    return scores


def corners(boxes, form, units, spec):
    """[n, 4] in any form -> [n, 4] left, top, right, bottom in pixels of the input."""
    boxes = boxes.copy()
    if units == "relative":
        boxes *= [spec["inputWidth"], spec["inputHeight"]] * 2
    if form == "xywh":
        boxes[:, 2:] += boxes[:, :2]
    if form == "cxcywh":
        half = boxes[:, 2:] / 2
        boxes = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return boxes


def class_probabilities(head, scores):
    probabilities = activated(scores, head["activation"])
    if head["background"] is not None:
        probabilities = np.delete(probabilities, head["background"], axis=1)
    return probabilities


def priors_of(spec):
    """[n, 4] as centre and size."""
    priors = []
    for level in spec["head"]["priors"]:
        stride = level["stride"]
        for y in range(ceil(spec["inputHeight"] / stride)):
            for x in range(ceil(spec["inputWidth"] / stride)):
                priors += [[(x + 0.5) * stride, (y + 0.5) * stride, *size] for size in level["sizes"]]
    return np.array(priors, dtype=np.float64)


def decode(spec, outputs):
    """The outputs of one image -> corners [n, 4] and class probabilities [n, c], of every box."""
    head = spec["head"]
    family = head["family"]
    classes = len(spec["labels"])
    width, height = spec["inputWidth"], spec["inputHeight"]
    first = outputs[0]
    if family == "boxes":
        return corners(outputs[1], head["format"], head["units"], spec), class_probabilities(head["scores"], first)
    if family == "ssd":
        priors = priors_of(spec)
        centre = priors[:, :2] + outputs[1][:, :2] * head["variances"][0] * priors[:, 2:]
        size = priors[:, 2:] * np.exp(outputs[1][:, 2:] * head["variances"][1])
        boxes = corners(np.concatenate([centre, size], axis=1), "cxcywh", "pixels", spec)
        return boxes, class_probabilities(head["scores"], first)
    if family in ("yolov3", "yolov4"):
        boxes, probabilities = [], []
        for part, output in zip(head["outputs"], outputs):
            stride, anchors = part["stride"], np.array(part["anchors"], dtype=np.float64)
            rows, columns = height // stride, width // stride
            if part["layout"] == "nchw":
                output = output.reshape(len(anchors), 5 + classes, rows, columns).transpose(2, 3, 0, 1)
            else:
                output = output.reshape(rows, columns, len(anchors), 5 + classes)
            grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)[:, :, None, :]
            offset = output[..., 0:2] if head["activated"] == "all" else sigmoid(output[..., 0:2])
            scale = part["scaleXY"]
            centre = (offset * scale - (scale - 1) / 2 + grid) * stride
            size = np.exp(output[..., 2:4]) * anchors
            rest = sigmoid(output[..., 4:]) if head["activated"] == "none" else output[..., 4:]
            boxes.append(np.concatenate([centre, size], axis=-1).reshape(-1, 4))
            probabilities.append((rest[..., :1] * rest[..., 1:]).reshape(-1, classes))
        return corners(np.concatenate(boxes), "cxcywh", "pixels", spec), np.concatenate(probabilities)
    if family == "yolov5":
        return corners(first[:, :4], "cxcywh", head["units"], spec), first[:, 4:5] * first[:, 5:]
    if family == "yolov8":
        return corners(first.T[:, :4], "cxcywh", head["units"], spec), first.T[:, 4:]
    if family == "yolox":
        boxes = []
        for stride in head["strides"]:
            for y in range(height // stride):
                for x in range(width // stride):
                    raw = first[len(boxes)]
                    boxes.append([(raw[0] + x) * stride, (raw[1] + y) * stride, *(np.exp(raw[2:4]) * stride)])
        return corners(np.array(boxes), "cxcywh", "pixels", spec), first[:, 4:5] * first[:, 5:]
    probabilities = np.zeros((len(first), classes))
    for box, row in enumerate(first):
        if 0 <= row[5] < classes:
            probabilities[box, int(row[5])] = row[4]
    return corners(first[:, :4], head["format"], head["units"], spec), probabilities


def iou(a, b):
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area = lambda box: max(0, box[2] - box[0]) * max(0, box[3] - box[1])
    union = area(a) + area(b) - shared
    return shared / union if union > 0 and area(a) > 0 and area(b) > 0 else 0


def hundredths(value):
    return floor(value * 100 + 0.5) / 100


def in_image(box, image):
    """x, y, width, height in the image that was sent, cut to it; None where nothing is left."""
    horizontal = [min(image["sourceWidth"], max(0, (v - image["offsetX"]) / image["scaleX"])) for v in box[0::2]]
    vertical = [min(image["sourceHeight"], max(0, (v - image["offsetY"]) / image["scaleY"])) for v in box[1::2]]
    (left, right), (top, bottom) = map(hundredths, horizontal), map(hundredths, vertical)
    cut = [left, top, hundredths(right - left), hundredths(bottom - top)]
    return cut if cut[2] > 0 and cut[3] > 0 else None


def detections(spec, outputs, image):
    boxes, probabilities = decode(spec, outputs)
    found = []
    for box, scores in enumerate(probabilities):
        chosen = range(len(scores)) if spec["isMultiLabel"] else [int(np.argmax(scores))]
        found += [(float(scores[c]), box, c) for c in chosen if scores[c] >= spec["scoreThreshold"]]
    found.sort(key=lambda item: (-item[0], item[1], item[2]))
    kept = []
    for score, box, label in found[: spec["candidatesMax"]]:
        cut = in_image(boxes[box], image)
        if cut is None:
            continue
        rivals = [] if spec["head"]["family"] == "end_to_end" else kept
        if any(
            (spec["isClassAgnostic"] or other == label) and iou(boxes[better], boxes[box]) > spec["iouThreshold"]
            for _, better, other, _ in rivals
        ):
            continue
        kept.append((score, box, label, cut))
    return [
        {"label": spec["labels"][label], "score": score, "box": dict(zip(("x", "y", "width", "height"), cut))}
        for score, _, label, cut in kept[: spec["detectionsMax"]]
    ]
