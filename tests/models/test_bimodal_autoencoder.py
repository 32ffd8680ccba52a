"""PCA as a limit, clean targets, both ends of the loss, one modality from the other."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.bimodal_autoencoder import (
    BimodalAutoencoder,
    BimodalAutoencoderConfig,
    DenoisingAutoencoder,
    hidden_modality,
    masked,
)
from mmdl_lib.train import fit

SIZES = {"text": 6, "picture": 8, "text_hidden": 5, "picture_hidden": 7}
SIZES |= {"code": 4, "classes": 3}


def make(**change):
    torch.manual_seed(0)
    config = BimodalAutoencoderConfig(**SIZES | change)
    model = BimodalAutoencoder(config).double()
    for p in model.parameters():  # biases of zero would hide a forgotten one
        p.data += 0.1 * torch.randn(p.shape, generator=generator(1)).double()
    return model


def batch_of(model, n=9, seed=2):
    given = type(model).example_batch(model.config, n, generator=generator(seed))
    return {k: v.double() if v.is_floating_point() else v for k, v in given.items()}


def settle(parameters, loss, steps=600):
    """Full-batch L-BFGS until nothing moves."""
    lbfgs = torch.optim.LBFGS(
        list(parameters),
        max_iter=steps,
        tolerance_grad=1e-10,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure():
        lbfgs.zero_grad()
        value = loss()
        value.backward()
        return value

    lbfgs.step(closure)
    return loss().item()


def principal(x, k):
    """Projector on the first k principal directions, and the error that they leave."""
    centered = x - x.mean(0)
    _, s, v = torch.linalg.svd(centered, full_matrices=False)
    return v[:k].T @ v[:k], s[k:].square().sum() / x.numel()


def stretched(n, d, seed):
    scale = torch.linspace(3, 0.5, d).double()
    return torch.randn(n, d, generator=generator(seed)).double() * scale + 1


def test_a_linear_tied_layer_without_noise_finds_the_space_of_pca():
    x = stretched(60, 7, 3)
    torch.manual_seed(0)
    layer = DenoisingAutoencoder(7, 3, "linear").double()
    error = settle(layer.parameters(), lambda: layer.loss(x, x).mean())
    space, left = principal(x, 3)
    w = layer.weight.detach()
    assert error == pytest.approx(left.item(), rel=1e-6)
    found = w.T @ torch.linalg.solve(w @ w.T, w)
    assert torch.allclose(found, space, atol=1e-4)
    # tied weights also have no other length: rows are orthonormal
    assert torch.allclose(w @ w.T, torch.eye(3).double(), atol=1e-4)


def test_a_linear_stack_with_full_layers_is_pca_of_both_modalities_together():
    full = {"text_hidden": 6, "picture_hidden": 8, "delta_c": 0.0, "decay": 0.0}
    model = make(unit="linear", mask=0.0, **full)
    joined = stretched(60, 14, 4)[:, torch.randperm(14, generator=generator(5))]
    batch = {"text": joined[:, :6], "picture": joined[:, 6:]}
    batch["label"] = torch.zeros(60, dtype=torch.long)
    error = settle(model.parameters(), lambda: model.loss(batch)["loss"], 3000)
    assert error == pytest.approx(principal(joined, 4)[1].item(), rel=1e-4)


def by_hand(model, text, picture):
    """The stack in plain formulas: code, text and picture."""
    one = (text @ model.text.weight.T + model.text.into).sigmoid()
    two = (picture @ model.picture.weight.T + model.picture.into).sigmoid()
    inside = torch.cat([one, two], 1)
    code = (inside @ model.joint.weight.T + model.joint.into).sigmoid()
    back = (code @ model.joint.weight + model.joint.out).sigmoid()
    one, two = back[:, : one.shape[1]], back[:, one.shape[1] :]
    text = one @ model.text.weight + model.text.out
    return code, text, two @ model.picture.weight + model.picture.out


def test_code_and_decoding_are_the_formulas():
    model = make()
    batch = batch_of(model)
    code, text, picture = by_hand(model, batch["text"], batch["picture"])
    found = model.encode_pair(batch["text"], batch["picture"])
    assert torch.allclose(found, code)
    for value, right in zip(model.decode(code), (text, picture), strict=True):
        assert torch.allclose(value, right)


def test_the_loss_is_the_weighted_mean_plus_squares_of_weights_alone():
    model = make(mask=0.0, delta_r=0.7, delta_c=0.3, decay=0.01)
    batch = batch_of(model)
    x = torch.cat([batch["text"], batch["picture"]], 1)
    code, *said = by_hand(model, batch["text"], batch["picture"])
    wrong = (torch.cat(said, 1) - x).square().mean()  # all rows have equal widths
    named = F.cross_entropy(model.classify(code), batch["label"])
    weights = (model.text, model.picture, model.joint, model.classify)
    squares = sum(part.weight.square().sum() for part in weights)
    found = model.loss(batch)
    assert torch.allclose(found["loss"], 0.7 * wrong + 0.3 * named + 0.01 * squares)
    assert torch.allclose(found["reconstruct"], wrong)
    assert torch.allclose(found["classify"], named)


def grads(model, batch):
    model.zero_grad()
    model.loss(batch, generator=generator(0))["loss"].backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def test_delta_c_zero_is_the_plain_autoencoder():
    model = make(delta_c=0.0, decay=0.0)
    batch = batch_of(model)
    found = grads(model, batch)
    assert found["classify.weight"].abs().max() == 0
    assert found["text.weight"].abs().max() > 0
    other = batch | {"label": (batch["label"] + 1) % 3}
    assert torch.equal(
        model.loss(batch, generator=generator(0))["loss"],
        model.loss(other, generator=generator(0))["loss"],
    )


def test_delta_r_zero_is_a_classifier_whose_decoder_learns_nothing():
    model = make(delta_r=0.0, decay=0.0, mask=0.0)
    batch = batch_of(model)
    found = grads(model, batch)
    for part in ("text.out", "picture.out", "joint.out"):
        assert found[part].abs().max() == 0
    # tied weights move by what they do in the encoder
    code = model.encode_pair(batch["text"], batch["picture"])
    alone = F.cross_entropy(model.scores(code), batch["label"])
    assert torch.allclose(model.loss(batch)["loss"], alone)


@pytest.mark.parametrize("phase", ["unimodal", "bimodal", "main"])
def test_the_target_is_the_clean_input(phase):
    """With everything masked the best error is that of a constant, and not zero."""
    model = make(mask=1.0, delta_c=0.0, decay=0.0)
    batch = batch_of(model)
    terms = model.loss(batch, phase=phase, generator=generator(0))
    text, picture = batch["text"], batch["picture"]
    zero = [torch.zeros_like(x) for x in (text, picture)]
    if phase == "unimodal":
        wrong = [
            (layer.decode(layer.encode(z)) - x).square().mean()
            for layer, z, x in zip(
                (model.text, model.picture), zero, (text, picture), strict=True
            )
        ]
        right = sum(wrong)
    elif phase == "bimodal":
        inside = torch.cat([model.text.encode(text), model.picture.encode(picture)], 1)
        said = model.joint.decode(model.joint.encode(torch.zeros_like(inside)))
        right = (said - inside).square().mean()
    else:
        said = model.decode(model.encode_pair(*zero))
        right = (torch.cat(said, 1) - torch.cat([text, picture], 1)).square().mean()
    assert torch.allclose(terms["loss"], right)


def test_there_is_no_noise_at_test_in_either_mode():
    model = make(mask=0.9, whole=1.0)
    batch = batch_of(model)
    given = batch["text"], batch["picture"]
    one, two = model.train().encode_pair(*given), model.eval().encode_pair(*given)
    assert torch.equal(one, two)
    # while the loss has it, in either mode
    losses = [model.loss(batch, generator=generator(s))["loss"] for s in range(2)]
    assert losses[0] != losses[1]


def test_masking_keeps_or_clears_and_never_scales():
    x = torch.ones(200, 50)
    found = masked(x, 0.3, generator=generator(0))
    assert set(found.unique().tolist()) == {0.0, 1.0}
    # 10,000 draws: a deviation of 0.0046
    assert abs((found == 0).double().mean() - 0.3) < 0.02
    assert torch.equal(masked(x, 0.0, generator=generator(0)), x)
    assert masked(x, 1.0, generator=generator(0)).abs().max() == 0


def test_a_row_loses_one_modality_at_most_and_either_equally_often():
    stays = hidden_modality(20_000, 0.5, generator=generator(0))
    assert stays.any(1).all()
    lost = (~stays).double().mean(0)
    assert abs(lost[0] - 0.25) < 0.015 and abs(lost[1] - 0.25) < 0.015
    assert hidden_modality(100, 0.0, generator=generator(0)).all()
    both = hidden_modality(100, 1.0, generator=generator(0))
    assert (both.sum(1) == 1).all()


def test_rows_without_a_label_that_counts_are_only_reconstructed():
    model = make(mask=0.0, decay=0.0)
    batch = batch_of(model)
    some = torch.arange(9) < 4
    code = model.encode_pair(batch["text"], batch["picture"])
    each = F.cross_entropy(model.scores(code), batch["label"], reduction="none")
    found = model.loss(batch | {"labeled": some})
    assert torch.allclose(found["classify"], each[:4].sum() / 9)
    other = torch.where(some, batch["label"], (batch["label"] + 1) % 3)
    again = model.loss(batch | {"labeled": some, "label": other})
    assert torch.equal(found["loss"], again["loss"])


def test_the_classifier_is_not_trained_from_the_first_step():
    """Layers first, then the softmax alone, and only then all together."""
    model = make()
    assert model.STAGES == (("unimodal",), ("bimodal",), ("softmax",), ("main",))
    batch = batch_of(model)
    for phase in ("unimodal", "bimodal"):
        one = model.loss(batch, phase=phase, generator=generator(0))["loss"]
        other = batch | {"label": (batch["label"] + 1) % 3}
        two = model.loss(other, phase=phase, generator=generator(0))["loss"]
        assert torch.equal(one, two)


def test_each_stage_trains_its_own_layers():
    model = make()
    layers = {"unimodal": {"text", "picture"}, "bimodal": {"joint"}}
    layers |= {"softmax": {"classify"}}
    layers["main"] = set().union(*layers.values())
    for phase, names in layers.items():
        learning = set(map(id, model.trainable(phase)))
        found = {n for n, p in model.named_parameters() if id(p) in learning}
        assert {name.partition(".")[0] for name in found} == names


def test_a_missing_picture_is_brought_back_from_the_text():
    """Both sides show the same two causes; masking whole modalities learns the way."""
    cause = torch.randn(400, 2, generator=generator(0))
    maps = torch.randn(2, 14, generator=generator(1))
    x = (cause @ maps) / maps.norm(dim=0)
    change = {"mask": 0.0, "whole": 0.7, "delta_c": 0.0, "decay": 0.0}
    torch.manual_seed(0)
    model = BimodalAutoencoder(
        BimodalAutoencoderConfig(**SIZES | change | {"unit": "linear"})
    )
    batch = {"text": x[:300, :6], "picture": x[:300, 6:]}
    batch["label"] = torch.zeros(300, dtype=torch.long)
    fit(model, lambda step: batch, steps=300, lr=1e-2, stage=3)
    with torch.no_grad():
        said = model.decode(model.encode_text(x[300:, :6]))[1]
        back = model.decode(model.encode_picture(x[300:, 6:]))[0]
    assert (said - x[300:, 6:]).square().mean() < 0.3 * x[300:, 6:].square().mean()
    assert (back - x[300:, :6]).square().mean() < 0.3 * x[300:, :6].square().mean()


def test_bad_input_is_one_sentence(as_a_reader):
    model = make()
    batch = batch_of(model)
    text, picture = batch["text"], batch["picture"]
    bad = {
        "row i is one thing, got 9 and 8": {"picture": picture[:8]},
        "text expected 6 numbers a row, got 5": {"text": text[:, :5]},
        "picture expected finite": {"picture": picture * torch.nan},
        "text expected floats": {"text": text.long()},
        "label expected numbers from 0 to 2": {"label": batch["label"] + 3},
        "labeled expected bool": {"labeled": torch.ones(9)},
        "label expected as many as text, got 8 and 9": {"label": batch["label"][:8]},
        "at least one row, got none": {"text": text[:0], "picture": picture[:0]},
    }
    for words, change in bad.items():
        with pytest.raises(ValueError, match=words):
            model.loss(batch | change)
    with pytest.raises(ValueError, match="row i is one thing"):
        model.encode_pair(text, picture[:1])  # would not even broadcast by chance
    with pytest.raises(ValueError, match="picture expected 8 numbers a row, got 6"):
        model.encode_picture(text)
    for gone in ("text", "picture"):
        rest = {key: value for key, value in batch.items() if key != gone}
        with pytest.raises(ValueError, match=f"text and picture, got no {gone}"):
            model.loss(rest)
    with pytest.raises(ValueError, match="code expected 4 numbers"):
        model.decode(torch.zeros(2, 5).double())
    for name, value in (("delta_r", 1.2), ("delta_c", -0.1), ("mask", 2.0)):
        with pytest.raises(ValueError, match=f"{name} expected a number from 0 to 1"):
            BimodalAutoencoder(BimodalAutoencoderConfig(**{name: value}))
    with pytest.raises(ValueError, match="one above 0, got two zeros"):
        make(delta_r=0.0, delta_c=0.0)
    with pytest.raises(ValueError, match="decay expected a number from 0"):
        dataclasses.replace(model.config, decay=-1.0)
        make(decay=-1.0)
