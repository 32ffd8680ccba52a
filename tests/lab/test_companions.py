"""The worlds of companions and of copies."""

import pytest
import torch

from mmdl_lib.data.shapes import COLORS, SHAPES
from mmdl_lib.lab import companions as co
from mmdl_lib.models.m2 import M2, M2Config


@pytest.fixture(scope="module")
def some():
    return co.draw(80, 3)


def words_of(some, part):
    """Words of a kind, in order, for each caption; a place is that before the word."""
    names = ["<pad>", "<start>", "<end>", *co.WORDS]
    rows = zip(some.tokens, part, strict=True)
    return [[names[i] for i in row[1:][kind[:-1]]] for row, kind in rows]


def test_the_companion_follows_from_the_two_colors_and_from_nothing_else(some):
    found = {}
    for caption in some.captions:
        names = {part.split()[2]: part.split()[1] for part in caption.split(" and ")}
        owner = next(p for p in caption.split(" and ") if "with" in p).split()
        assert owner[2] in SHAPES[:3] and owner[-1] in SHAPES[3:6]
        key = owner[1], names["ring"]
        assert found.setdefault(key, owner[-2:]) == owner[-2:]
        pair = co.companion(*(torch.tensor([COLORS.index(color)]) for color in key))
        assert owner[-2:] == [COLORS[int(pair[0])], SHAPES[int(pair[1])]]
    assert len(found) > 40
    # neither color alone tells it
    for place in (0, 1):
        one = {}
        for key, looks in found.items():
            one.setdefault(key[place], set()).add(tuple(looks))
        assert all(len(looks) > 2 for looks in one.values())


def test_a_caption_names_from_left_to_right_what_is_seen(some):
    for things, caption in zip(some.seen.things(), some.captions, strict=True):
        there = [t for t in things if t.shape not in SHAPES[3:6]]
        order = sorted(there, key=lambda t: t.x)
        heads = [part.split()[1:3] for part in caption.split(" and ")]
        assert heads == [[t.color, t.shape] for t in order]


def test_a_hidden_companion_is_in_no_region_and_the_picture_lacks_it(some):
    assert 0.3 < some.hidden.double().mean() < 0.7
    for i, things in enumerate(some.seen.things()):
        companions = [t for t in things if t.shape in SHAPES[3:6]]
        assert len(companions) == (not some.hidden[i])
        assert int(some.regions.mask[i].sum()) == len(things)
    assert co.draw(20, 1, hidden=1).hidden.all()
    assert not co.draw(20, 1, hidden=0).hidden.any()


def test_without_the_owner_only_the_others_are_seen():
    found = co.draw(30, 2, hidden=1, owner=False)
    for things, caption in zip(found.seen.things(), found.captions, strict=True):
        assert all(t.shape in SHAPES[6:] for t in things) and things
        assert " with " in caption
        heads = {" ".join(part.split()[1:3]) for part in caption.split(" and ")}
        assert {f"{t.color} {t.shape}" for t in things} < heads


def test_kinds_of_words_are_those_of_the_caption(some):
    kinds = co.kinds(some)
    theirs, others = (words_of(some, part) for part in (kinds.companion, kinds.other))
    for caption, their, other in zip(some.captions, theirs, others, strict=True):
        looks = [w for w in caption.split() if w in (*COLORS, *SHAPES)]
        behind = caption.split(" with ")[1].split()[1:3]
        assert their == behind and sorted(their + other) == sorted(looks)
    assert not kinds.number.any()


def test_copies_are_equal_regions_without_a_place():
    some = co.copies(10, 4)
    assert some.captions[1].startswith("two ") and some.captions[1].endswith("s")
    assert some.regions.mask.sum(1).tolist() == [1, 2, 3, 4] * 10
    assert (some.regions.feature[..., -4:] == 0).all()
    for feature, mask in zip(some.regions.feature, some.regions.mask, strict=True):
        assert (feature[mask] == feature[0]).all() and (feature[~mask] == 0).all()
    number = words_of(some, co.kinds(some).number)
    assert [n for (n,) in number] == list(co.NUMBERS) * 10


