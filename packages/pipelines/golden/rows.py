"""Writes rows.json: scores with the labels that numpy ranks first, and tables as scikit-learn encodes them.

    pip install -r models/requirements.txt && python packages/pipelines/golden/rows.py
"""

import base64
import json
from pathlib import Path

import numpy as np
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

HERE = Path(__file__).resolve().parent
DTYPES = {"FP32": np.float32, "FP64": np.float64, "FP16": np.float16}

rng = np.random.default_rng(20261121)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


ACTIVATIONS = {"none": lambda x: x, "softmax": softmax, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


def ranking(name: str, raw: np.ndarray, datatype: str, activation: str, top_k: int, threshold: float | None) -> dict:
    """The best of each row: places and scores; equal ones in the order of the labels (a stable sort)."""
    stored = raw.astype(DTYPES[datatype])
    scores = ACTIVATIONS[activation](stored.astype(np.float64))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    rows = []
    for row, places in zip(scores, order):
        kept = [int(place) for place in places if threshold is None or row[place] >= threshold]
        rows.append({"best": int(places[0]), "places": kept, "scores": [float(row[place]) for place in kept]})
    return {
        "name": name, "datatype": datatype, "activation": activation, "topK": top_k, "threshold": threshold,
        "shape": list(stored.shape), "bytes": base64.b64encode(stored.tobytes()).decode(), "rows": rows,
    }  # fmt: skip


def rankings() -> list[dict]:
    normal = rng.normal(size=(6, 40)) * 4
    coarse = np.round(rng.normal(size=(6, 40)))
    return [
        ranking("softmax of FP32", normal, "FP32", "softmax", 5, None),
        ranking("softmax of FP64", normal, "FP64", "softmax", 5, None),
        ranking("softmax of FP16", normal, "FP16", "softmax", 5, None),
        ranking("probabilities as they are", softmax(normal), "FP32", "none", 3, None),
        ranking("many equal scores", coarse, "FP32", "none", 17, None),
        ranking("softmax that underflows to equal zeros", coarse * 1000, "FP32", "softmax", 40, None),
        ranking("all classes", normal, "FP32", "softmax", 40, None),
        ranking("the best alone", normal, "FP32", "softmax", 1, None),
        ranking("several labels at once", normal, "FP32", "sigmoid", 10, 0.9),
        ranking("no label at all", normal - 100, "FP64", "sigmoid", 10, 0.5),
        ranking("a thousand classes", rng.normal(size=(2, 1000)), "FP16", "softmax", 10, None),
    ]


def table() -> dict:
    """A table of numbers, truth values and words; gaps are filled by the default before it is encoded."""
    count = 12
    age = rng.integers(18, 90, count).astype(np.float64)
    income = np.round(rng.lognormal(10, 1, count), 2)
    colours, sizes = ["red", "green", "blue"], ["S", "M", "L"]
    colour, size = rng.choice(colours, count), rng.choice(sizes, count)
    member = rng.random(count) < 0.5
    floor = rng.choice([1, 2, 3, 10], count)
    rows = [
        {"age": float(age[i]), "income": float(income[i]), "colour": str(colour[i]), "size": str(size[i]),
         "member": bool(member[i]), "floor": int(floor[i])}
        for i in range(count)
    ]  # fmt: skip
    rows[1].pop("income")
    rows[2]["size"] = None
    rows[3].pop("member")
    income[1], size[2], member[3] = 20000, "M", True

    scaler = StandardScaler().fit(age.reshape(-1, 1))
    encoded = np.hstack([
        scaler.transform(age.reshape(-1, 1)),
        income.reshape(-1, 1),
        OneHotEncoder(categories=[colours], sparse_output=False).fit_transform(colour.reshape(-1, 1)),
        OrdinalEncoder(categories=[sizes]).fit_transform(size.reshape(-1, 1)),
        member.reshape(-1, 1).astype(np.float64),
        OneHotEncoder(categories=[[1, 2, 3, 10]], sparse_output=False).fit_transform(floor.reshape(-1, 1)),
    ])  # fmt: skip
    columns = [
        {"kind": "number", "name": "age", "min": 0, "max": 150, "mean": float(scaler.mean_[0]), "std": float(scaler.scale_[0])},
        {"kind": "number", "name": "income", "mean": 0, "std": 1, "default": 20000},
        {"kind": "category", "name": "colour", "values": colours, "encoding": "one_hot"},
        {"kind": "category", "name": "size", "values": sizes, "encoding": "ordinal", "default": "M"},
        {"kind": "boolean", "name": "member", "default": True},
        {"kind": "category", "name": "floor", "values": [1, 2, 3, 10], "encoding": "one_hot"},
    ]
    return {"columns": columns, "rows": rows, "encoded": encoded.tolist()}


def main() -> None:
    content = {"rankings": rankings(), "table": table()}
    (HERE / "rows.json").write_text(json.dumps(content, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main()
