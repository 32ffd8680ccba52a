"""Perplexity, carbon intensities and the linear probe beside their references."""

import importlib.util
import json
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from torchmetrics.text import Perplexity

from mmdl_lib.core import generator
from mmdl_lib.metrics.cost import INTENSITY
from mmdl_lib.metrics.perplexity import perplexity
from mmdl_lib.metrics.probe import logistic_regression


def test_perplexity_is_torchmetrics(agree):
    g = generator(0)
    logits = 3 * torch.randn(5, 40, 50, generator=g).double()
    target = torch.randint(50, (5, 40), generator=g)
    mask = torch.rand(5, 40, generator=g) < 0.8
    peer = Perplexity(ignore_index=-100)
    theirs = peer(logits, target.where(mask, -100)).double()
    mine = torch.tensor(perplexity(logits, target, mask), dtype=torch.float64)
    agree(
        "perplexity, relative",
        mine / theirs,
        torch.ones_like(theirs),
        tolerance=1e-5,
        ours="mmdl_lib.metrics.perplexity",
        package="torchmetrics",
        reference="torchmetrics Perplexity",
    )


def test_carbon_intensities_are_codecarbons(agree):
    place = importlib.util.find_spec("codecarbon").submodule_search_locations[0]
    name = "data/private_infra/carbon_intensity_per_source.json"
    theirs = json.loads((Path(place) / name).read_text())
    agree(
        "carbon intensities of nine sources, g a kWh",
        torch.tensor(list(INTENSITY.values())),
        torch.tensor([float(theirs[key]) for key in INTENSITY]),
        tolerance=0.0,
        ours="mmdl_lib.metrics.cost",
        package="codecarbon",
        reference="codecarbon",
    )


def test_the_probe_is_logistic_regression(agree):
    g = generator(1)
    x = torch.randn(300, 8, generator=g).double()
    label = (x @ torch.randn(8, 4, generator=g).double()).argmax(1)
    weight, bias = logistic_regression(x, label, l2=1e-2)
    peer = LogisticRegression(C=1 / (300 * 1e-2), tol=1e-10, max_iter=5000)
    peer.fit(x.numpy(), label.numpy())
    mine = (x @ weight.T + bias).softmax(1)
    agree(
        "linear probe, probabilities",
        mine,
        torch.from_numpy(peer.predict_proba(x.numpy())),
        tolerance=1e-5,
        ours="mmdl_lib.metrics.probe",
        package="scikit-learn",
        reference="scikit-learn LogisticRegression",
    )
