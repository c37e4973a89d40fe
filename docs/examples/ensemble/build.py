"""Builds the two models of the ensemble, 2 KB together, and checks them by running them.

    pip install --requirement docs/examples/ensemble/requirements.txt && python docs/examples/ensemble/build.py

The config.pbtxt files and the labels are written by hand.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = Path(__file__).resolve().parent
SIDE = 8


def model_of(name, nodes, inputs, outputs, constants):
    values = [[helper.make_tensor_value_info(*value) for value in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, name, *values, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def scale():
    """Pixels of 8 bits become a row of numbers from 0 to 1."""
    nodes = [
        helper.make_node("Flatten", ["PIXELS"], ["flat"], axis=1),
        helper.make_node("Cast", ["flat"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["numbers", "white"], ["IMAGE"]),
    ]
    white = numpy_helper.from_array(np.asarray(255, dtype=np.float32), "white")
    pixels = ("PIXELS", TensorProto.UINT8, ["N", SIDE, SIDE])
    return model_of("scale", nodes, [pixels], [("IMAGE", TensorProto.FLOAT, ["N", SIDE * SIDE])], [white])


def light():
    """How likely the light comes from the left, the right, above and below: from the sums of the halves."""
    half = np.zeros((4, SIDE, SIDE), dtype=np.float32)
    middle = SIDE // 2
    half[0, :, :middle] = half[1, :, middle:] = half[2, :middle, :] = half[3, middle:, :] = 0.25
    weights = numpy_helper.from_array(half.reshape(4, -1).T.copy(), "weights")
    nodes = [
        helper.make_node("MatMul", ["IMAGE", "weights"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["SIDES"], axis=1),
    ]
    image = ("IMAGE", TensorProto.FLOAT, ["N", SIDE * SIDE])
    return model_of("light", nodes, [image], [("SIDES", TensorProto.FLOAT, ["N", 4])], [weights])


pixels = np.zeros((1, SIDE, SIDE), dtype=np.uint8)
pixels[:, :, SIDE // 2 :] = 255
[image] = ReferenceEvaluator(scale()).run(None, {"PIXELS": pixels})
[sides] = ReferenceEvaluator(light()).run(None, {"IMAGE": image})
assert sides.argmax() == 1 and sides[0, 1] > 0.9, sides
for name, model in (("scale", scale()), ("light", light())):
    onnx.save(model, HERE / "models" / name / "1" / "model.onnx")
