"""Writes 1/model.onnx: MobileNetV3-small with 11 classes and seeded random weights, 6 MB.

    pip install -r docs/examples/weather/requirements.txt && python docs/examples/weather/build.py

input: [batch, 3, 224, 224] float32, normalised; logits: [batch, 11] float32. The architecture is that of Howard et al.,
"Searching for MobileNetV3" (2019), table 2, in the form of torchvision's `mobilenet_v3_small`, which leaves out the
squeeze-and-excite block of the last convolution and rounds its channels to multiples of 8. Operators are those of a PyTorch
export in evaluation mode: batch norms folded into their convolutions, HardSwish and HardSigmoid as one operator each.

The weights have learned nothing, so the labels mean nothing; the cost of a run is that of the real network. The same seed gives
the same weights, up to the rounding of the machine's matrix product.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
CLASSES = len((HERE / "labels.txt").read_text(encoding="utf-8").split())
SIDE = 224
SEED = 2019
OPSET = 17
IR_VERSION = 8

PARAMETERS = 1_529_131
"""Trainable parameters with 11 classes, as PyTorch counts them: a scale and a shift for each batch-normed channel."""
MULTIPLY_ADDS = 55_497_664
"""Of one image, in convolutions and linear layers."""


class Block(NamedTuple):
    """One row of table 2: an inverted residual block."""

    kernel: int
    expanded: int
    channels: int
    has_excite: bool
    activation: str
    stride: int


BLOCKS = [
    Block(3, 16, 16, True, "Relu", 2),
    Block(3, 72, 24, False, "Relu", 2),
    Block(3, 88, 24, False, "Relu", 1),
    Block(5, 96, 40, True, "HardSwish", 2),
    Block(5, 240, 40, True, "HardSwish", 1),
    Block(5, 240, 40, True, "HardSwish", 1),
    Block(5, 120, 48, True, "HardSwish", 1),
    Block(5, 144, 48, True, "HardSwish", 1),
    Block(5, 288, 96, True, "HardSwish", 2),
    Block(5, 576, 96, True, "HardSwish", 1),
    Block(5, 576, 96, True, "HardSwish", 1),
]


class Value(NamedTuple):
    """An edge of the graph: its name, and what flows over it when the probe images are the input."""

    name: str
    probe: np.ndarray


class Network:
    """Adds nodes to a graph and computes each on a few probe images, whose statistics the batch norms then have."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(SEED)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.parameters = 0
        self.multiply_adds = 0

    def node(self, operator: str, inputs: list[str], name: str | None = None, **attributes) -> str:
        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def weight(self, values: np.ndarray) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def activation(self, kind: str, value: Value) -> Value:
        attributes = {"alpha": 1 / 6, "beta": 0.5} if kind == "HardSigmoid" else {}
        return Value(self.node(kind, [value.name], **attributes), ACTIVATIONS[kind](value.probe))

    def conv(self, value: Value, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, is_normed: bool = True) -> Value:
        """A convolution that keeps the size (divided by its stride), with its batch norm folded in."""
        fan_in = value.probe.shape[1] // groups * kernel * kernel
        weight = self.random.normal(0, np.sqrt(2 / fan_in), (channels, value.probe.shape[1] // groups, kernel, kernel))
        probe = convolve(value.probe, weight, stride, groups)
        bias = np.zeros(channels)
        if is_normed:
            scale = 1 / np.sqrt(probe.var(axis=(0, 2, 3)) + 1e-3)
            bias = -probe.mean(axis=(0, 2, 3)) * scale
            weight *= scale[:, None, None, None]
            probe = probe * scale[:, None, None] + bias[:, None, None]
        self.parameters += weight.size + (2 if is_normed else 1) * channels
        self.multiply_adds += weight.size * probe.shape[2] * probe.shape[3]
        name = self.node(
            "Conv", [value.name, self.weight(weight), self.weight(bias)],
            kernel_shape=[kernel, kernel], strides=[stride, stride], pads=[kernel // 2] * 4, dilations=[1, 1], group=groups,
        )  # fmt: skip
        return Value(name, probe)

    def linear(self, value: Value, features: int, name: str | None = None) -> Value:
        weight = self.random.normal(0, np.sqrt(2 / value.probe.shape[1]), (features, value.probe.shape[1]))
        bias = np.zeros(features)
        self.parameters += weight.size + features
        self.multiply_adds += weight.size
        return Value(
            self.node("Gemm", [value.name, self.weight(weight), self.weight(bias)], name, transB=1), value.probe @ weight.T
        )

    def pool(self, value: Value) -> Value:
        return Value(self.node("GlobalAveragePool", [value.name]), value.probe.mean(axis=(2, 3), keepdims=True))

    def block(self, value: Value, block: Block) -> Value:
        inner = value
        if block.expanded != value.probe.shape[1]:
            inner = self.activation(block.activation, self.conv(inner, block.expanded))
        depthwise = self.conv(inner, block.expanded, block.kernel, block.stride, groups=block.expanded)
        inner = self.activation(block.activation, depthwise)
        if block.has_excite:
            squeezed = self.conv(self.pool(inner), multiple_of_8(block.expanded / 4), is_normed=False)
            gate = self.conv(self.activation("Relu", squeezed), block.expanded, is_normed=False)
            gate = self.activation("HardSigmoid", gate)
            inner = Value(self.node("Mul", [gate.name, inner.name]), gate.probe * inner.probe)
        inner = self.conv(inner, block.channels)
        if block.stride != 1 or block.channels != value.probe.shape[1]:
            return inner
        return Value(self.node("Add", [inner.name, value.name]), inner.probe + value.probe)


ACTIVATIONS = {
    "Relu": lambda x: np.maximum(x, 0),
    "HardSigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
}


def convolve(images: np.ndarray, weight: np.ndarray, stride: int, groups: int) -> np.ndarray:
    """[n, c, h, w] with [out, c / groups, k, k], padded by k // 2; groups is 1 or c. A sum over the taps of the kernel."""
    side = weight.shape[2]
    padded = np.pad(images, ((0, 0), (0, 0), (side // 2, side // 2), (side // 2, side // 2)))
    sizes = [(size - 1) // stride + 1 for size in images.shape[2:]]
    total = np.zeros((len(images), weight.shape[0], *sizes))
    for row in range(side):
        for column in range(side):
            rows = slice(row, row + stride * sizes[0], stride)
            tap = padded[:, :, rows, column : column + stride * sizes[1] : stride]
            if groups == 1:
                total += np.einsum("nchw,oc->nohw", tap, weight[:, :, row, column], optimize=True)
            else:
                total += tap * weight[:, 0, row, column][:, None, None]
    return total


def multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8 that takes away no more than a tenth."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def probe_images(random: np.random.Generator) -> np.ndarray:
    """Two images in the range of normalised photographs: coarse patches with fine ones upon them."""
    layers = [
        np.kron(random.normal(size=(2, 3, cells, cells)), np.ones((SIDE // cells, SIDE // cells))) for cells in (4, 14, 56, 224)
    ]
    return sum(layers) / np.sqrt(len(layers))


def build() -> onnx.ModelProto:
    network = Network()
    value = Value("input", probe_images(network.random))
    value = network.activation("HardSwish", network.conv(value, 16, kernel=3, stride=2))
    for block in BLOCKS:
        value = network.block(value, block)
    value = network.pool(network.activation("HardSwish", network.conv(value, 6 * 96)))
    value = Value(network.node("Flatten", [value.name], axis=1), value.probe.reshape(len(value.probe), -1))
    value = network.activation("HardSwish", network.linear(value, 1024))
    value = network.linear(value, CLASSES, name="logits")
    assert np.abs(value.probe).max() < 20, "the logits are out of the range of a trained network"
    assert network.parameters == PARAMETERS, f"{network.parameters} parameters instead of {PARAMETERS}"
    assert network.multiply_adds == MULTIPLY_ADDS, f"{network.multiply_adds} multiply-adds instead of {MULTIPLY_ADDS}"
    graph = helper.make_graph(
        network.nodes,
        "mobilenet_v3_small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        network.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    file = HERE / "1" / "model.onnx"
    file.parent.mkdir(exist_ok=True)
    # Written beside its place first: a server never finds half a file.
    part = file.with_suffix(".part")
    onnx.save(build(), part)
    part.replace(file)
    print(f"{file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}: {file.stat().st_size / 1e6:.1f} MB, "
          f"{PARAMETERS:,} parameters, {MULTIPLY_ADDS / 1e6:.1f} M multiply-adds")  # fmt: skip


if __name__ == "__main__":
    main()
