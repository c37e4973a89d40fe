"""Writes YOLOv4 as one ONNX file: the network of Bochkovskiy et al. 2020 (https://arxiv.org/abs/2004.10934), layer by layer.

    pip install -r docs/examples/yolov4/requirements.txt
    python docs/examples/yolov4/build.py
    python docs/examples/yolov4/build.py --weights yolov4.weights

CSPDarknet53 with Mish, spatial pyramid pooling, a path aggregation network and three heads with anchors; batch
normalisation is folded into the convolutions. Without --weights, the weights are random and seeded: such a network costs
what a trained one costs and finds nothing that is there. Its heads are scaled so that a handful of boxes a picture pass
the threshold of model.yaml.

Input: image FP32 [n, 3, 416, 416], RGB, 0..1. Outputs: stride8, stride16, stride32 FP32 [n, 3 * (5 + classes), h, w], raw.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
OPSET = 17
IR_VERSION = 8
SIDE = 416
ANCHORS_A_HEAD = 3
HEADS = ("stride8", "stride16", "stride32")
# Five numbers of 4 bytes, of which two are one: version (three) and images seen.
DARKNET_HEADER_BYTES = 20
BATCH_NORM_EPSILON = 1e-5
# Logarithm of the odds at the threshold of 0.5, and how many boxes of a calibration picture get over it.
THRESHOLD_LOGIT = 0.0
BOXES_A_HEAD = 4


class RandomWeights:
    """He et al. 2015. Branches that are added to their input are kept small, or 20 of them would add up to a flood."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def convolution(self, inputs, outputs, kernel, is_normalised, is_added):
        deviation = np.sqrt(2 / (inputs * kernel * kernel)) * (0.3 if is_added else 1)
        weights = self.rng.standard_normal((outputs, inputs, kernel, kernel), dtype=np.float32) * np.float32(deviation)
        return weights, np.zeros(outputs, np.float32)


class DarknetWeights:
    """A .weights file of Darknet: the convolutions in the order of yolov4.cfg, which is the order of this script."""

    def __init__(self, file):
        self.values = np.fromfile(file, dtype="<f4", offset=DARKNET_HEADER_BYTES)
        self.at = 0

    def take(self, *shape):
        count = int(np.prod(shape))
        if self.at + count > len(self.values):
            raise SystemExit(f"the weights end after {len(self.values)} numbers: they are of another network")
        self.at += count
        return self.values[self.at - count : self.at].reshape(shape).astype(np.float32)

    def convolution(self, inputs, outputs, kernel, is_normalised, is_added):
        bias = self.take(outputs)
        if not is_normalised:
            return self.take(outputs, inputs, kernel, kernel), bias
        scale, mean, variance = self.take(outputs), self.take(outputs), self.take(outputs)
        factor = scale / np.sqrt(variance + BATCH_NORM_EPSILON)
        weights = self.take(outputs, inputs, kernel, kernel) * factor[:, None, None, None]
        return weights, bias - mean * factor

    def check_end(self):
        if self.at != len(self.values):
            raise SystemExit(f"{len(self.values) - self.at} weights are left over: they are of another network")


