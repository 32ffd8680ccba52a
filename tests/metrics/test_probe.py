"""Linear probe and nearest neighbors against scikit-learn, and at their borders."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from mmdl_lib.core import generator
from mmdl_lib.metrics.probe import knn, linear_probe, logistic_regression


def clouds(n, seed, *, classes=5, width=12, spread=1.5):
    g = generator(seed)
    middle = torch.randn(classes, width, generator=generator(99))
    label = torch.randint(classes, (n,), generator=g)
    return middle[label] + spread * torch.randn(n, width, generator=g), label


@pytest.mark.parametrize("l2", [1e-3, 1e-1])
def test_weights_agree_with_scikit_learn(l2):
    x, y = clouds(200, 0)
    weight, bias = logistic_regression(x, y, l2=l2)
    peer = LogisticRegression(C=1 / (len(x) * l2), tol=1e-8, max_iter=5000)
    peer.fit(x.double().numpy(), y.numpy())
    assert torch.allclose(weight, torch.from_numpy(peer.coef_), atol=1e-3)
    # a constant added to all biases changes nothing
    theirs = torch.from_numpy(peer.intercept_)
    assert torch.allclose(bias - bias.mean(), theirs - theirs.mean(), atol=1e-3)


def test_accuracy_agrees_with_scikit_learn_on_standardized_features():
    (x, y), (u, v) = clouds(300, 0), clouds(1000, 1)
    scale = torch.logspace(-3, 3, 12)
    mean, std = x.mean(0), x.std(0, correction=0)
    peer = LogisticRegression(C=1 / (len(x) * 1e-3), tol=1e-8, max_iter=5000)
    peer.fit(((x - mean) / std).numpy(), y.numpy())
    want = peer.score(((u - mean) / std).numpy(), v.numpy())
    assert linear_probe(x * scale + 7, y, u * scale + 7, v) == pytest.approx(
        want, abs=2e-3
    )
    assert 0.4 < want < 0.95  # neither chance nor perfect


def test_separable_classes_are_named_perfectly_and_noise_at_chance():
    x, y = clouds(200, 0, spread=0.01)
    u, v = clouds(200, 1, spread=0.01)
    assert linear_probe(x, y, u, v) == 1.0 == knn(x, y, u, v)
    g = generator(3)
    x, u = torch.randn(2, 1000, 4, generator=g)
    y, v = torch.randint(4, (2, 1000), generator=g)
    assert linear_probe(x, y, u, v) == pytest.approx(0.25, abs=0.06)


def test_the_probe_is_linear():
    """Exclusive or has no linear solution; neighbors find it."""
    x = torch.randn(600, 2, generator=generator(0))
    y = (x[:, 0] * x[:, 1] > 0).long()
    assert linear_probe(x[:400], y[:400], x[400:], y[400:]) < 0.65
    assert knn(x[:400], y[:400], x[400:], y[400:]) > 0.9


def test_the_probe_says_the_same_twice_and_in_any_order():
    (x, y), (u, v) = clouds(300, 0), clouds(500, 1)
    order = torch.randperm(300, generator=generator(0))
    first = linear_probe(x, y, u, v)
    assert first == linear_probe(x, y, u, v)
    assert first == pytest.approx(linear_probe(x[order], y[order], u, v), abs=2e-3)


def test_labels_may_be_any_integers_and_an_unseen_one_counts_as_wrong():
    (x, y), (u, v) = clouds(300, 0), clouds(500, 1)
    assert linear_probe(x, 10 * y + 3, u, 10 * v + 3) == linear_probe(x, y, u, v)
    assert knn(x, 10 * y + 3, u, 10 * v + 3) == knn(x, y, u, v)
    some = y < 4
    right = linear_probe(x[some], y[some], u, v)
    assert right <= (v < 4).float().mean().item()


def test_a_constant_feature_changes_nothing():
    (x, y), (u, v) = clouds(300, 0), clouds(500, 1)
    add = torch.full((300, 1), 0.1), torch.full((500, 1), 0.1)
    wide = torch.cat([x, add[0]], 1), torch.cat([u, add[1]], 1)
    assert linear_probe(wide[0], y, wide[1], v) == linear_probe(x, y, u, v)


@pytest.mark.parametrize("k", [1, 7, 20])
def test_neighbors_agree_with_scikit_learn(k):
    (x, y), (u, v) = clouds(300, 0), clouds(500, 1)
    peer = KNeighborsClassifier(
        k, metric="cosine", weights=lambda d: torch.from_numpy(-d / 0.07).exp().numpy()
    )
    want = peer.fit(x.numpy(), y.numpy()).score(u.numpy(), v.numpy())
    assert knn(x, y, u, v, k=k) == pytest.approx(want, abs=1e-9)


def test_features_keep_their_gradients_out_of_it():
    (x, y), (u, v) = clouds(100, 0), clouds(100, 1)
    x.requires_grad_()
    with torch.no_grad():
        assert linear_probe(x, y, u, v) > 0.3
    assert x.grad is None


@pytest.mark.parametrize("metric", [linear_probe, knn])
def test_bad_input_is_named(metric):
    (x, y), (u, v) = clouds(50, 0), clouds(50, 1)
    with pytest.raises(
        ValueError, match="features expected as many as labels, got 50 and 49"
    ):
        metric(x, y[1:], u, v)
    with pytest.raises(
        ValueError, match="test features and test labels expected at least one"
    ):
        metric(x, y, u[:0], v[:0])
    with pytest.raises(ValueError, match="the width of the others, got 11 and 12"):
        metric(x, y, u[:, 1:], v)
    with pytest.raises(ValueError, match="two classes"):
        metric(x, torch.zeros_like(y), u, v)
    with pytest.raises(ValueError, match="features expected finite numbers"):
        metric(x / 0, y, u, v)


def test_a_penalty_of_zero_and_too_many_neighbors_are_named():
    (x, y), (u, v) = clouds(50, 0), clouds(50, 1)
    with pytest.raises(ValueError, match="l2 expected a number above 0"):
        linear_probe(x, y, u, v, l2=0.0)
    with pytest.raises(
        ValueError, match="k expected a whole number from 1 to 50, got 51"
    ):
        knn(x, y, u, v, k=51)
