"""How good are frozen features? Linear probe and nearest neighbors.

The linear probe is the protocol of Zhang et al. 2016 and of most papers on
self-supervision after it: train a linear classifier on the features of a frozen
encoder, and report its accuracy on the test set. Ours is multinomial logistic
regression, solved to the optimum, so that it has neither a learning rate nor a seed.
The papers train it with stochastic gradients and augmented pictures, which gives other
numbers.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import (
    check_labels,
    check_number,
    check_numbers,
    check_same_length,
)


def linear_probe(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    *,
    l2: float = 1e-3,
) -> float:
    """Test accuracy, in [0, 1], of a linear classifier on frozen features.

    Features are standardized with the mean and deviation of the training features.

    Args:
        features: (n, d) floats, of the training pictures.
        labels: (n,) integers from zero up.
        test_features: (m, d) floats, of the test pictures.
        test_labels: (m,) integers.
        l2: weight of the squared norm of the classifier, as in `logistic_regression`.

    Raises:
        ValueError: counts or widths that do not fit, no rows, a single class, features
            that are not finite, or `l2` not above zero.
    """
    _check_sets(features, labels, test_features, test_labels)
    x, y = _exact(features), _exact(test_features)
    mean, scale = x.mean(0), x.std(0, correction=0)
    # a constant feature says nothing: it becomes zero instead of noise times 1e9
    scale = torch.where(scale > 1e-6 * (1 + mean.abs()), scale, torch.inf)
    x, y = (x - mean) / scale, (y - mean) / scale
    kinds, index = labels.unique(return_inverse=True)
    weight, bias = logistic_regression(x, index.to(x.device), l2=l2)
    found = kinds.to(x.device)[(y @ weight.T + bias).argmax(1)]
    return (found == test_labels.to(x.device)).double().mean().item()


def logistic_regression(
    features: Float[Tensor, "n d"], labels: Int[Tensor, " n"], *, l2: float = 1e-3
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """Weight and bias that minimize mean cross-entropy + l2 / 2 * |weight|^2.

    The problem is convex and we start at zero: the answer is the same every time.
    scikit-learn's `LogisticRegression(C=1 / (n * l2))` is the same problem.

    Raises:
        ValueError: as in `linear_probe`. Without `l2` above zero separable classes have
            no optimum.
    """
    check_number("l2", l2, above=0)
    _check(features, labels, "features", "labels")
    x, classes = _exact(features), int(labels.max()) + 1
    # weight and bias together, the bias last
    theta = x.new_zeros(classes, x.shape[1] + 1).requires_grad_()
    solver = torch.optim.LBFGS(
        [theta],
        max_iter=500,
        history_size=20,
        tolerance_grad=1e-7,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        weight, bias = theta[:, :-1], theta[:, -1]
        nats = F.cross_entropy(x @ weight.T + bias, labels)
        return nats + l2 / 2 * weight.square().sum()

    def closure() -> Tensor:
        solver.zero_grad()
        with torch.enable_grad():
            value = loss()
            value.backward()
        return value

    solver.step(closure)
    theta = theta.detach()
    return theta[:, :-1], theta[:, -1]


@torch.no_grad()
def knn(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    *,
    k: int = 20,
    temperature: float = 0.07,
) -> float:
    """Test accuracy, in [0, 1], of a vote of the k most similar training pictures.

    Similarity is the cosine, and a neighbor's vote weighs exp(cosine / temperature), as
    in Wu et al. 2018.

    Raises:
        ValueError: as in `linear_probe`, k not in 1 ... n, or a temperature that is not
            above zero.
    """
    _check_sets(features, labels, test_features, test_labels)
    check_number("k", k, 1, len(features), whole=True)
    check_number("temperature", temperature, above=0)
    x = F.normalize(_exact(features), dim=1)
    kinds, index = labels.to(x.device).unique(return_inverse=True)
    right = 0
    pairs = zip(test_features.split(1024), test_labels.split(1024), strict=True)
    for part, truth in pairs:
        cosine = F.normalize(_exact(part).to(x.device), dim=1) @ x.T
        near, place = cosine.topk(k, dim=1)
        # the nearest counts one, so that a small temperature cannot overflow
        weight = ((near - near[:, :1]) / temperature).exp()
        votes = x.new_zeros(len(part), len(kinds)).scatter_add_(1, index[place], weight)
        right += (kinds[votes.argmax(1)] == truth.to(x.device)).sum().item()
    return right / len(test_features)


def _exact(features: Tensor) -> Tensor:
    """Double precision; on the CPU where the accelerator has none."""
    features = features.detach()
    return (features.cpu() if features.device.type == "mps" else features).double()


def _check(features: Tensor, labels: Tensor, name: str, other: str) -> None:
    check_numbers(name, features, "n d")
    check_labels(other, labels)
    check_same_length(**{name: features, other: labels})


def _check_sets(features, labels, test_features, test_labels) -> None:
    _check(features, labels, "features", "labels")
    _check(test_features, test_labels, "test features", "test labels")
    if features.shape[1] != test_features.shape[1]:
        raise ValueError(
            "test features expected the width of the others, got "
            f"{test_features.shape[1]} and {features.shape[1]}."
        )
    if len(labels.unique()) < 2:
        raise ValueError("labels expected at least two classes, got one.")
