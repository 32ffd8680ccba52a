"""What torch-fidelity's Inception-v3 says on random weights, stored for the tests.

Command: python -m tests.parity.inception_reference
Needs torch-fidelity and torchvision, which the tests do not: its network is a published
port of the graph of 2015-12-05. It writes the names and shapes of the convolutions of
the public file, and a few outputs on random weights and pictures, to inception.json.
"""

import json
import re
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import numpy as np
import torch

STORE = Path(__file__).with_name("inception.json")
BN = ("weight", "bias", "running_mean", "running_var")


def file_shapes(convs):
    """All names and shapes of the public file; its convolutions come without bias."""
    shapes = {}
    for name, shape in convs.items():
        shapes[f"{name}.conv.weight"] = tuple(shape)
        shapes |= {f"{name}.bn.{part}": (shape[0],) for part in BN}
    return shapes | {"fc.weight": (1008, 2048), "fc.bias": (1008,)}


def random_state(convs, seed=0):
    """Weights under which no layer dies or explodes; NumPy's stream is everywhere the
    same."""
    g = np.random.default_rng(seed)
    state = {}
    for name, shape in file_shapes(convs).items():
        if name.endswith(("bn.weight", "running_var")):
            value = g.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            value = 0.1 * g.standard_normal(shape)
        else:
            scale = np.float32((2 / np.prod(shape[1:])) ** 0.5)
            value = scale * g.standard_normal(shape, dtype=np.float32)
        state[name] = torch.from_numpy(value.astype(np.float32))
    return state


def pictures():
    """One picture of bytes at the network's own size, where nobody resizes."""
    g = np.random.default_rng(1)
    coarse = torch.from_numpy(g.uniform(0, 255, (1, 3, 13, 13)).astype(np.float32))
    noise = torch.from_numpy(g.uniform(-9, 9, (1, 3, 299, 299)).astype(np.float32))
    large = torch.nn.functional.interpolate(coarse, (299, 299)) + noise
    return large.clamp(0, 255).byte()


def few(values):
    """Every 63rd number, rounded, and the mean of their size."""
    return [
        round(v, 5) for v in [*values[0, ::63].tolist(), values.abs().mean().item()]
    ]


def main():
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    wanted = ["2048", "logits", "logits_unbiased"]
    # the constructor reads a file, whose names and shapes we want to learn from it
    with (
        mock.patch("torch.load", return_value={}),
        mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict"),
    ):
        peer = FeatureExtractorInceptionV3(
            "peer", wanted, feature_extractor_weights_path="none"
        )
    theirs = {
        name: tuple(value.shape)
        for name, value in peer.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    convs = {
        name.removesuffix(".conv.weight"): shape
        for name, shape in theirs.items()
        if name.endswith(".conv.weight")
    }
    assert file_shapes(convs) == theirs
    peer.load_state_dict(random_state(convs), strict=False)
    with torch.no_grad():
        outputs = [few(values) for values in peer(pictures())]
    names = ("features", "logits", "unbiased")
    made = {"made_with": [f"torch-fidelity {version('torch-fidelity')}"]}
    made |= {"convs": convs, **dict(zip(names, outputs, strict=True))}
    text = json.dumps(made, indent=1)
    # a list of numbers on one line
    text = re.sub(r"\[[^\[\]]*\]", lambda m: " ".join(m[0].split()), text)
    STORE.write_text(text + "\n")


if __name__ == "__main__":
    main()
