"""The first neurons against scikit-learn: the same rule, the same weights."""

import torch
from sklearn.linear_model import LinearRegression, Perceptron, SGDRegressor

from mmdl_lib.core import generator
from mmdl_lib.models import perceptron as first


def examples(seed):
    x = first.with_threshold(torch.randn(80, 3, generator=generator(seed)))
    return x, first.sign(x @ torch.tensor([1.0, -2.0, 0.5, 0.3]))


def named(name, reference):
    return {
        "ours": f"mmdl_lib.models.perceptron.{name}",
        "package": "scikit-learn",
        "reference": f"scikit-learn {reference}",
    }


def test_scikit_learn_agrees_on_the_perceptron(agree):
    x, target = examples(0)
    peer = Perceptron(fit_intercept=False, shuffle=False, tol=None, max_iter=2000)
    peer.fit(x.numpy(), target.numpy())
    ours = first.perceptron(x, target, epochs=2000).weight
    theirs = torch.from_numpy(peer.coef_[0]).float()
    label = named("perceptron", "Perceptron")
    agree("perceptron, weights", ours, theirs, tolerance=1e-4, **label)


def test_scikit_learn_agrees_on_least_mean_squares(agree):
    x, target = examples(1)
    # its loss is half the squared error, so its rate is twice ours
    peer = SGDRegressor(
        alpha=0, fit_intercept=False, shuffle=False, learning_rate="constant", eta0=0.02
    )
    peer.partial_fit(x.double().numpy(), target.double().numpy())
    ours = first.lms(x, target, torch.zeros(4), rate=0.01)[0][-1]
    theirs = torch.from_numpy(peer.coef_).float()
    label = named("lms", "SGDRegressor, twice the rate")
    agree("LMS, weights after one pass", ours, theirs, tolerance=1e-5, **label)


def test_scikit_learn_agrees_on_the_wiener_solution(agree):
    x, target = examples(2)
    peer = LinearRegression(fit_intercept=False)
    peer.fit(x.double().numpy(), target.double().numpy())
    theirs = torch.from_numpy(peer.coef_).float()
    label = named("wiener", "LinearRegression")
    agree("Wiener solution", first.wiener(x, target), theirs, tolerance=1e-5, **label)
