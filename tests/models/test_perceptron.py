"""The first neurons: each rule against its closed form or its law."""

import pytest
import torch
from sklearn.linear_model import Perceptron

from mmdl_lib.core import generator
from mmdl_lib.models import perceptron as first

XOR = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
ODD = torch.tensor([-1.0, 1, 1, -1])


def cloud(n=3000, seed=0):
    """Correlated inputs and their second moments' leading eigenvector."""
    x = torch.randn(n, 3, generator=generator(seed)) * torch.tensor([2.0, 1.0, 0.5])
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator(9))).Q
    x = x @ turn.T
    return x, torch.linalg.eigh(x.T @ x / n).eigenvectors[:, -1]


def test_hebb_adds_the_product_of_the_two_activities():
    path = first.hebb(
        torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([0.5, 1.0]), rate=0.1
    )
    # y = 2.5, then y = 2.25
    assert torch.allclose(path, torch.tensor([[0.75, 1.5], [1.425, 1.5]]))


def test_hebb_on_one_repeated_input_grows_as_a_power():
    x = torch.tensor([1.0, 2.0])
    path = first.hebb(x.repeat(50, 1), x / 10, rate=0.02)
    # w_t = (1 + eta |x|^2)^t w_0 for a weight along x
    grown = (1 + 0.02 * 5) ** torch.arange(1, 51)
    assert torch.allclose(path, grown[:, None] * x / 10, rtol=1e-4)


def test_oja_ends_at_the_first_principal_component_with_length_one():
    x, component = cloud()
    weight = first.oja(x, torch.tensor([0.3, -0.2, 0.4]), rate=0.005)[-1]
    assert weight.norm().item() == pytest.approx(1, abs=0.05)
    assert (weight @ component).abs().item() > 0.995
    assert first.hebb(x, weight, rate=0.005)[-1].norm() > 1e6


def separable(margin, seed, n=60):
    x = torch.randn(4 * n, 3, generator=generator(seed))
    x = first.with_threshold(x)
    normal = torch.nn.functional.normalize(torch.tensor([1.0, -2.0, 0.5, 0.3]), dim=0)
    x = x[(x @ normal).abs() > margin][:n]
    return x, first.sign(x @ normal), normal


@pytest.mark.parametrize("margin", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_no_perceptron_makes_more_mistakes_than_novikoff_allows(margin, seed):
    x, target, normal = separable(margin, seed)
    found = first.perceptron(x, target, epochs=1000)
    assert found.mistakes[-1] == 0
    assert torch.equal(first.sign(x @ found.weight), target)
    assert sum(found.mistakes) <= first.mistake_bound(x, target, normal)


def test_the_bound_is_reached_by_inputs_at_right_angles():
    x, target = torch.eye(5), torch.tensor([1.0, -1, 1, 1, -1])
    # R = 1, the best separator is target / sqrt(5): exactly five mistakes
    assert first.mistake_bound(x, target, target) == pytest.approx(5)
    assert sum(first.perceptron(x, target, epochs=9).mistakes) == 5


def test_the_bound_looks_at_the_longest_input_and_at_the_nearest():
    x = torch.tensor([[1.0, 0.0], [3.0, 4.0], [2.0, 0.0]])
    # R = 5 and gamma = 1 by hand; the mean length would give 7.1
    bound = first.mistake_bound(x, torch.ones(3), torch.tensor([2.0, 0.0]))
    assert bound == pytest.approx(25)


def test_a_separator_with_a_mistake_has_no_bound():
    with pytest.raises(ValueError, match="separator without mistakes"):
        first.mistake_bound(XOR, ODD, torch.ones(2))


def test_the_perceptron_is_that_of_scikit_learn():
    x, target, _ = separable(0.1, 3)
    ours = first.perceptron(x, target, epochs=1000)
    peer = Perceptron(fit_intercept=False, shuffle=False, tol=None, max_iter=1000)
    peer.fit(x.numpy(), target.numpy())
    assert torch.allclose(ours.weight, torch.from_numpy(peer.coef_[0]).float())


def test_the_perceptron_never_learns_xor():
    found = first.perceptron(first.with_threshold(XOR), ODD, epochs=200)
    assert len(found.mistakes) == 200 and min(found.mistakes) > 0


def markov(n, stay, seed=0):
    """Bits that repeat with probability `stay`; autocorrelation (2 stay - 1)^lag."""
    turns = torch.where(torch.rand(n, generator=generator(seed)) < stay, 1.0, -1.0)
    return turns.cumprod(0)


def test_lms_ends_at_the_wiener_solution_which_is_known_for_markov_bits():
    x, d = first.delay_line(markov(20_000, 0.9), 4)
    # r_k = 0.8^k: the last bit says all, so w = (0.8, 0, 0, 0)
    exact = torch.tensor([0.8, 0, 0, 0])
    assert torch.allclose(first.wiener(x, d), exact, atol=0.03)
    path, errors = first.lms(x, d, torch.zeros(4), rate=0.002)
    assert torch.allclose(path[-4000:].mean(0), exact, atol=0.04)
    # the least squared error is 1 - 0.8^2
    assert errors[-4000:].square().mean().item() == pytest.approx(0.36, abs=0.04)


def test_wiener_bears_an_input_that_never_changes():
    x = first.with_threshold(
        torch.cat([torch.randn(50, 2, generator=generator(2)), -torch.ones(50, 1)], 1)
    )
    d = x[:, 0] - 2 * x[:, 1] + 0.5
    # the constant 1/2 is shared by the two constant inputs, -1 and 1
    assert torch.allclose(
        first.wiener(x, d), torch.tensor([1, -2, -0.25, 0.25]), atol=1e-4
    )


@pytest.mark.parametrize(("share", "stable"), [(0.5, True), (1.5, False)])
def test_lms_on_one_repeated_input_is_stable_below_one_over_its_square(share, stable):
    x = torch.tensor([1.0, -1.0, 1.0])
    _, errors = first.lms(
        x.repeat(40, 1), torch.ones(40), torch.zeros(3), rate=share / 3
    )
    # e_t = (1 - 2 mu |x|^2)^t
    assert torch.allclose(errors, (1 - 2 * share) ** torch.arange(40.0), rtol=1e-3)
    assert (errors[-1].abs() < 1) == stable


def test_the_delay_line_gives_the_past_newest_first():
    x, d = first.delay_line(torch.arange(6.0), 3)
    assert x.tolist() == [[2, 1, 0], [3, 2, 1], [4, 3, 2]] and d.tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match="more than 6 values, got 6"):
        first.delay_line(torch.arange(6.0), 6)


