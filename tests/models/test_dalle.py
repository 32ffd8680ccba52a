"""DALL-E: the layout of a row, three patterns, two losses, a cache, a guided draw."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.dalle import DALLE, DALLEConfig, Drawn, attention_mask, kinds
from mmdl_lib.nn import decode

PRESETS = ["tiny", "tiny-sparse"]
each = pytest.mark.parametrize("name", PRESETS)


def make(name="tiny", **changes):
    torch.manual_seed(0)
    config = DALLEConfig(**{**vars(DALLE.PRESETS[name]), **changes})
    model = DALLE(config).eval()
    for parameter in model.parameters():  # small weights would hide what they do
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(3))
    return model


def batch_of(model, n=4):
    return DALLE.example_batch(model.config, n, generator=generator(1))


def logits(model, batch):
    return model.logits(batch["tokens"], batch["mask"], batch["codes"])


# the row


def test_each_text_place_has_a_pad_of_its_own_and_words_stay():
    model = make()
    tokens = torch.tensor([[5, 7, 9, 9], [3, 9, 9, 9]])
    mask = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    pads = list(range(26, 32))
    assert model.pads().tolist() == pads
    expected = [[5, 7, *pads[2:]], [3, *pads[1:]]]
    assert model.filled(tokens, mask).tolist() == expected
    # the wrong version: one pad for all places
    shared = torch.where(mask, tokens, 0)
    assert len(set(shared[1, 1:].tolist())) == 1
    assert len(set(model.filled(tokens, mask)[1].tolist())) == 6


def test_the_callers_tokens_are_not_touched():
    model, batch = make(), batch_of(make())
    kept = {key: value.clone() for key, value in batch.items()}
    logits(model, batch)
    model.loss(batch)
    model.sample(batch["tokens"], batch["mask"], scale=2.0, generator=generator(0))
    assert all(torch.equal(batch[key], kept[key]) for key in kept)

    def careless(tokens, mask):  # the wrong version, seen in a public repository
        tokens *= mask
        return tokens

    careless(batch["tokens"], batch["mask"])
    assert not torch.equal(batch["tokens"], kept["tokens"])


@each
def test_text_places_give_words_or_pads_and_picture_places_give_codes(name):
    model = make(name)
    p = logits(model, batch_of(model)).softmax(-1)
    assert p.shape == (4, 6 + 16, 26 + 6 + 12)
    assert p[:, :6, 32:].sum() == 0
    assert p[:, 6:, :32].sum() == 0
    assert torch.allclose(p.sum(-1), torch.ones(4, 22))


def test_at_full_size_a_row_has_256_text_places_and_1024_codes():
    with torch.device("meta"):
        model = DALLE.from_preset("12B")
        tokens = torch.zeros(1, 256, dtype=torch.long)
        words = model.filled(tokens, tokens >= 0)
        x = model.embed(words, torch.zeros(1, 1023, dtype=torch.long))
    assert x.shape == (1, 1 + 256 + 1023, 3968)
    assert model.words.num_embeddings == 16_384 + 256
    assert model.to_codes.out_features == 8_192
    assert model.row.shape == (1281, 1281)
    blocks = sum(p.numel() for p in model.transformer.parameters())
    matrices = sum(p.numel() for p in model.transformer.parameters() if p.ndim == 2)
    assert matrices == 64 * 12 * 3968**2 == 12_092_178_432
    assert round(blocks / 1e9, 2) == 12.1
    assert round(sum(p.numel() for p in model.parameters()) / 1e9, 1) == 12.3


def test_a_code_knows_its_line_and_its_column():
    model = make()
    found = model.placed(torch.full((1, 7), 3), 5)[0] - model.codes.weight[3]
    for i, place in enumerate(range(5, 12)):
        where = model.rows.table[place // 4] + model.columns.table[place % 4]
        assert torch.allclose(found[i], where, atol=1e-6)


@each
def test_no_place_sees_the_token_that_it_is_to_guess(name):
    model, batch = make(name), batch_of(make(name))
    words = torch.arange(24).reshape(4, 6)
    for i in range(6):
        other = words.clone()
        other[:, i] = (other[:, i] + 1) % 26
        one, two = (model.told(w, batch["codes"])[0] for w in (words, other))
        assert torch.equal(one[:, : i + 1], two[:, : i + 1])
    changed = batch["codes"].clone()
    changed[:, 5] = (changed[:, 5] + 1) % 12
    one, two = (model.told(words, c)[1] for c in (batch["codes"], changed))
    assert torch.equal(one[:, :6], two[:, :6])
    assert not torch.equal(one[:, 6:], two[:, 6:])


# who sees whom


def seen_on_a_grid(kind, i, j, *, grid=4, kernel=3):
    """Whether code i sees code j, said once more and more slowly."""
    (yi, xi), (yj, xj) = divmod(i, grid), divmod(j, grid)
    if j > i:
        return False
    if kind == "row":
        return j in range(i - grid, i + 1)
    if kind == "column":
        return xi == xj
    return yi - yj <= kernel // 2 and abs(xi - xj) <= kernel // 2


@pytest.mark.parametrize("kind", ["row", "column", "convolution"])
def test_patterns_are_those_of_a_list_on_a_grid_of_four(kind):
    text, found = 2, attention_mask(kind, text=2, grid=4, kernel=3)
    for i in range(1 + text + 16):
        for j in range(1 + text + 16):
            if i < 1 + text or j < 1 + text:
                wanted = j <= i
            else:
                wanted = seen_on_a_grid(kind, i - 1 - text, j - 1 - text)
            assert bool(found[i, j]) == wanted, (kind, i, j)


def test_the_code_right_above_is_the_last_that_a_row_pattern_sees():
    mask = attention_mask("row", text=1, grid=4)[2:, 2:]
    assert mask[9].nonzero()[:, 0].tolist() == [5, 6, 7, 8, 9]


def test_patterns_take_turns_and_the_last_is_a_convolution():
    assert kinds(6) == ["row", "column", "row", "row", "row", "convolution"]
    assert kinds(64).count("column") == 16 and kinds(64)[-1] == "convolution"


def test_a_pattern_that_is_lost_on_the_way_is_noticed():
    sparse = make("tiny-sparse")
    full = make("tiny-sparse", attention="full")
    full.load_state_dict(sparse.state_dict())
    batch = batch_of(sparse)
    assert (logits(full, batch) - logits(sparse, batch)).nan_to_num().abs().max() > 1e-3


@each
def test_every_code_hears_of_the_text(name):
    model, batch = make(name), batch_of(make(name))
    other = batch | {"tokens": (batch["tokens"] + 5) % 26}
    difference = (logits(model, other) - logits(model, batch)).nan_to_num().abs()
    assert (difference[:, 6:].amax((0, 2)) > 1e-4).all()


# the loss


def test_an_untold_model_pays_log_k_at_each_kind_of_place_by_weights_one_and_seven():
    model, batch = make(), batch_of(make())
    model.to_words.weight.data.zero_()
    model.to_codes.weight.data.zero_()
    terms = model.loss(batch)
    words, codes = torch.tensor([32.0, 12.0]).log()
    assert torch.isclose(terms["text"], words) and torch.isclose(
        terms["picture"], codes
    )
    assert torch.isclose(terms["loss"], (words + 7 * codes) / 8)
    # the wrong versions: one mean over all places, and both equally
    assert not torch.isclose(terms["loss"], (6 * words + 16 * codes) / 22)
    assert not torch.isclose(terms["loss"], (words + codes) / 2)


def test_the_two_losses_are_those_of_one_table():
    model, batch = make(), batch_of(make())
    words = model.filled(batch["tokens"], batch["mask"])
    targets = torch.cat([words, batch["codes"] + 32], 1)
    nats = F.cross_entropy(logits(model, batch).mT, targets, reduction="none")
    terms = model.loss(batch)
    assert torch.isclose(terms["text"], nats[:, :6].mean())
    assert torch.isclose(terms["picture"], nats[:, 6:].mean())


def test_a_silent_row_is_learned_behind_the_text_that_guidance_reads():
    model, batch = make(), batch_of(make())
    silent = torch.tensor([True, False, False, True])
    words = model.filled(batch["tokens"], batch["mask"])
    words[silent] = model.pads()
    text, picture = model.told(words, batch["codes"])
    picture = F.cross_entropy(picture.mT, batch["codes"])
    terms = model.loss(batch | {"silent": silent})
    assert torch.isclose(terms["picture"], picture)
    assert torch.isclose(terms["text"], F.cross_entropy(text.mT, words))
    assert not torch.isclose(model.loss(batch)["picture"], picture)


# drawing


@each
def test_code_by_code_with_a_cache_is_the_whole_row_at_once(name):
    model, batch = make(name), batch_of(make(name))
    words = model.filled(batch["tokens"], batch["mask"])
    whole = model.told(words, batch["codes"])[1]
    state, now, found = drawn(model, words), words[:, -1], []
    for code in batch["codes"].unbind(1):
        step, state = model.step(now, state)
        found.append(step)
        now = code
    assert torch.allclose(torch.stack(found, 1), whole, atol=1e-5)


def drawn(model, words, alone=None):
    return Drawn(model.read(words), alone, -1)


@each
def test_rows_that_are_taken_from_a_cache_go_on_as_they_would_have(name):
    model, batch = make(name), batch_of(make(name))
    words, rows = model.filled(batch["tokens"], batch["mask"]), torch.tensor([2, 0])
    state, now = drawn(model, words), words[:, -1]
    for i, code in enumerate(batch["codes"].unbind(1)):
        if i == 7:
            some = decode.select(state, rows)
        if i >= 7:
            found, some = model.step(now[rows], some)
        step, state = model.step(now, state)
        if i >= 7:
            assert torch.allclose(found, step[rows], atol=1e-5)
        now = code


@each
def test_a_guided_step_is_that_of_two_rows(name):
    model, batch = make(name), batch_of(make(name))
    tokens = torch.arange(24).reshape(4, 6)  # no pad at the last place
    words = model.filled(tokens, tokens >= 0)
    empty = model.pads().expand_as(words)
    told, alone = (
        model.told(w, batch["codes"])[1].log_softmax(-1) for w in (words, empty)
    )
    state, now = drawn(model, words, model.read(empty)), words[:, -1]
    for i, code in enumerate(batch["codes"].unbind(1)):
        step, state = model.step(now, state, scale=3.0)
        expected = alone[:, i] + 3 * (told[:, i] - alone[:, i])
        assert torch.allclose(step, expected, atol=1e-4)
        now = code


@each
def test_a_scale_of_one_is_no_guidance_and_zero_forgets_the_text(name):
    model, batch = make(name), batch_of(make(name))
    given = batch["tokens"], batch["mask"]
    plain = model.sample(*given, generator=generator(0))
    near = model.sample(*given, scale=1 + 1e-9, generator=generator(0))
    assert torch.equal(plain, near)
    other = (batch["tokens"] + 3) % 26, batch["mask"]
    deaf = [model.sample(*x, scale=0.0, generator=generator(0)) for x in (given, other)]
    assert torch.equal(*deaf)
    assert not torch.equal(plain, model.sample(*other, generator=generator(0)))


def test_draws_follow_the_models_probabilities():
    model = make()
    tokens, mask = torch.tensor([[4]]).repeat(4000, 1), torch.ones(4000, 1).bool()
    codes = model.sample(tokens, mask, generator=generator(0))
    one = {"tokens": tokens[:1], "mask": mask[:1], "codes": codes[:1]}
    p = logits(model, one)[0, 6, 32:].softmax(-1)
    share = codes[:, 0].bincount(minlength=12) / 4000
    # four standard errors of a share of one half
    assert (share - p).abs().max() < 0.032


# bad input


def test_bad_captions_and_codes_are_refused(as_a_reader):
    model, batch = make(), batch_of(make())
    tokens, mask, codes = batch["tokens"], batch["mask"], batch["codes"]
    long = torch.zeros(4, 7, dtype=torch.long)
    bad = {
        "tokens expected numbers from 0 to 25": (tokens + 26, mask, codes),
        "tokens expected from 1 to 6": (long, torch.ones(4, 7).bool(), codes),
        "mask expected real tokens first": (tokens, mask.flip(1), codes),
        "codes expected shape \\(b, 16\\)": (tokens, mask, codes[:, :9]),
        "codes expected numbers from 0 to 11": (tokens, mask, codes + 12),
    }
    for words, given in bad.items():
        with pytest.raises(ValueError, match=words):
            model.logits(*given)
        with pytest.raises(ValueError, match=words):
            model.loss(dict(zip(("tokens", "mask", "codes"), given, strict=True)))
    with pytest.raises(ValueError, match="scale expected"):
        model.sample(tokens, mask, scale=-1)
    with pytest.raises(ValueError, match="kind expected"):
        attention_mask("ring", text=2, grid=4)
