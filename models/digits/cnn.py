"""The digits network and its training, in NumPy: three convolutions, two poolings, one dense layer.

Small enough (23,000 weights) that a deep-learning framework would cost more to install than it saves.
Activations are [rows, height, width, channels]; the weights leave in ONNX's layout.
"""

import numpy as np

CLASSES = 10
CHANNELS = (16, 32, 48)
DROPOUT = 0.3
"""Share of the dense layer's inputs dropped in training."""


class Adam:
    """Adam with decoupled weight decay, updating the given arrays in place."""

    def __init__(self, weights: dict[str, np.ndarray], decay: float) -> None:
        self.weights = weights
        self.decay = decay
        self.first = {name: np.zeros_like(value) for name, value in weights.items()}
        self.second = {name: np.zeros_like(value) for name, value in weights.items()}
        self.steps = 0

    def step(self, gradients: dict[str, np.ndarray], rate: float) -> None:
        self.steps += 1
        first_scale = 1 - 0.9**self.steps
        second_scale = 1 - 0.999**self.steps
        for name, gradient in gradients.items():
            first, second = self.first[name], self.second[name]
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            weight = self.weights[name]
            if name.endswith("weight"):
                weight -= rate * self.decay * weight
            weight -= rate * (first / first_scale) / (np.sqrt(second / second_scale) + 1e-8)


class Network:
    """Weights as matrices [inputs, outputs]; a convolution's inputs run over (row, column, channel)."""

    def __init__(self, patch: int, rng: np.random.Generator) -> None:
        sizes = (1, *CHANNELS)
        self.weights = {}
        for layer in range(3):
            fan_in = 9 * sizes[layer]
            shape = (fan_in, sizes[layer + 1])
            self.weights[f"conv{layer + 1}.weight"] = he_normal(rng, fan_in, shape)
            self.weights[f"conv{layer + 1}.bias"] = np.zeros(sizes[layer + 1], dtype=np.float32)
        self.last_side = patch // 4 - 2
        features = self.last_side**2 * CHANNELS[2]
        self.weights["dense.weight"] = he_normal(rng, features, (features, CLASSES))
        self.weights["dense.bias"] = np.zeros(CLASSES, dtype=np.float32)

    def gradients(
        self, patches: np.ndarray, labels: np.ndarray, rng: np.random.Generator
    ) -> tuple[float, dict[str, np.ndarray]]:
        """Mean cross-entropy of the rows and its gradient for every weight."""
        w = self.weights
        columns1 = columns_of(patches, pad=1)
        active1 = np.maximum(columns1 @ w["conv1.weight"] + w["conv1.bias"], 0)
        pooled1, where1 = pool(active1)
        columns2 = columns_of(pooled1, pad=1)
        active2 = np.maximum(columns2 @ w["conv2.weight"] + w["conv2.bias"], 0)
        pooled2, where2 = pool(active2)
        columns3 = columns_of(pooled2, pad=0)
        active3 = np.maximum(columns3 @ w["conv3.weight"] + w["conv3.bias"], 0)
        flat = active3.reshape(len(patches), -1)
        keep = (rng.random(flat.shape, dtype=np.float32) > DROPOUT) / np.float32(1 - DROPOUT)
        dropped = flat * keep
        logits = dropped @ w["dense.weight"] + w["dense.bias"]

        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        loss = float(-np.log(shares[rows, labels] + 1e-9).mean())
        slope = shares
        slope[rows, labels] -= 1
        slope /= len(labels)

        grads = {"dense.weight": dropped.T @ slope, "dense.bias": slope.sum(axis=0)}
        back = ((slope @ w["dense.weight"].T) * keep).reshape(active3.shape) * (active3 > 0)
        store(grads, "conv3", columns3, back)
        back = image_of(back @ w["conv3.weight"].T, pooled2.shape, pad=0)
        back = unpool(back, where2) * (active2 > 0)
        store(grads, "conv2", columns2, back)
        back = image_of(back @ w["conv2.weight"].T, pooled1.shape, pad=1)
        back = unpool(back, where1) * (active1 > 0)
        store(grads, "conv1", columns1, back)
        return loss, grads

    def onnx_weights(self) -> dict[str, np.ndarray]:
        """The weights in ONNX's layout: kernels [out, in, 3, 3], the dense layer for NCHW order."""
        result = {}
        sizes = (1, *CHANNELS)
        for layer in range(3):
            matrix = self.weights[f"conv{layer + 1}.weight"]
            kernel = matrix.reshape(3, 3, sizes[layer], sizes[layer + 1]).transpose(3, 2, 0, 1)
            result[f"conv{layer + 1}.weight"] = np.ascontiguousarray(kernel)
            result[f"conv{layer + 1}.bias"] = self.weights[f"conv{layer + 1}.bias"]
        side = self.last_side
        dense = self.weights["dense.weight"].reshape(side, side, CHANNELS[2], CLASSES)
        result["dense.weight"] = dense.transpose(2, 0, 1, 3).reshape(-1, CLASSES)
        result["dense.bias"] = self.weights["dense.bias"]
        return result