def test_a_gradient_step_of_adaline_is_the_rule_of_widrow_and_hoff():
    torch.manual_seed(0)
    unit = first.Adaline.from_preset("switches")
    batch = first.Adaline.example_batch(unit.config, 1, generator=generator(1))
    before = torch.cat([unit.weight.data, unit.threshold.data[None]])
    path, _ = first.lms(
        first.with_threshold(batch["inputs"]), batch["target"], before, rate=0.01
    )
    unit.loss(batch)["loss"].backward()
    torch.optim.SGD(unit.parameters(), lr=0.01).step()
    after = torch.cat([unit.weight.data, unit.threshold.data[None]])
    assert torch.allclose(after, path[0], atol=1e-6)
    assert set(unit.decide(batch["inputs"]).tolist()) <= {1.0, -1.0}


def test_adaline_names_a_wrong_number_of_inputs():
    with pytest.raises(ValueError, match="expected 16 inputs, got 3"):
        first.Adaline.from_preset("switches")(torch.zeros(2, 3))


def test_three_units_with_a_vote_learn_xor_and_one_cannot():
    x = first.with_threshold(XOR)
    for seed in range(10):
        start = torch.randn(3, 3, generator=generator(seed))
        found = first.madaline(x, ODD, start, epochs=100)
        assert found.mistakes[-1] == 0 and torch.equal(first.vote(found.weight, x), ODD)
        alone = first.madaline(x, ODD, start[:1], epochs=100)
        assert min(alone.mistakes) > 0


def test_rule_one_turns_no_more_units_than_it_must_and_the_easiest():
    x, d = torch.tensor([[1.0, 0.0]]), torch.ones(1)
    start = torch.tensor([[-0.1, 5.0], [-0.2, 5.0], [-0.3, 5.0]])
    found = first.madaline(x, d, start, epochs=1)
    # two of three must agree; the two nearest to zero now give exactly +1
    assert found.weight[:, 0].tolist() == pytest.approx([1, 1, -0.3])
    assert start[0, 0] == -0.1 and found.mistakes == [1]


def test_wrong_targets_and_even_numbers_of_units_are_named():
    with pytest.raises(ValueError, match=r"targets of \+1 and -1, got \[0.0, 1.0\]"):
        first.perceptron(XOR, torch.tensor([0.0, 1, 1, 0]), epochs=1)
    with pytest.raises(ValueError, match="odd number of units, got 2"):
        first.madaline(XOR, ODD, torch.zeros(2, 2), epochs=1)
