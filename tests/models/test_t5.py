"""T5: spans, masks, relative places, norms without a mean, writing with a memory."""

from dataclasses import replace

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.t5 import T5, corrupt, restore, span_counts, visible
from mmdl_lib.nn import Cache


def make(**changes):
    torch.manual_seed(0)
    return T5(replace(T5.PRESETS["tiny"], **changes)).eval()


def batch(model, n=4):
    return T5.example_batch(model.config, n, generator=generator(5))


def test_568_tokens_give_512_inputs_and_114_targets():
    noise, count = span_counts(568)
    assert (noise, count) == (85, 28)
    spans = corrupt(list(range(2, 570)), vocab=1000, generator=generator(0))
    assert (len(spans.inputs), len(spans.targets)) == (512, 114)


@pytest.mark.parametrize("mean", [1.0, 3.0, 10.0])
@pytest.mark.parametrize("n", [2, 3, 7, 20, 100, 568])
def test_spans_put_back_restore_the_text_exactly(n, mean):
    for seed in range(20):
        g = generator(seed)
        text = torch.randint(2, 500, (n,), generator=g).tolist()
        spans = corrupt(text, vocab=700, mean=mean, generator=g)
        assert restore(*spans, vocab=700) == text
        assert spans.inputs[-1] == spans.targets[-1] == 1
        # a kept span comes first, and no span is empty
        assert spans.inputs[0] < 500 and spans.targets[0] == 699
        noise, count = span_counts(n, mean=mean)
        assert len(spans.targets) == noise + count + 1
        assert len(spans.inputs) == n - noise + count + 1


def test_sentinels_decrease_from_the_last_token_in_both_texts():
    spans = corrupt(list(range(2, 102)), vocab=300, generator=generator(1))
    for side in spans:
        found = [token for token in side if token >= 280]
        assert found == [299, 298, 297, 296, 295]
    # between two sentinels there is something on both sides
    for side in (spans.inputs, spans.targets):
        places = [i for i, token in enumerate(side) if token >= 280]
        assert min(b - a for a, b in zip(places, places[1:], strict=False)) > 1


def test_each_token_is_taken_equally_often_but_the_first_never():
    taken = torch.zeros(40)
    for seed in range(3000):
        spans = corrupt(list(range(2, 42)), vocab=300, generator=generator(seed))
        for token in spans.targets:
            if 2 <= token < 42:
                taken[token - 2] += 1
    assert taken.sum() == 3000 * 6 and taken[0] == 0
    # two spans of together six in 40: those at the end are taken more often, as the
    # text ends with a taken span
    assert taken[-1] == 3000
    assert taken[1:30].min() > 0.03 * 3000 and taken[1:30].max() < 0.3 * 3000


def test_lengths_of_spans_have_their_mean():
    for mean, count in ((1.0, 75), (3.0, 25), (10.0, 8)):
        assert span_counts(500, mean=mean) == (75, round(75 / mean)) == (75, count)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokens": [5]}, "at least two tokens, got 1"),
        ({"share": 0.0}, "share expected a number above 0"),
        ({"mean": 0.5}, "mean expected a number from 1"),
        ({"tokens": [5, 6, 99]}, "tokens expected numbers from 0 to 98, got 5 to 99"),
    ],
)
def test_texts_that_cannot_be_corrupted_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        corrupt(**{"tokens": [5, 6, 7], "vocab": 100} | change)


def test_masks_and_targets_that_do_not_exist_are_named(as_a_reader):
    with pytest.raises(ValueError, match="kind expected one of 'full', 'causal'"):
        visible("both", 4)
    with pytest.raises(ValueError, match="prefix expected a whole number from 0 to 4"):
        visible("prefix", 4, prefix=5)
    model = make()
    data = batch(model)
    with pytest.raises(ValueError, match="target expected numbers from 0 to 59"):
        model(data["tokens"], data["mask"], data["target"] + 60)
    with pytest.raises(TypeError, match="penalty"):  # no beams, no penalty
        model.generate(data["tokens"], data["mask"], penalty=1.0)


