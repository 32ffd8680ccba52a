"""The hinge, the nearest picture, both tasks, other tokenizers; bad input."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.bert import hide
from mmdl_lib.models.vokenization import (
    IGNORE,
    Retriever,
    RetrieverConfig,
    Vokenization,
    grounding_ratio,
    hinge,
    nearest,
    revokenized,
)


def unit(*shape, seed=0):
    drawn = torch.randn(*shape, generator=generator(seed)).double()
    return F.normalize(drawn, dim=-1)


def retriever(seed=0):
    torch.manual_seed(seed)
    return Retriever.from_preset("tiny").eval()


def batch_of(model, n=4):
    return type(model).example_batch(model.config, n, generator=generator(3))


def ragged(b, t, seed=5):
    length = torch.randint(1, t + 1, (b, 1), generator=generator(seed))
    return torch.arange(t) < length


def test_the_hinge_is_the_sum_over_tokens_and_other_pictures():
    words, pictures, mask = unit(4, 5, 6), unit(4, 6, seed=1), ragged(4, 5)
    each = []
    for i in range(4):
        for j in range(5):
            for k in range(4):
                if mask[i, j] and k != i:
                    own = words[i, j] @ pictures[i]
                    wrong = words[i, j] @ pictures[k]
                    each.append(max(0.0, (0.5 - own + wrong).item()))
    mean = sum(each) / len(each)
    assert hinge(words, pictures, mask).item() == pytest.approx(mean)


def test_padding_has_no_part_in_the_hinge():
    words, pictures, mask = unit(3, 5, 6), unit(3, 6, seed=1), ragged(3, 5)
    before = hinge(words, pictures, mask)
    other = torch.where(mask[..., None], words, unit(3, 5, 6, seed=8))
    assert torch.equal(before, hinge(other, pictures, mask))


def test_a_picture_is_not_pushed_away_from_its_own_tokens():
    # all words and pictures alike: with the own pair among the wrong ones the mean
    # would still be the margin, but it would count more terms; so look at a gradient
    words, pictures = unit(2, 1, 3), unit(2, 3, seed=1).requires_grad_()
    mask = torch.ones(2, 1, dtype=torch.bool)
    hinge(words, pictures, mask, margin=5.0).backward()
    expected = (words[1, 0] - words[0, 0]) / 2  # the other's token less its own
    assert torch.allclose(pictures.grad[0], expected)


def test_beyond_the_margin_there_is_no_gradient():
    words = torch.eye(3).double()[:, None].requires_grad_()
    mask = torch.ones(3, 1, dtype=torch.bool)
    loss = hinge(words, torch.eye(3).double(), mask)  # 0.5 - 1 + 0 < 0
    loss.backward()
    assert loss == 0 and words.grad.abs().max() == 0
    assert hinge(words, torch.eye(3).double(), mask, margin=1.25) == 0.25


def test_the_nearest_is_that_of_the_smallest_distance():
    words, store = unit(7, 5, 6), unit(50, 6, seed=1)
    distance = torch.cdist(words.flatten(0, 1), store).argmin(1).unflatten(0, (7, 5))
    assert torch.equal(nearest(words, store), distance)


def test_of_equal_pictures_the_first_is_the_voken():
    assert nearest(torch.ones(1, 2), torch.ones(3, 2)).tolist() == [0]


def test_vokens_are_nearest_in_the_common_space_and_padding_has_none():
    model = retriever()
    batch = batch_of(model)
    store = torch.randn(9, 10, generator=generator(4))
    found = model.vokens(batch["tokens"], batch["mask"], store)
    assert (found[~batch["mask"]] == IGNORE).all() and (~batch["mask"]).any()
    words = model.encode_tokens(batch["tokens"], batch["mask"])
    pictures = model.encode_picture(store)
    i, j = 2, 3
    assert found[i, j] == (words[i, j] @ pictures.T).argmax()
    assert len(found[batch["mask"]].unique()) > 1


def test_both_heads_give_vectors_of_length_one():
    model = retriever()
    batch = batch_of(model)
    length = model.encode_tokens(batch["tokens"], batch["mask"]).norm(dim=-1)
    assert torch.allclose(length, batch["mask"].float(), atol=1e-6)
    length = model.encode_picture(7 * batch["picture"]).norm(dim=-1)
    assert torch.allclose(length, torch.ones(4))


def test_a_token_is_encoded_in_its_context():
    model = retriever()
    batch = batch_of(model)
    tokens = batch["tokens"].clone()
    tokens[:, 2] = (tokens[:, 2] + 3) % 50 + 5
    mask = batch["mask"]
    before, after = (model.encode_tokens(x, mask) for x in (batch["tokens"], tokens))
    assert not torch.allclose(before[:, 5], after[:, 5], atol=1e-4)


def test_the_margin_of_the_config_is_used():
    config = dataclasses.replace(Retriever.PRESETS["tiny"], margin=1.7)
    torch.manual_seed(0)
    model, batch = Retriever(config).eval(), batch_of(retriever())
    words = model.encode_tokens(batch["tokens"], batch["mask"])
    pictures = model.encode_picture(batch["picture"])
    expected = hinge(words, pictures, batch["mask"], margin=1.7)
    assert torch.allclose(model.loss(batch)["loss"], expected)


def vlm(seed=0, **changed):
    torch.manual_seed(seed)
    config = dataclasses.replace(Vokenization.PRESETS["tiny"], dropout=0.0, **changed)
    return Vokenization(config)


def test_the_words_are_asked_where_hidden_and_the_vokens_everywhere():
    model = vlm()
    batch, config = batch_of(model), model.config
    terms = model.loss(batch, generator=generator(2))
    words = model.words(batch["tokens"], batch["mask"])
    names = {"vocab": config.vocab, "mask_token": config.mask_token}
    read, chosen = hide(batch["tokens"], words, **names, generator=generator(2))
    said = model(read, batch["mask"])
    each = F.cross_entropy(said.words[chosen], batch["tokens"][chosen])
    assert torch.allclose(terms["words"], each)
    each = F.cross_entropy(said.vokens[words], batch["vokens"][words])
    assert torch.allclose(terms["vokens"], each)
    assert words.sum() > 3 * chosen.sum()
    assert torch.allclose(terms["loss"], terms["words"] + terms["vokens"])


def test_where_no_voken_is_none_is_asked():
    model = vlm()
    batch = batch_of(model)
    fewer = batch["vokens"].clone()
    fewer[:, 5:] = IGNORE
    full, some = (
        model.loss(batch | {"vokens": v}, generator=generator(2))
        for v in (batch["vokens"], fewer)
    )
    assert torch.equal(full["words"], some["words"])
    # a mean over the words that have one, so fewer of them are no lower loss
    words = model.words(batch["tokens"], batch["mask"])
    only = model.loss(
        batch | {"vokens": torch.where(words & (fewer != IGNORE), fewer, IGNORE)},
        generator=generator(2),
    )
    assert torch.equal(only["vokens"], some["vokens"])
    assert 0.8 * full["vokens"] < some["vokens"] < 1.2 * full["vokens"]
    none = model.loss(
        batch | {"vokens": torch.full_like(fewer, IGNORE)}, generator=generator(2)
    )
    assert none["vokens"] == 0


def test_vokens_of_padding_change_nothing():
    model = vlm()
    batch = batch_of(model)
    noisy = torch.where(batch["mask"], batch["vokens"], 3)
    one, other = (
        model.loss(batch | {"vokens": v}, generator=generator(2))["loss"]
        for v in (batch["vokens"], noisy)
    )
    assert torch.equal(one, other)


def test_other_numbers_for_the_same_vokens_are_the_same_task():
    # only which tokens share a picture is told, not what is on it
    one, other = vlm(), vlm()
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    last = other.voken_head[-1]
    last.weight.data[order], last.bias.data[order] = (
        last.weight.data.clone(),
        last.bias.data.clone(),
    )
    batch = batch_of(one)
    renamed = torch.where(batch["mask"], order[batch["vokens"].clamp(min=0)], IGNORE)
    first = one.loss(batch, generator=generator(2))["loss"]
    second = other.loss(batch | {"vokens": renamed}, generator=generator(2))["loss"]
    assert torch.allclose(first, second)
    first.backward(), second.backward()
    assert torch.allclose(one.tokens.weight.grad, other.tokens.weight.grad, atol=1e-7)


def test_with_a_share_of_zero_it_is_bert():
    model = vlm(share=0.0)
    batch = batch_of(model)
    terms = model.loss(batch, generator=generator(2))
    assert torch.equal(terms["loss"], terms["words"])
    terms["loss"].backward()
    assert model.voken_head[-1].weight.grad.abs().max() == 0


def test_new_pieces_get_the_voken_of_the_letters_that_they_cover():
    # "unhappiness here": un happiness here / unhapp iness _ here
    old, new = [(0, 2), (2, 11), (12, 16)], [(0, 6), (6, 11), (11, 12), (12, 16)]
    assert revokenized([4, 8, 5], old, new) == [8, 8, IGNORE, 5]
    for (low, high), voken in zip(new, revokenized([4, 8, 5], old, new), strict=True):
        if voken != IGNORE:
            a, b = old[[4, 8, 5].index(voken)]
            assert max(low, a) < min(high, b)


def test_the_same_pieces_keep_their_vokens_and_ties_go_to_the_first():
    spans = [(0, 3), (3, 6)]
    assert revokenized([1, 2], spans, spans) == [1, 2]
    assert revokenized([1, 2], spans, [(2, 4)]) == [1]
    assert revokenized([1, IGNORE], spans, [(3, 6)]) == [IGNORE]


def test_the_grounding_ratio_counts_running_words_by_hand():
    text = "the dog and the idea of a dog".split()
    seen = {"the": 900, "dog": 120, "idea": 99, "and": 500, "of": 300, "a": 800}
    ratio = grounding_ratio(text, seen, stop={"the", "and", "of", "a"})
    assert ratio == 2 / 8
    assert grounding_ratio(text, seen, stop={"the"}, least=99) == 6 / 8
    assert grounding_ratio(text, seen, stop={"the"}, least=1000) == 0


def test_empty_stores_unpaired_batches_and_bad_margins_are_refused(as_a_reader):
    model = retriever()
    batch = batch_of(model)
    with pytest.raises(ValueError, match="at least one picture"):
        model.vokens(batch["tokens"], batch["mask"], torch.zeros(0, 10))
    with pytest.raises(ValueError, match="at least one picture"):
        nearest(torch.zeros(2, 3), torch.zeros(0, 3))
    with pytest.raises(ValueError, match="4|3"):
        model.loss(batch | {"picture": batch["picture"][:3]})
    with pytest.raises(ValueError, match="two sentences"):
        hinge(unit(1, 2, 3), unit(1, 3), torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="margin expected"):
        Retriever(RetrieverConfig(margin=0.0))
    with pytest.raises(ValueError, match="10 numbers each, got 4"):
        model.encode_picture(torch.zeros(2, 4))
    net = vlm()
    batch = batch_of(net)
    with pytest.raises(ValueError, match="vokens expected"):
        net.loss(batch | {"vokens": batch["vokens"] + 7})
    with pytest.raises(ValueError, match="vokens expected shape"):
        net.loss(batch | {"vokens": batch["vokens"][:, 1:]})
    with pytest.raises(ValueError, match="mask expected shape"):
        net.loss(batch | {"mask": batch["mask"][1:]})
    with pytest.raises(ValueError, match="tokens expected numbers"):
        net.loss(batch | {"tokens": batch["tokens"] + 10**6})
    with pytest.raises(ValueError, match="batch expected at least one row"):
        net.loss({name: values[:0] for name, values in batch.items()})
    with pytest.raises(ValueError, match="share expected"):
        vlm(share=-1.0)
    with pytest.raises(ValueError):
        revokenized([1], [(0, 1), (1, 2)], [(0, 2)])
    with pytest.raises(ValueError, match="at least one"):
        grounding_ratio([], {})
