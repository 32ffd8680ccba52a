"""Laws of the map from words to pictures: recovery, optimum, training, bad input."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.imagined import Imagined, ImaginedConfig, ridge
from mmdl_lib.train import fit


def drawn(n=40, d=5, p=3, seed=0):
    g = generator(seed)
    words = torch.randn(n, d, generator=g).double()
    return words, torch.randn(d, p, generator=g).double()


def test_a_linear_law_is_recovered_with_its_constant():
    words, law = drawn()
    found = ridge(words, words @ law + 2)
    assert torch.allclose(found.weight, law, atol=1e-6)
    assert torch.allclose(found.bias, torch.full((3,), 2.0).double(), atol=1e-6)


def test_an_unseen_word_gets_the_picture_that_the_law_gives_it():
    words, law = drawn()
    found = ridge(words, words @ law)
    abstract = 10 * torch.ones(1, 5).double()
    assert torch.allclose(found(abstract), abstract @ law, atol=1e-6)


@pytest.mark.parametrize("penalty", [0.0, 0.1, 7.0])
def test_no_step_lowers_the_penalized_error(penalty):
    words, law = drawn()
    pictures = words @ law + torch.randn(40, 3, generator=generator(1)).double()
    found = ridge(words, pictures, penalty=penalty)
    weight, bias = (x.clone().requires_grad_() for x in found)
    error = (words @ weight + bias - pictures).square().sum()
    (error + penalty * weight.square().sum()).backward()
    assert weight.grad.abs().max() < 1e-9 and bias.grad.abs().max() < 1e-9


def test_the_constant_is_free_of_the_penalty():
    words, law = drawn()
    pictures = words @ law
    one, other = (
        ridge(words, pictures, penalty=3),
        ridge(words, pictures + 5, penalty=3),
    )
    assert torch.allclose(other.bias - one.bias, torch.full((3,), 5.0).double())
    assert torch.allclose(one.weight, other.weight)


def test_of_many_maps_without_error_it_is_the_smallest():
    words, law = drawn(n=4, d=9)
    pictures = words @ law
    found = ridge(words, pictures)
    assert torch.allclose(found(words), pictures, atol=1e-9)
    smallest = torch.linalg.pinv(words - words.mean(0)) @ (pictures - pictures.mean(0))
    assert torch.allclose(found.weight, smallest, atol=1e-9)


def test_numbers_that_depend_on_each_other_do_not_blow_up():
    words, law = (x.float() for x in drawn())
    pictures = words @ law
    both = torch.cat([words, words[:, :1] + words[:, 1:2]], 1)  # rounded sums
    noisy = pictures + 0.1 * torch.randn(40, 3, generator=generator(1))
    found, plain = ridge(both, noisy), ridge(words, noisy)
    assert torch.allclose(found(both), plain(words), atol=1e-4)
    assert found.weight.norm() <= plain.weight.norm() + 1e-4


def test_the_net_without_hidden_layer_learns_the_closed_form():
    words, law = (x.float() for x in drawn())
    pictures = words @ law + torch.randn(40, 3, generator=generator(1))
    torch.manual_seed(0)
    model = Imagined(ImaginedConfig(words=5, pictures=3))
    batch = {"words": words, "pictures": pictures}
    fit(model, lambda step: batch, steps=600, lr=2e-2, weight_decay=0.0)
    found = ridge(words, pictures)
    assert torch.allclose(model.map.weight.T, found.weight, atol=2e-3)
    assert torch.allclose(model.map.bias, found.bias, atol=2e-3)


def test_the_closed_form_as_a_net_says_the_same():
    words, law = drawn()
    found = ridge(words, words @ law + 1, penalty=0.5)
    model = Imagined.of(found)
    assert torch.allclose(model.imagine(words), found(words))
    loss = model.loss({"words": words, "pictures": words @ law + 1})["loss"]
    assert torch.allclose(loss, (found(words) - words @ law - 1).square().mean())


def test_a_hidden_layer_fits_what_no_line_fits():
    words = torch.linspace(-2, 2, 40)[:, None]
    batch = {"words": words, "pictures": words.square()}
    errors = []
    for hidden in (None, 16):
        torch.manual_seed(0)
        model = Imagined(ImaginedConfig(words=1, pictures=1, hidden=hidden))
        fit(model, lambda step: batch, steps=300, lr=2e-2)
        errors.append(model.loss(batch)["loss"].item())
    assert errors[1] < 0.1 * errors[0]


def test_bad_words_and_unpaired_ones_are_refused(as_a_reader):
    words, law = drawn()
    with pytest.raises(ValueError, match="40 .* 39|39 .* 40"):
        ridge(words, (words @ law)[:-1])
    with pytest.raises(ValueError, match="words"):
        ridge(words.fill_(torch.nan), words @ law)
    with pytest.raises(ValueError, match="two or more, got 1"):
        ridge(torch.ones(1, 2), torch.ones(1, 3))
    words, law = drawn()
    with pytest.raises(ValueError, match="penalty expected"):
        ridge(words, words @ law, penalty=-1)
    model = Imagined.from_preset("tiny")
    with pytest.raises(ValueError, match="8 numbers each, got 3"):
        model.imagine(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="finite"):
        model.imagine(torch.full((1, 8), torch.nan))
    with pytest.raises(ValueError):
        model.loss({"words": torch.zeros(3, 8), "pictures": torch.zeros(2, 6)})
    with pytest.raises(ValueError, match="pictures expected finite"):
        model.loss({"words": torch.zeros(2, 8), "pictures": torch.zeros(2, 6) / 0})
    with pytest.raises(ValueError, match="hidden expected"):
        Imagined(ImaginedConfig(hidden=0))