def test_three_masks_of_a_text_of_four():
    assert visible("full", 4).all()
    causal = [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert torch.equal(visible("causal", 4), torch.tensor(causal).bool())
    prefix = [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert torch.equal(visible("prefix", 4, prefix=2), torch.tensor(prefix).bool())
    assert torch.equal(visible("causal", 4, prefix=3), visible("causal", 4))


@torch.no_grad()
def test_the_norm_has_no_mean_and_no_bias_so_that_a_factor_changes_nothing():
    model = make()
    for norm in (model.encoder.norm, model.decoder.blocks[0].norm_cross):
        x = torch.randn(2, 5, 32, generator=generator(0))
        assert torch.allclose(norm(7 * x), norm(x), atol=1e-5)
        assert not torch.allclose(norm(x + 3), norm(x), atol=1e-1)
        assert [name for name, _ in norm.named_parameters()] == ["weight"]
    assert not [n for n, _ in model.named_parameters() if n.endswith("bias")]


@torch.no_grad()
def test_moving_a_text_by_five_places_leaves_its_states():
    model = make()
    tokens = torch.randint(2, 60, (2, 9), generator=generator(1))
    x = model.encoder(model.tokens(tokens))
    mask = torch.arange(14) >= 5
    moved = torch.nn.functional.pad(tokens, (5, 0), value=9)
    y = model.encoder(model.tokens(moved), mask.expand(2, 14))
    assert torch.allclose(x, y[:, 5:], atol=1e-5)
    assert not torch.allclose(x, y[:, :9], atol=1e-2)


@torch.no_grad()
def test_only_the_distance_between_texts_own_places_counts_never_that_to_the_memory():
    model = make()
    data = batch(model, 1)
    tokens, mask, target = data["tokens"], data["mask"], data["target"]
    tables = [n for n, _ in model.named_parameters() if "table" in n]
    assert tables == ["encoder.relative.table.weight", "decoder.relative.table.weight"]
    # states of the memory in another order are the same bag for the decoder
    memory = model.encode_text(tokens, mask)
    order = torch.randperm(12, generator=generator(2))
    x = model.tokens(target)
    a = model.decoder(x, memory=memory, memory_mask=mask)
    b = model.decoder(x, memory=memory[:, order], memory_mask=mask[:, order])
    assert torch.allclose(a, b, atol=1e-5)


@torch.no_grad()
def test_scores_are_products_without_a_scale():
    attention = make().encoder.blocks[0].attention
    x = torch.randn(1, 5, 32, generator=generator(0))
    q, k, _ = attention.qkv(x).view(1, 5, 3, 4, 8).permute(2, 0, 3, 1, 4)
    want = (q @ k.mT).softmax(-1)
    assert torch.allclose(attention.weights(x), want, atol=1e-5)
    assert attention.scale == 1.0


@torch.no_grad()
def test_a_table_of_spread_one_is_scaled_by_the_width_at_the_output():
    model = make(width=64)
    assert model.tokens.weight.std() == pytest.approx(1, abs=0.05)
    x = torch.randn(2, 3, 64, generator=generator(0))
    assert torch.allclose(model.guess(x), x @ model.tokens.weight.T / 8, atol=1e-5)


@torch.no_grad()
def test_it_starts_as_the_released_code_does():
    torch.manual_seed(0)
    model = T5(replace(T5.PRESETS["tiny"], width=128, inner=256, head_width=32))
    block = model.decoder.blocks[1]
    wanted = [(128 * 32) ** -0.5, 128**-0.5, 128**-0.5, 128**-0.5]
    for layer in (block.attention, block.cross):
        for weight, std in zip(layer.projections(), wanted, strict=True):
            assert weight.std() == pytest.approx(std, rel=0.05)
    assert block.fc1.weight.std() == pytest.approx(128**-0.5, rel=0.05)
    assert block.fc2.weight.std() == pytest.approx(256**-0.5, rel=0.05)


@torch.no_grad()
def test_a_later_word_of_the_target_does_not_change_earlier_logits():
    model = make()
    data = batch(model)
    given = data["tokens"], data["mask"]
    before = model(*given, data["target"])
    for t in range(1, 6):
        target = data["target"].clone()
        target[:, t - 1 :] = (target[:, t - 1 :] + 3) % 60
        after = model(*given, target)
        assert torch.allclose(after[:, :t], before[:, :t], atol=1e-5)
        if t < 5:
            assert not torch.allclose(after[:, t:], before[:, t:], atol=1e-4)


def test_a_target_without_a_real_token_is_refused():
    model = make()
    data = batch(model)
    nothing = torch.zeros_like(data["target_mask"])
    with pytest.raises(ValueError, match="target_mask expected at least one True"):
        model.loss(data | {"target_mask": nothing})
    nothing[1, 0] = True  # the other rows are left out
    one = {name: x[1:2] for name, x in data.items()} | {"target_mask": nothing[1:2]}
    found = model.loss(data | {"target_mask": nothing})["loss"]
    assert torch.allclose(found, model.loss(one)["loss"], atol=1e-5)


@torch.no_grad()
def test_padding_of_inputs_and_targets_moves_neither_logits_nor_loss():
    model = make()
    data = batch(model)
    before = model(data["tokens"], data["mask"], data["target"])
    tokens = torch.where(data["mask"], data["tokens"], 33)
    longer = torch.nn.functional.pad(tokens, (0, 3), value=8)
    mask = torch.nn.functional.pad(data["mask"], (0, 3))
    after = model(longer, mask, data["target"])
    assert torch.allclose(after, before, atol=1e-5)
    other = torch.where(data["target_mask"], data["target"], 44)
    one, two = (
        model.loss(data | {"target": x})["loss"] for x in (other, data["target"])
    )
    assert torch.allclose(one, two, atol=1e-6)


@torch.no_grad()
def test_words_written_one_by_one_have_the_logits_of_the_whole():
    model = make()
    data = batch(model)
    tokens, mask = data["tokens"], data["mask"]
    text = model.generate(tokens, mask, max_length=9)
    logits = model(tokens, mask, text)
    live = torch.cat([text[:, :1] * 0, (text[:, :-1] == 1).cumsum(1)], 1) == 0
    assert torch.equal(logits.argmax(-1)[live], text[live])
    assert len({tuple(row) for row in text.tolist()}) > 1


@torch.no_grad()
def test_steps_with_a_memory_of_the_past_have_the_logits_of_the_whole():
    model = make()
    # strong relative terms, so that a wrong distance shows
    model.decoder.relative.table.weight.mul_(20)
    data = batch(model)
    tokens, mask, target = data["tokens"], data["mask"], data["target"]
    want = model(tokens, mask, target)
    caches = [(Cache(), Cache()) for _ in model.decoder.blocks]
    state = caches, model.encode_text(tokens, mask), mask
    read = torch.nn.functional.pad(target[:, :-1], (1, 0))
    for t in range(6):
        logits, state = model._step(read[:, t], state)
        assert torch.allclose(logits, want[:, t], atol=1e-5), t


@torch.no_grad()
def test_more_beams_never_find_a_less_likely_text():
    model = make()
    data = batch(model, 8)
    given = data["tokens"], data["mask"]

    def log_p(text):
        logits = model(*given, text).log_softmax(-1)
        each = logits.gather(2, text[..., None])[..., 0]
        before = (text == 1).long().cumsum(1) - (text == 1).long()
        return (each * (before == 0)).sum(1)

    one, many = (
        log_p(model.generate(*given, max_length=4, beams=beams)) for beams in (1, 60)
    )
    assert (many >= one - 1e-5).all() and (many > one + 1e-3).any()


@pytest.mark.parametrize(
    ("name", "millions"),
    [("small", 60.5), ("base", 222.9), ("large", 737.7), ("3B", 2852), ("11B", 11_307)],
)
def test_the_sizes_have_their_counts(name, millions):
    with torch.device("meta"):
        model = T5.from_preset(name)
    count = sum(p.numel() for p in model.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=5e-4)
