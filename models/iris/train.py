"""Trains the iris demo model and writes everything the server and the tests need.

Reads scikit-learn's own copy of the data (150 flowers, 4 measurements in cm, 3 species): no download.
Writes, beside this file: 1/model.onnx, labels.txt, heldout/heldout.json. Seeded, so a second run with the
same pinned packages gives the same model. Prints the accuracy on the held-out flowers.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent
SEED = 7
OPSET = 17


def main() -> None:
    data = load_iris()
    features = data.data.astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        features, data.target, test_size=45, stratify=data.target, random_state=SEED
    )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=10.0, max_iter=1000))
    classifier.fit(train_x, train_y)

    # zipmap off: the probabilities stay a plain tensor [N, 3] instead of a list of maps.
    model = to_onnx(
        classifier,
        initial_types=[("input", FloatTensorType([None, 4]))],
        options={id(classifier): {"zipmap": False}},
        target_opset={"": OPSET, "ai.onnx.ml": 3},
    )
    rename_outputs(model)
    # skl2onnx lists the default operator set once for each step; the format wants it once.
    versions = {entry.domain: entry.version for entry in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in versions.items())
    onnx.checker.check_model(model, full_check=True)
    file = HERE / "1" / "model.onnx"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(model.SerializeToString())
    (HERE / "labels.txt").write_text("\n".join(data.target_names) + "\n")
    write_heldout(test_x, test_y)

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    label, probabilities = session.run(["label", "probabilities"], {"input": test_x})
    if label.dtype != np.int64 or probabilities.shape != (len(test_x), 3):
        raise SystemExit(f"unexpected outputs: {label.dtype} and {probabilities.shape}")
    right = int((label == test_y).sum())
    print(f"iris: held-out accuracy {right / len(test_y):.4f} ({right} of {len(test_y)})")
    print(f"iris: {file.stat().st_size} bytes")


def rename_outputs(model) -> None:
    """Gives the outputs stable names and the batch dimension the name N, whatever skl2onnx calls them."""
    names = {}
    for output, name in zip(model.graph.output, ("label", "probabilities"), strict=True):
        names[output.name] = name
        output.name = name
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    for node in model.graph.node:
        for slots in (node.input, node.output):
            for index, name in enumerate(slots):
                slots[index] = names.get(name, name)


def write_heldout(rows: np.ndarray, labels: np.ndarray) -> None:
    """rows: [sepal length, sepal width, petal length, petal width] in cm; labels: index into labels.txt."""
    folder = HERE / "heldout"
    folder.mkdir(exist_ok=True)
    content = {
        "rows": [[round(float(value), 1) for value in row] for row in rows],
        "labels": [int(label) for label in labels],
    }
    (folder / "heldout.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