def train(
    network: Network,
    patches: np.ndarray,
    labels: np.ndarray,
    passes: int,
    rng: np.random.Generator,
    batch: int = 128,
    peak_rate: float = 2e-3,
) -> None:
    """Goes over all patches [rows, PATCH, PATCH, 1] `passes` times; the rate falls along half a cosine."""
    adam = Adam(network.weights, decay=1e-2)
    batches = len(patches) // batch
    for number in range(passes):
        order = rng.permutation(len(patches))
        total = 0.0
        for index in range(batches):
            chosen = order[index * batch : (index + 1) * batch]
            progress = (number * batches + index) / (passes * batches)
            rate = peak_rate * 0.5 * (1 + np.cos(np.pi * progress))
            loss, grads = network.gradients(patches[chosen], labels[chosen], rng)
            adam.step(grads, rate)
            total += loss
        print(f"digits: pass {number + 1} of {passes}, loss {total / batches:.4f}", flush=True)


def he_normal(rng: np.random.Generator, fan_in: int, shape: tuple[int, int]) -> np.ndarray:
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)


def columns_of(image: np.ndarray, pad: int) -> np.ndarray:
    """[n,h,w,c] to the 3x3 neighbourhoods [n,h',w',9*c], so that a convolution is one matrix product."""
    if pad:
        image = np.pad(image, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    n, height, width, channels = image.shape
    out_h, out_w = height - 2, width - 2
    columns = np.empty((n, out_h, out_w, 9, channels), dtype=np.float32)
    for place in range(9):
        row, column = divmod(place, 3)
        columns[:, :, :, place] = image[:, row : row + out_h, column : column + out_w]
    return columns.reshape(n, out_h, out_w, 9 * channels)


def image_of(columns: np.ndarray, shape: tuple[int, ...], pad: int) -> np.ndarray:
    """The transpose of columns_of: adds every neighbourhood's gradient back onto its pixels."""
    n, height, width, channels = shape
    padded = np.zeros((n, height + 2 * pad, width + 2 * pad, channels), dtype=np.float32)
    out_h, out_w = columns.shape[1:3]
    parts = columns.reshape(n, out_h, out_w, 9, channels)
    for place in range(9):
        row, column = divmod(place, 3)
        padded[:, row : row + out_h, column : column + out_w] += parts[:, :, :, place]
    return padded[:, pad : pad + height, pad : pad + width]


def pool(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2x2 maximum, and the mask (shares, on a tie) of where it was, for the way back."""
    n, height, width, channels = image.shape
    blocks = image.reshape(n, height // 2, 2, width // 2, 2, channels)
    top = blocks.max(axis=(2, 4), keepdims=True)
    mask = (blocks == top).astype(np.float32)
    mask /= mask.sum(axis=(2, 4), keepdims=True)
    return top[:, :, 0, :, 0], mask


def unpool(gradient: np.ndarray, mask: np.ndarray) -> np.ndarray:
    n, half_h, _, half_w, _, channels = mask.shape
    spread = gradient[:, :, None, :, None] * mask
    return spread.reshape(n, half_h * 2, half_w * 2, channels)


def store(grads: dict[str, np.ndarray], name: str, columns: np.ndarray, back: np.ndarray) -> None:
    flat = back.reshape(-1, back.shape[-1])
    grads[f"{name}.weight"] = columns.reshape(-1, columns.shape[-1]).T @ flat
    grads[f"{name}.bias"] = flat.sum(axis=0)