class Graph:
    """Collects nodes; a value is its name, and `channels` tells how many channels it has."""

    def __init__(self, weights, width):
        self.weights = weights
        self.width = width
        self.nodes = []
        self.constants = []
        self.channels = {"image": 3}
        self.darknet_numbers = 0

    def scaled(self, channels):
        return max(1, round(channels * self.width))

    def node(self, kind, inputs, channels, output=None, **attributes):
        output = output or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        self.channels[output] = channels
        return output

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, x, outputs, kernel, stride=1, is_normalised=True, is_added=False, output=None):
        inputs = self.channels[x]
        weights, bias = self.weights.convolution(inputs, outputs, kernel, is_normalised, is_added)
        self.darknet_numbers += weights.size + outputs * (4 if is_normalised else 1)
        name = output or f"conv{len(self.nodes)}"
        values = [x, self.constant(f"{name}.weight", weights), self.constant(f"{name}.bias", bias)]
        shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
        return self.node("Conv", values, outputs, name, **shape)

    def mish(self, x, channels, kernel, stride=1, is_added=False):
        """A convolution, then x * tanh(softplus(x))."""
        x = self.convolution(x, self.scaled(channels), kernel, stride, is_added=is_added)
        count = self.channels[x]
        gate = self.node("Tanh", [self.node("Softplus", [x], count)], count)
        return self.node("Mul", [x, gate], count)

    def leaky(self, x, channels, kernel, stride=1):
        x = self.convolution(x, self.scaled(channels), kernel, stride)
        return self.node("LeakyRelu", [x], self.channels[x], alpha=0.1)

    def leaky_all(self, x, channels, kernels):
        for count, kernel in zip(channels, kernels):
            x = self.leaky(x, count, kernel)
        return x

    def concat(self, *values):
        return self.node("Concat", list(values), sum(self.channels[value] for value in values), axis=1)

    def stage(self, x, channels, inner, blocks, bottleneck):
        """A cross-stage partial stage: half of the channels pass by the residual blocks."""
        x = self.mish(x, channels, 3, stride=2)
        past = self.mish(x, inner, 1)
        x = self.mish(x, inner, 1)
        for _ in range(blocks):
            branch = self.mish(self.mish(x, bottleneck, 1), inner, 3, is_added=True)
            x = self.node("Add", [branch, x], self.channels[x])
        return self.mish(self.concat(self.mish(x, inner, 1), past), channels, 1)

    def pyramid_pooling(self, x):
        pools = [
            self.node("MaxPool", [x], self.channels[x], kernel_shape=[size] * 2, strides=[1, 1], pads=[size // 2] * 4)
            for size in (13, 9, 5)
        ]
        return self.concat(*pools, x)

    def doubled(self, x):
        name = "twice"
        if all(constant.name != name for constant in self.constants):
            self.constant(name, np.array([1, 1, 2, 2], np.float32))
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", [x, "", name], self.channels[x], **how)

    def head(self, x, channels, classes, name):
        x = self.leaky(x, channels, 3)
        return self.convolution(x, ANCHORS_A_HEAD * (5 + classes), 1, is_normalised=False, output=name)


def network(graph, classes):
    """In the order of yolov4.cfg."""
    x = graph.mish("image", 32, 3)
    x = graph.stage(x, 64, 64, 1, 32)
    x = graph.stage(x, 128, 64, 2, 64)
    fine = x = graph.stage(x, 256, 128, 8, 128)
    middle = x = graph.stage(x, 512, 256, 8, 256)
    x = graph.stage(x, 1024, 512, 4, 512)

    x = graph.leaky_all(x, (512, 1024, 512), (1, 3, 1))
    coarse = graph.leaky_all(graph.pyramid_pooling(x), (512, 1024, 512), (1, 3, 1))
    up = graph.doubled(graph.leaky(coarse, 256, 1))
    middle = graph.concat(graph.leaky(middle, 256, 1), up)
    middle = graph.leaky_all(middle, (256, 512, 256, 512, 256), (1, 3, 1, 3, 1))
    up = graph.doubled(graph.leaky(middle, 128, 1))
    fine = graph.concat(graph.leaky(fine, 128, 1), up)
    fine = graph.leaky_all(fine, (128, 256, 128, 256, 128), (1, 3, 1, 3, 1))

    graph.head(fine, 256, classes, HEADS[0])
    middle = graph.concat(graph.leaky(fine, 256, 3, stride=2), middle)
    middle = graph.leaky_all(middle, (256, 512, 256, 512, 256), (1, 3, 1, 3, 1))
    graph.head(middle, 512, classes, HEADS[1])
    coarse = graph.concat(graph.leaky(middle, 512, 3, stride=2), coarse)
    coarse = graph.leaky_all(coarse, (512, 1024, 512, 1024, 512), (1, 3, 1, 3, 1))
    graph.head(coarse, 1024, classes, HEADS[2])


def model_of(graph, classes):
    channels = ANCHORS_A_HEAD * (5 + classes)
    sides = [SIDE // 8, SIDE // 16, SIDE // 32]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", channels, side, side])
        for name, side in zip(HEADS, sides)
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    body = helper.make_graph(graph.nodes, "yolov4", [image], outputs, graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model


def calibrate(model, classes, seed):
    """Scales the heads of a random network: on seeded pictures a few boxes of each pass, of about the anchors' sizes."""
    rng = np.random.default_rng(seed)
    pictures = []
    for cells in (4, 13, 26, 52):
        coarse = rng.random((3, cells, cells), dtype=np.float32)
        pictures.append(np.kron(coarse, np.ones((1, SIDE // cells, SIDE // cells), np.float32)))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    heads = session.run(list(HEADS), {"image": np.stack(pictures)})
    constants = {constant.name: constant for constant in model.graph.initializer}
    # Deviations of x, y, width, height, objectness and each class.
    wanted = np.array([1, 1, 0.3, 0.3, 1] + [2] * classes, np.float32)
    for name, output in zip(HEADS, heads):
        output = output.reshape(len(pictures), ANCHORS_A_HEAD, 5 + classes, -1)
        output = output.transpose(1, 2, 0, 3).reshape(ANCHORS_A_HEAD, 5 + classes, -1)
        mean, deviation = output.mean(axis=2), output.std(axis=2) + 1e-12
        factor = wanted / deviation
        offset = -mean * factor
        objectness = np.sort(((output[:, 4] - mean[:, 4:5]) / deviation[:, 4:5]).ravel())
        offset[:, 4] += THRESHOLD_LOGIT - objectness[-BOXES_A_HEAD * len(pictures)]
        weight, bias = constants[f"{name}.weight"], constants[f"{name}.bias"]
        scaled = numpy_helper.to_array(weight) * factor.reshape(-1, 1, 1, 1)
        weight.CopyFrom(numpy_helper.from_array(scaled.astype(np.float32), weight.name))
        bias.CopyFrom(numpy_helper.from_array(offset.ravel().astype(np.float32), bias.name))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=HERE / "1" / "model.onnx", help="where the model is written")
    parser.add_argument("--weights", type=Path, help="trained weights in Darknet's format; default: random ones")
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--width", type=float, default=1.0, help="share of the channels, for a small network of the same form")
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    trained = DarknetWeights(options.weights) if options.weights else None
    graph = Graph(trained or RandomWeights(options.seed), options.width)
    network(graph, options.classes)
    model = model_of(graph, options.classes)
    onnx.checker.check_model(model)
    if trained:
        trained.check_end()
    else:
        calibrate(model, options.classes, options.seed)
    options.file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, options.file)
    convolutions = sum(node.op_type == "Conv" for node in graph.nodes)
    darknet = DARKNET_HEADER_BYTES + 4 * graph.darknet_numbers
    print(f"{options.file}: {options.file.stat().st_size:,} bytes, {convolutions} convolutions")
    print(f"weights of this network in Darknet's format: {darknet:,} bytes")


if __name__ == "__main__":
    main()
