"""Makes a variant of an ONNX model with ONNX Runtime's own tools. Run by `inferry models optimize`.

One JSON object on standard input:
  variant      "fp16", "int8" (weights; activations at run time) or "int8-static" (both, calibrated)
  source       the model, which is only read
  target       the file to write
  calibration  for int8-static: a file that lists tensors, each with name, dtype, shape and its place in a
               second file of their bytes

Exits with 0 when the target is written. An error is told in one line on standard error.
"""

import json
import os
import sys
import tempfile

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

# Of a convolution ONNX Runtime has no form for the CPU whose activations are quantised as it runs.
DYNAMIC_OPS = ["MatMul", "Gemm", "Attention", "LSTM", "Gather", "EmbedLayerNormalization"]
# What a network spends its time in. Arithmetic around it, such as normalisation inside the graph, keeps its precision.
STATIC_OPS = ["Conv", "ConvTranspose", "MatMul", "Gemm"]


class Calibration(CalibrationDataReader):
    """Prepared inputs, as the model gets them when it serves."""

    def __init__(self, listing: str):
        with open(listing, encoding="utf-8") as file:
            listed = json.load(file)
        self.bytes = np.memmap(listed["bytes"], dtype=np.uint8, mode="r")
        self.samples = iter(listed["samples"])

    def get_next(self):
        sample = next(self.samples, None)
        return None if sample is None else {tensor["name"]: self.read(tensor) for tensor in sample}

    def read(self, tensor):
        start = tensor["offset"]
        raw = self.bytes[start : start + tensor["length"]]
        return np.frombuffer(raw.tobytes(), dtype=tensor["dtype"]).reshape(tensor["shape"])


def fp16(job):
    model = onnx.load(job["source"])
    # Inputs and outputs stay what they are: the pipeline and the callers need not know.
    onnx.save(convert_float_to_float16(model, keep_io_types=True), job["target"])


def int8(job):
    with tempfile.TemporaryDirectory() as folder:
        quantize_dynamic(
            preprocessed(job, folder),
            job["target"],
            op_types_to_quantize=DYNAMIC_OPS,
            per_channel=True,
            weight_type=QuantType.QInt8,
        )


def int8_static(job):
    with tempfile.TemporaryDirectory() as folder:
        quantize_static(
            preprocessed(job, folder),
            job["target"],
            Calibration(job["calibration"]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=STATIC_OPS,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )


def preprocessed(job, folder):
    """The model with its shapes inferred and its graph cleaned up, which quantisation works better on."""
    file = os.path.join(folder, "preprocessed.onnx")
    quant_pre_process(job["source"], file, skip_symbolic_shape=True)
    return file


def main():
    job = json.load(sys.stdin)
    {"fp16": fp16, "int8": int8, "int8-static": int8_static}[job["variant"]](job)


if __name__ == "__main__":
    try:
        main()
    except Exception as cause:
        print(f"{type(cause).__name__}: {cause}".replace("\n", " "), file=sys.stderr)
        sys.exit(1)
