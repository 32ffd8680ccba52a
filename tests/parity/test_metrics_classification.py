"""Classification and correlation: the numbers of scikit-learn, torchmetrics, scipy."""

import pytest
import scipy.stats
import sklearn.metrics
import torch
from torchmetrics.functional import classification as peers

from mmdl_lib.core import generator
from mmdl_lib.metrics.calibration import expected_calibration_error
from mmdl_lib.metrics.f1 import f1
from mmdl_lib.metrics.matthews import matthews
from mmdl_lib.metrics.pearson import pearson
from mmdl_lib.metrics.real import real_accuracy
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.metrics.top_k import top_k_accuracy

SKLEARN = {"package": "scikit-learn", "reference": "scikit-learn", "tolerance": 1e-12}
TORCHMETRICS = {
    "package": "torchmetrics",
    "reference": "torchmetrics",
    "tolerance": 1e-6,
}
SCIPY = {"package": "scipy", "reference": "scipy", "tolerance": 1e-12}
N = 400


def values(numbers):
    return torch.tensor([float(x) for x in numbers], dtype=torch.float64)


def logits_and_labels(classes, seed):
    g = generator(seed)
    label = torch.randint(0, classes, (N,), generator=g)
    signal = torch.nn.functional.one_hot(label, classes)
    return signal + torch.randn(N, classes, generator=g), label


def pairs(classes, seed):
    logits, label = logits_and_labels(classes, seed)
    return logits.argmax(1), label


def test_top_k(agree):
    logits, label = logits_and_labels(7, 0)
    ks = (1, 2, 5, 7)
    mine = values(top_k_accuracy(logits, label, k) for k in ks)
    names = {"ours": "mmdl_lib.metrics.top_k"}
    theirs = values(
        sklearn.metrics.top_k_accuracy_score(label, logits, k=k, labels=range(7))
        if k < 7
        else 1.0
        for k in ks
    )
    agree("top-k accuracy, k = 1, 2, 5, 7", mine, theirs, **names, **SKLEARN)
    theirs = values(
        peers.multiclass_accuracy(logits, label, 7, average="micro", top_k=k)
        for k in ks
    )
    agree("top-k accuracy, k = 1, 2, 5, 7", mine, theirs, **names, **TORCHMETRICS)


def test_real_accuracy_on_single_labels_is_accuracy(agree):
    predicted, label = pairs(7, 1)
    mine = real_accuracy(predicted, [{y} for y in label.tolist()])
    theirs = sklearn.metrics.accuracy_score(label, predicted)
    names = {"ours": "mmdl_lib.metrics.real", **SKLEARN}
    agree("ReaL accuracy, single labels", values([mine]), values([theirs]), **names)


@pytest.mark.parametrize("average", ["binary", "macro", "micro"])
def test_f1(average, agree):
    many = [pairs(2 if average == "binary" else 6, seed) for seed in range(5)]
    # a class that occurs on one side only, and one that occurs on neither
    if average != "binary":
        many.append((torch.tensor([0, 1, 3, 5]), torch.tensor([0, 1, 1, 5])))
    mine = values(f1(*pair, average=average) for pair in many)
    theirs = values(
        sklearn.metrics.f1_score(y, p, average=average, zero_division=0)
        for p, y in many
    )
    names = {"ours": "mmdl_lib.metrics.f1"}
    agree(f"F1, {average}", mine, theirs, **names, **SKLEARN)
    theirs = values(
        peers.binary_f1_score(p, y)
        if average == "binary"
        else peers.multiclass_f1_score(p, y, 6, average=average)
        for p, y in many
    )
    agree(f"F1, {average}", mine, theirs, **names, **TORCHMETRICS)


@pytest.mark.parametrize("classes", [2, 6])
def test_matthews(classes, agree):
    many = [pairs(classes, seed) for seed in range(5)]
    mine = values(matthews(*pair) for pair in many)
    names = {"ours": "mmdl_lib.metrics.matthews"}
    what = f"Matthews correlation, {classes} classes"
    theirs = values(sklearn.metrics.matthews_corrcoef(y, p) for p, y in many)
    agree(what, mine, theirs, **names, **SKLEARN)
    theirs = values(peers.multiclass_matthews_corrcoef(p, y, classes) for p, y in many)
    agree(what, mine, theirs, **names, **TORCHMETRICS)


def test_matthews_of_a_single_class_is_scikit_learns_zero(agree):
    ones = torch.ones(5).long()
    mine, theirs = matthews(ones, ones), sklearn.metrics.matthews_corrcoef(ones, ones)
    names = {"ours": "mmdl_lib.metrics.matthews", **SKLEARN}
    what = "Matthews correlation, a single class"
    agree(what, values([mine]), values([theirs]), **names)
    # the quirk that our docstring tells of
    assert peers.binary_matthews_corrcoef(ones, ones) == 1


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration(bins, agree):
    logits, label = logits_and_labels(5, 2)
    probability = (2 * logits).softmax(1)
    mine = values([expected_calibration_error(probability, label, bins=bins)])
    theirs = peers.multiclass_calibration_error(probability, label, 5, n_bins=bins)
    names = {"ours": "mmdl_lib.metrics.calibration"}
    what = f"expected calibration error, bins: {bins}"
    agree(what, mine, values([theirs]), **names, **TORCHMETRICS)


def test_calibration_on_the_edges_of_bins(agree):
    probability = torch.tensor([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0], [0.6, 0.4, 0.0]])
    label = torch.tensor([0, 1, 1])
    mine = values([expected_calibration_error(probability, label, bins=2)])
    theirs = peers.multiclass_calibration_error(probability, label, 3, n_bins=2)
    names = {"ours": "mmdl_lib.metrics.calibration"}
    what = "expected calibration error, between two bins"
    agree(what, mine, values([theirs]), **names, **TORCHMETRICS)
    # the quirk that our docstring tells of: a bin of its own for a confidence of 1
    sure = torch.tensor([[1.0, 0.0], [0.9, 0.1]], dtype=torch.float64)
    label = torch.tensor([1, 0])
    theirs = peers.multiclass_calibration_error(sure, label, 2, n_bins=1)
    assert float(theirs) == pytest.approx((1 + 0.1) / 2)
    mine = expected_calibration_error(sure, label, bins=1)
    assert mine == pytest.approx((1.9 - 1) / 2)


@pytest.mark.parametrize("ties", [False, True])
def test_correlations(ties, agree):
    many = []
    for seed in range(5):
        x, noise = torch.randn(2, 50, generator=generator(seed), dtype=torch.float64)
        y = x + noise
        many.append(((2 * x).round(), y.round()) if ties else (x, y))
    what = ", with ties" if ties else ", without ties"
    for name, ours, peer in (
        ("Pearson", pearson, scipy.stats.pearsonr),
        ("Spearman", spearman, scipy.stats.spearmanr),
    ):
        mine = values(ours(x, y) for x, y in many)
        theirs = values(peer(x, y).statistic for x, y in many)
        names = {"ours": f"mmdl_lib.metrics.{name.lower()}"}
        agree(f"{name}{what}", mine, theirs, **names, **SCIPY)
