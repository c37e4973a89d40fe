"""The ONNX graph of the digits model, in two parts.

1. The normaliser: makes every picture look alike before the network sees it. It stretches the contrast,
   turns dark strokes on light paper into light strokes on dark, finds the ink's centre and spread, and samples
   a PATCH x PATCH window around it. Training runs this very graph, so what is trained is what is served.
2. The classifier: a small convolutional network from that patch to ten logits.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 32
"""Pixels of the picture's side; `size` in model.yaml."""
PATCH = 20
"""Pixels of the side of the window that the network sees."""
OPSET = 17
IR_VERSION = 8

INK_FLOOR = 0.25
"""Contrast below this is background (paper grain, JPEG noise) when the ink is located."""
WINDOW_SPREADS = 2.0
"""Half of the window's side, in standard deviations of the ink along its longer axis."""


class Graph:
    """Collects nodes and constants; every call to `add` names its outputs after the step."""

    def __init__(self) -> None:
        self.nodes = []
        self.constants = []

    def constant(self, name: str, values, dtype=np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def model(self, output: str, output_shape: list) -> onnx.ModelProto:
        """A checked model from `image` [N,1,SIDE,SIDE] to the named output, both FP32."""
        graph = helper.make_graph(
            self.nodes,
            "digits",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, SIDE, SIDE])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, output_shape)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model


def add_normaliser(g: Graph) -> str:
    """`image` [N,1,SIDE,SIDE] in 0..1 to `patch` [N,1,PATCH,PATCH]: light ink on 0, centred, to scale."""
    pixels = {"axes": [1, 2, 3], "keepdims": 1}
    one = g.constant("one", 1.0)

    # Contrast: the darkest pixel becomes 0, the lightest 1; a blank picture stays blank.
    low = g.add("ReduceMin", ["image"], "low", **pixels)
    high = g.add("ReduceMax", ["image"], "high", **pixels)
    span = g.add("Sub", [high, low], "span")
    span = g.add("Max", [span, g.constant("least_span", 0.02)], "safe_span")
    raised = g.add("Sub", ["image", low], "raised")
    stretched = g.add("Div", [raised, span], "stretched")

    # Polarity: the outermost ring of pixels is background, so a light ring means paper.
    ring = np.ones((1, 1, SIDE, SIDE), dtype=np.float32)
    ring[:, :, 1:-1, 1:-1] = 0
    ringed = g.add("Mul", [stretched, g.constant("ring", ring / ring.sum())], "ringed")
    ring_level = g.add("ReduceSum", [ringed, g.constant("pixel_axes", [1, 2, 3], np.int64)], "ring_level")
    is_paper = g.add("Greater", [ring_level, g.constant("half", 0.5)], "is_paper")
    inverted = g.add("Sub", [one, stretched], "inverted")
    ink = g.add("Where", [is_paper, inverted, stretched], "ink")

    # Place and size of the ink: its centre of mass and its spread, in coordinates -1..1.
    floored = g.add("Sub", [ink, g.constant("ink_floor", INK_FLOOR)], "floored")
    weight = g.add("Relu", [floored], "weight")
    mass = g.add("ReduceSum", [weight, "pixel_axes"], "mass")
    mass = g.add("Max", [mass, g.constant("least_mass", 1e-3)], "safe_mass")
    centres = (2 * np.arange(SIDE, dtype=np.float32) + 1) / SIDE - 1
    along = {
        "x": g.constant("x_axis", centres.reshape(1, 1, 1, SIDE)),
        "y": g.constant("y_axis", centres.reshape(1, 1, SIDE, 1)),
    }
    centre, variance = {}, {}
    for axis, coordinates in along.items():
        product = g.add("Mul", [weight, coordinates], f"{axis}_product")
        total = g.add("ReduceSum", [product, "pixel_axes"], f"{axis}_total")
        centre[axis] = g.add("Div", [total, mass], f"{axis}_centre")
        offset = g.add("Sub", [coordinates, centre[axis]], f"{axis}_offset")
        squared = g.add("Mul", [offset, offset], f"{axis}_squared")
        weighted = g.add("Mul", [weight, squared], f"{axis}_weighted")
        moment = g.add("ReduceSum", [weighted, "pixel_axes"], f"{axis}_moment")
        variance[axis] = g.add("Div", [moment, mass], f"{axis}_variance")
    widest = g.add("Max", [variance["x"], variance["y"]], "widest")
    spread = g.add("Sqrt", [widest], "spread")
    reach = g.add("Mul", [spread, g.constant("window_spreads", WINDOW_SPREADS)], "reach")
    reach = g.add("Clip", [reach, g.constant("reach_min", 0.1), g.constant("reach_max", 1.5)], "window")

    # The window, sampled bilinearly; outside of the picture is background.
    steps = (2 * np.arange(PATCH, dtype=np.float32) + 1) / PATCH - 1
    grid = np.stack(np.meshgrid(steps, steps), axis=-1)[None]
    scaled = g.add("Mul", [g.constant("grid", grid), reach], "scaled_grid")
    middle = g.add("Concat", [centre["x"], centre["y"]], "middle", axis=3)
    placed = g.add("Add", [scaled, middle], "placed_grid")
    return g.add(
        "GridSample", [ink, placed], "patch", mode="bilinear", padding_mode="zeros", align_corners=0
    )


def add_classifier(g: Graph, patch: str, weights: dict[str, np.ndarray]) -> str:
    """`patch` [N,1,PATCH,PATCH] to `logits` [N,10]; the weights as cnn.py trains them."""
    for name, values in weights.items():
        g.constant(name, values)
    x = g.add("Conv", [patch, "conv1.weight", "conv1.bias"], "conv1", kernel_shape=[3, 3], pads=[1] * 4)
    x = g.add("Relu", [x], "relu1")
    x = g.add("MaxPool", [x], "pool1", kernel_shape=[2, 2], strides=[2, 2])
    x = g.add("Conv", [x, "conv2.weight", "conv2.bias"], "conv2", kernel_shape=[3, 3], pads=[1] * 4)
    x = g.add("Relu", [x], "relu2")
    x = g.add("MaxPool", [x], "pool2", kernel_shape=[2, 2], strides=[2, 2])
    x = g.add("Conv", [x, "conv3.weight", "conv3.bias"], "conv3", kernel_shape=[3, 3], pads=[0] * 4)
    x = g.add("Relu", [x], "relu3")
    x = g.add("Flatten", [x], "flat", axis=1)
    return g.add("Gemm", [x, "dense.weight", "dense.bias"], "logits")


def normaliser_model() -> onnx.ModelProto:
    """The normaliser alone, to prepare training patches."""
    g = Graph()
    return g.model(add_normaliser(g), ["N", 1, PATCH, PATCH])


def digits_model(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The whole model: `image` [N,1,SIDE,SIDE] to `logits` [N,10]."""
    g = Graph()
    return g.model(add_classifier(g, add_normaliser(g), weights), ["N", 10])
