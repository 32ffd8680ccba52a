"""Parti: a cache, guidance on logits, counts of four sizes."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.parti import Parti, PartiConfig


def make(**changes):
    torch.manual_seed(0)
    model = Parti(PartiConfig(**{**vars(Parti.PRESETS["tiny"]), **changes})).eval()
    for p in model.parameters():  # small weights would hide what they do
        p.data += 0.1 * torch.randn(p.shape, generator=generator(3))
    return model


def batch_of(model, n=4):
    return Parti.example_batch(model.config, n, generator=generator(1))


def scores(model, batch, **how):
    return model.scores(batch["tokens"], batch["mask"], batch["codes"], **how)


# who sees what


def test_no_place_sees_its_own_code_or_later_ones():
    model = make()
    batch = batch_of(model)
    other = batch["codes"].clone()
    other[:, 5] = (other[:, 5] + 1) % 12
    one, two = scores(model, batch), scores(model, batch | {"codes": other})
    assert torch.equal(one[:, :6], two[:, :6])
    assert (one[:, 6:] - two[:, 6:]).abs().amax((0, 2)).min() > 1e-4


def test_words_see_those_after_them_and_every_code_hears_all():
    model = make()
    tokens, mask = torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool)
    other = tokens.clone()
    other[0, 5] = 20
    one, two = (model.read(t, mask)[0] for t in (tokens, other))
    assert (one - two).abs().amax(-1).min() > 1e-4  # a causal net would hide it
    codes = batch_of(model, 1)["codes"]
    one, two = (model.scores(t, mask, codes) for t in (tokens, other))
    assert (one - two).abs().amax(-1).min() > 1e-4


def test_padding_is_not_heard():
    model = make()
    batch = batch_of(model)
    other = torch.where(batch["mask"], batch["tokens"], 7)
    found = scores(model, batch | {"tokens": other})
    assert torch.allclose(found, scores(model, batch), atol=1e-5)


def test_the_order_of_words_matters():
    model = make()
    batch = batch_of(model, 1)
    tokens, mask = torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool)
    one, two = (model.scores(t, mask, batch["codes"]) for t in (tokens, tokens.flip(1)))
    assert not torch.allclose(one, two, atol=1e-3)


# the loss


def test_the_loss_is_the_mean_nats_of_a_code_and_the_caption_costs_nothing():
    model = make(empty=0.0)
    batch = batch_of(model)
    expected = F.cross_entropy(scores(model, batch).mT, batch["codes"])
    assert torch.isclose(model.loss(batch, generator=generator(0))["loss"], expected)
    model.guess.weight.data.zero_()
    found = model.loss(batch, generator=generator(0))["loss"]
    assert torch.isclose(found, torch.tensor(12.0).log())


def test_a_caption_that_is_left_out_is_the_one_that_guidance_reads():
    model = make(empty=1.0)
    batch = batch_of(model)
    alone = model.told(*model.read_nothing(batch["tokens"]), batch["codes"])
    expected = F.cross_entropy(alone.mT, batch["codes"])
    assert torch.isclose(model.loss(batch, generator=generator(0))["loss"], expected)


# drawing


@pytest.mark.parametrize("scale", [1, 0, 3.0])
def test_code_by_code_with_a_cache_is_the_whole_picture_at_once(scale):
    model = make()
    batch = batch_of(model)
    whole = scores(model, batch, scale=scale)
    seen, found = iter(batch["codes"].unbind(1)), []

    def note(logits, *_, **__):
        found.append(logits)
        return next(seen)

    from mmdl_lib.nn import decode

    given = batch["tokens"], batch["mask"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode.torch, "multinomial", lambda p, *_, **__: note(p)[:, None])
        drawn = model.sample(*given, scale=scale, generator=generator(0))
    assert torch.equal(drawn, batch["codes"])
    assert torch.allclose(torch.stack(found, 1), whole.softmax(-1), atol=1e-5)


def test_a_scale_of_one_is_no_guidance_and_zero_forgets_the_caption():
    model = make()
    batch = batch_of(model)
    assert torch.allclose(
        scores(model, batch), scores(model, batch, scale=1 + 1e-6), atol=1e-4
    )
    other = batch | {"tokens": (batch["tokens"] + 3) % 26}
    deaf = scores(model, batch, scale=0), scores(model, other, scale=0)
    assert torch.equal(*deaf)
    assert not torch.allclose(scores(model, batch), scores(model, other))


def test_guidance_of_logits_is_that_of_probabilities():
    model = make()
    batch = batch_of(model)
    p = scores(model, batch).softmax(-1)
    alone = scores(model, batch, scale=0).softmax(-1)
    expected = p.pow(3) / alone.pow(2)  # up to a factor
    expected = expected / expected.sum(-1, keepdim=True)
    found = scores(model, batch, scale=3).softmax(-1)
    assert torch.allclose(found, expected, atol=1e-4)


# size


@pytest.mark.parametrize(
    ("name", "millions"), [("350M", 353), ("750M", 756), ("3B", 3022), ("20B", 20_407)]
)
def test_the_blocks_of_four_sizes_have_the_printed_numbers(name, millions):
    with torch.device("meta"):
        model = Parti.from_preset(name)
    stacks = model.encoder, model.decoder
    count = sum(p.numel() for stack in stacks for p in stack.parameters())
    assert round(count / 1e6) == millions
    assert (model.config.text, model.config.grid**2) == (128, 1024)


def test_bad_input_is_refused(as_a_reader):
    model = make()
    batch = batch_of(model)
    tokens, mask, codes = batch["tokens"], batch["mask"], batch["codes"]
    bad = {
        "tokens expected numbers from 0 to 25": (tokens + 26, mask, codes),
        "tokens expected from 1 to 6": (
            torch.zeros(4, 7, dtype=torch.long), torch.ones(4, 7).bool(), codes
        ),
        "mask expected real tokens first": (tokens, mask.flip(1), codes),
        "codes expected shape \\(b, 16\\)": (tokens, mask, codes[:, :9]),
        "codes expected numbers from 0 to 11": (tokens, mask, codes + 12),
    }  # fmt: skip
    for words, given in bad.items():
        with pytest.raises(ValueError, match=words):
            model.scores(*given)
    with pytest.raises(ValueError, match="scale expected"):
        model.sample(tokens, mask, scale=-1)


def test_captions_are_left_out_row_by_row_as_often_as_the_config_says():
    torch.manual_seed(0)
    model, seen, read = Parti.from_preset("tiny").eval(), [], Parti.read

    def note(tokens, mask, empty=None):
        seen.append(empty)
        return read(model, tokens, mask, empty)

    model.read = note
    batch = Parti.example_batch(model.config, 64)
    for seed in range(6):
        model.loss(batch, generator=torch.Generator().manual_seed(seed))
    gone = torch.stack(seen).double()
    assert abs(gone.mean() - 0.5) < 3 * (0.25 / gone.numel()) ** 0.5
    assert gone.mean(1).min() > 0 and gone.mean(1).max() < 1
