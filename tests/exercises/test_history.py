"""Exercises of history: blank fails, solutions pass, each mistake gets its hint."""

import pytest

from mmdl_lib.exercises import Hint, check, history


def step(w, x, rate):
    y = w @ x
    return w + rate * (x * y - y**2 * w)


def change(w, x, rate):
    return step(w, x, rate) - w


def hebb(w, x, rate):
    return w + rate * x * (w @ x)


def top_k_error(logits, label, k):
    best = logits.topk(k).indices
    return 1 - (best == label[:, None]).any(1).float().mean()


def shares(baskets, left, right):
    a, b = baskets[:, left].all(1).float(), baskets[:, right].all(1).float()
    return a.mean(), b.mean(), (a * b).mean()


def lift(*args):
    a, b, both = shares(*args)
    return both / (a * b)


def loose(baskets, left, right):
    a, b = baskets[:, left].any(1).float(), baskets[:, right].all(1).float()
    return (a * b).mean() / (a.mean() * b.mean())


# at least one, two, three bits on
COUNT = [[1, 1, 1, 2], [1, 1, 1, 0], [1, 1, 1, -2]]
PARITY = (COUNT, [1, -1, 1, -0.5])


def test_the_solutions_pass():
    history.exercise_1(307_456)
    history.exercise_2(step)
    history.exercise_3(top_k_error)
    history.exercise_4(lift)
    history.exercise_5(PARITY)


@pytest.mark.parametrize("number", range(1, 6))
def test_blank_fails(number, capsys):
    assert not check(f"history-{number}", ...)
    assert "not answered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "mistake", "hint"),
    [
        (1, 614_656, "its own GPU"),
        (1, 614_400, "and has a bias"),
        (1, 307_200, "biases are missing"),
        (1, 307_248, "not for each map"),
        (1, 61_440 + 256, "5 x 5"),
        (1, 153_600 + 128, "count both"),
        (1, 76_800 + 256, "not four"),
        (1, 7, "height x width"),
        (2, hebb, "Hebb's rule"),
        (2, change, "not its change"),
        (2, lambda w, x, r: 2 * hebb(w, x, r) - step(w, x, r), "shrink the weight"),
        (2, lambda w, x, r: hebb(w, x, r) - (w @ x) ** 2 * w, "both terms"),
        (2, lambda w, x, r: w + change(w, x, 1), "rate is missing"),
        (2, lambda w, x, r: hebb(w, x, r) - r * (w @ x) * w, "y squared"),
        (2, lambda w, x, r: hebb(w, x, r) - r * (w @ x) ** 2 * x, "not x"),
        (2, lambda w, x, r: hebb(w, x, r) - r * w, "in front of w"),
        (2, lambda w, x, r: w @ x, "vector of 5"),
        (3, lambda *a: 1 - top_k_error(*a), "one minus"),
        (3, lambda s, y, k: top_k_error(s, y, 1), "top-1 error"),
        (3, lambda s, y, k: top_k_error(s, y, k - 1), "too few"),
        (3, lambda s, y, k: top_k_error(s, y, k + 1), "too many"),
        (3, lambda s, y, k: top_k_error(-s, y, k), "lowest"),
        (3, lambda s, y, k: len(y) * top_k_error(s, y, k), "number of rows"),
        (3, lambda s, y, k: len(y) * (1 - top_k_error(s, y, k)), "number of rows"),
        (3, lambda *a: 100 * top_k_error(*a), "percent"),
        (3, lambda s, y, k: 1 - (1 - top_k_error(s, y, k)) / k, "full hit"),
        (4, lambda *a: shares(*a)[2] / shares(*a)[0], "share of the right side"),
        (4, lambda *a: shares(*a)[2] / shares(*a)[1], "from right to left"),
        (4, lambda *a: shares(*a)[2], "the support"),
        (4, loose, "all of its items"),
        (4, lambda *a: shares(*a)[2] - shares(*a)[0] * shares(*a)[1], "not subtract"),
        (4, lambda *a: 1 / lift(*a), "upside down"),
        (4, lambda b, i, j: lift(b, i, j) / len(b), "counts"),
        (5, 3, "two lists"),
        (5, (COUNT, [1, -1, 1]), r"\(3, 4\) and \(3,\)"),
        (5, (COUNT, [-1, 1, -1, 0.5]), "opposite"),
        (5, ([[1, 1, 0, 1], [1, 1, 0, -1]], [1, -1, -1]), "first two bits"),
        (5, ([[1, 1, 1, 2]], [1, 0]), "an OR"),
        (5, ([[1, 1, 1, -2]], [1, 0]), "3 of the 8"),
    ],
)
def test_each_mistake_gets_its_hint(number, mistake, hint):
    with pytest.raises(Hint, match=hint):
        getattr(history, f"exercise_{number}")(mistake)