def test_a_batch_of_both_worlds_keeps_each_caption_under_its_mask(some):
    other = co.copies(5, 0)
    batch = co.both(some, other)
    assert len(batch["tokens"]) == 100 and batch["regions"].shape[1:] == (4, 196)
    real = [
        row[mask].tolist()
        for row, mask in zip(*map(batch.get, ("tokens", "mask")), strict=True)
    ]
    assert real == [
        co.TOKENIZER.encode(text) for text in some.captions + other.captions
    ]


def test_the_nats_of_words_are_those_of_the_loss(some):
    torch.manual_seed(0)
    sizes = {"vocab": co.TOKENIZER.vocab, "region_width": 196, "width": 16}
    model = M2(M2Config(**sizes, hidden=16, heads=2, slots=3, dropout=0.0))
    nats, right = co.word_nats(model, some)
    real = some.mask[:, 1:]
    assert nats[:, :-1][real].mean().item() == pytest.approx(
        model.loss(some.batch())["loss"].item(), abs=1e-5
    )
    best = model.logits(*some.inputs()).argmax(-1)[:, :-1]
    assert torch.equal(right[:, :-1][real], (best == some.tokens[:, 1:])[real])
    gone = co.forgotten(model)
    assert model.encoder[0].attention.memory_keys is not None
    assert gone.looks(*some.inputs()).encoder.shape[-1] == 4
    shut = co.closed(model, 1).looks(*some.inputs()).gate
    assert (shut[:, :, 1] == 0).all() and (shut[:, :, [0, 2]] > 0).all()


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match="hidden expected a number from 0 to 1"):
        co.draw(3, 0, hidden=2)


def test_regions_are_named_by_what_their_boxes_hold(some):
    crops = some.regions.feature[..., :192].unflatten(-1, (3, 8, 8))
    rgb = some.seen.rgb.float()
    for i, names in enumerate(co.region_names(some)):
        things = [f"{t.color} {t.shape}" for t in some.seen.things()[i]]
        assert sorted(names) == sorted(things)
        for j, name in enumerate(names):
            color = rgb[i, things.index(name)] / 127.5 - 1
            # some pixel of the crop has nearly the color of the name
            assert (crops[i, j] - color[:, None, None]).abs().amax(0).min() < 0.15


def test_a_lit_picture_keeps_a_region_of_weight_one_and_darkens_the_rest():
    picture = torch.full((3, 64, 64), 200, dtype=torch.uint8)
    box = torch.tensor([[0.0, 0, 8, 8], [16, 16, 32, 32]])
    one, two = co.lit(picture, box, torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    assert (one[:, :16, :16] == 200).all() and (one[:, 40:, 40:] == 40).all()
    assert (one[:, 20:30, 20:30] == 40).all() and (two[:, :16, :16] == 120).all()


def test_what_a_model_says_is_given_in_words(some):
    assert [" ".join(row) for row in co.words(some.tokens)] == some.captions


def test_weights_are_counted_on_the_region_that_a_word_names(some):
    weight, names = torch.zeros(80, some.tokens.shape[1], 4), co.region_names(some)
    for i, said in enumerate(co.words(some.tokens)):
        for t in range(len(said)):
            for j, name in enumerate(names[i]):
                if " ".join(said[t : t + 2]) == name:
                    weight[i, t, j] = 1  # colors look right, shapes nowhere
                if name.endswith("ring") and said[t - 3 : t - 1] != []:
                    weight[i, t, j] += 0.5 * ("with" in said[max(0, t - 3) : t])
    found = co.looked_at(some, weight)
    assert found["color"] >= 1 and found["shape"] < 0.5
    assert found["ring"] == pytest.approx(0.5) and found["owner"] == 0
