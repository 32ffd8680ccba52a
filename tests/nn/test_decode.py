"""Decoding: against exhaustive search, hand-made chains, and itself."""

import itertools
import math

import pytest
import torch
from torch import nn

from mmdl_lib.core import generator, seeded
from mmdl_lib.nn import Cache, Transformer
from mmdl_lib.nn.decode import (
    beam_search,
    gnmt,
    greedy,
    power,
    sample,
    select,
    truncate,
    unpenalized,
)

END = 0
PENALTIES = {
    "none": unpenalized,
    "mean": power(1.0),
    "short": power(-0.5),
    "half": power(0.5),
    "gnmt": gnmt(0.6),
}


def make_model(seed, vocab=4, spread=3.0):
    """A small recurrent net: what comes next depends on all that came before."""
    g = generator(seed)
    embed, turn = torch.randn(vocab, 6, generator=g), torch.randn(6, 6, generator=g)
    head = spread * torch.randn(6, vocab, generator=g)

    def step(tokens, state):
        h = (embed[tokens] + state["h"] @ turn).tanh()
        return h @ head, {"h": h, "count": state["count"] + 1}

    return step


def make_state(b, seed=7):
    return {"h": torch.randn(b, 6, generator=generator(seed)), "count": 0}


def forced(step, start, state, tokens):
    """log p of each given token of one row, one after the other."""
    found, now, state = [], start, select(state, torch.tensor([0]))
    for token in tokens:
        logits, state = step(now, state)
        found.append(logits.log_softmax(-1)[0, token].item())
        now = torch.tensor([token])
    return found


def everything(step, start, state, *, vocab, longest, penalty, shortest=0):
    """All sequences of one row as (score, tokens), the best first."""
    found = []
    for length in range(1, longest + 1):
        for words in itertools.product(range(1, vocab), repeat=length - 1):
            lasts = range(vocab) if length == longest else [END]
            for last in lasts:
                tokens = [*words, last]
                if last == END and length <= shortest:
                    continue
                total = sum(forced(step, start, state, tokens))
                found.append((total / penalty(length), tokens))
    return sorted(found, reverse=True)


def true_tokens(out, row, beam=None):
    """The tokens of a hypothesis as a list."""
    place = (row,) if beam is None else (row, beam)
    return out.tokens[place][out.mask[place]].tolist()


def chain(*table):
    """Logits of each step, whatever was said before."""
    rows = [torch.tensor(row).log() for row in table]

    def step(tokens, count):
        return rows[min(count, len(rows) - 1)].expand(len(tokens), -1), count + 1

    return step


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shortest", [0, 2])
def test_a_wide_beam_finds_what_exhaustive_search_finds(penalty, seed, shortest):
    step, state, start = make_model(seed), make_state(2), torch.tensor([1, 2])
    options = {"max_length": 4, "min_length": shortest, "penalty": penalty}
    out = beam_search(step, start, state, end=END, beams=4**4, **options)
    for row in range(2):
        best = everything(
            *(step, start[row : row + 1], select(state, torch.tensor([row]))),
            **{"vocab": 4, "longest": 4, "penalty": penalty, "shortest": shortest},
        )
        real = out.mask[row].any(-1)
        assert real.sum() == len(best)
        scores = torch.tensor([score for score, _ in best])
        assert torch.allclose(out.score[row][real], scores, atol=1e-5)
        for beam, (_, tokens) in enumerate(best[:8]):
            assert true_tokens(out, row, beam) == tokens


def test_beams_without_a_hypothesis_are_marked():
    out = beam_search(
        chain([0.5, 0.5]), torch.tensor([1]), 0, end=END, max_length=2, beams=5
    )
    # the sequences are "end", "1 end" and "1 1"
    assert out.mask.sum(-1).tolist() == [[1, 2, 2, 0, 0]]
    assert out.tokens[0, 3:].tolist() == [[0, 0], [0, 0]]
    assert torch.isneginf(out.score[0, 3:]).all()
    assert torch.isneginf(out.log_prob[0, 3:]).all()
    assert torch.allclose(out.score[0, :3], torch.tensor([0.5, 0.25, 0.25]).log())


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
@pytest.mark.parametrize("beams", [2, 3, 5])
def test_a_score_is_the_forced_log_probability_over_the_penalty(penalty, beams):
    state, start, lengths = make_state(3), torch.tensor([1, 2, 3]), set()
    for seed, row in itertools.product(range(4), range(3)):
        step = make_model(seed, 5, 1.0)
        options = {"end": END, "max_length": 7, "beams": beams, "penalty": penalty}
        out = beam_search(step, start, state, **options)
        given = start[row : row + 1], select(state, torch.tensor([row]))
        for beam in range(beams):
            tokens = true_tokens(out, row, beam)
            total = sum(forced(step, *given, tokens))
            assert math.isclose(out.log_prob[row, beam], total, abs_tol=1e-4)
            expected = total / penalty(len(tokens))
            assert math.isclose(out.score[row, beam], expected, abs_tol=1e-4)
            lengths.add(len(tokens))
        assert torch.equal(out.score, out.score.sort(descending=True).values)
    assert len(lengths) > 1


def test_one_beam_is_greedy():
    for seed in range(20):
        step, state, start = make_model(seed, 5), make_state(2), torch.tensor([1, 2])
        options = {"end": END, "max_length": 8, "min_length": seed % 3}
        one = greedy(step, start, state, **options)
        kinds = [(unpenalized, stop) for stop in ("bound", "now", "full")]
        for penalty, stop in [*kinds, (power(1.0), "full"), (gnmt(0.6), "now")]:
            beam = beam_search(
                step, start, state, beams=1, penalty=penalty, stop=stop, **options
            )
            assert torch.equal(beam.mask[:, 0], one.mask)
            assert torch.equal(beam.tokens[:, 0], one.tokens)
            assert torch.allclose(beam.log_prob[:, 0], one.log_prob, atol=1e-5)


# a short hypothesis is likelier, a long one better per token: see the sums below
LURE = chain([0.6, 0.4], [1e-6, 1 - 1e-6], [1e-6, 1 - 1e-6], [1 - 1e-6, 1e-6])


@pytest.mark.parametrize(
    "stop, length",
    [("bound", 4), ("now", 1), ("full", 1)],
    ids=["bound", "now", "full"],
)
def test_only_the_true_bound_waits_for_a_longer_hypothesis(stop, length):
    out = beam_search(
        *(LURE, torch.tensor([1]), 0),
        **{"end": END, "max_length": 4, "beams": 1, "penalty": power(1.0)},
        stop=stop,
    )
    assert out.mask.sum() == length
    # log 0.6 = -0.51 for one token; log 0.4 = -0.92 for four, -0.23 for each
    expected = math.log(0.6) if length == 1 else math.log(0.4) / 4
    assert math.isclose(out.score, expected, abs_tol=1e-5)


def test_the_search_ends_as_soon_as_nothing_can_improve():
    calls = []

    def step(tokens, count):
        calls.append(len(tokens))
        return LURE(tokens, count)

    options = {"end": END, "max_length": 50, "beams": 1}
    beam_search(step, torch.tensor([1]), 0, **options)
    assert len(calls) == 1
    # with a mean over at most 50 tokens, -0.92 / 50 is better than -0.51 for long
    beam_search(step, torch.tensor([1]), 0, penalty=power(1.0), **options)
    assert len(calls) > 2


def test_greedy_search_ends_when_all_rows_have_ended():
    step = chain([0.1, 0.9], [0.9, 0.1])
    out = greedy(step, torch.tensor([1]), 0, end=END, max_length=9)
    assert out.tokens.tolist() == [[1, 0]]


def test_gnmts_penalty_has_its_printed_values():
    assert gnmt(0.6)(1) == 1
    assert math.isclose(gnmt(0.6)(7), 2**0.6)
    assert math.isclose(power(2.0)(3), 9)
    assert power(0.0)(5) == unpenalized(5) == 1


@pytest.mark.parametrize("stop", ["bound", "now", "full"])
def test_rows_of_a_beam_search_do_not_see_each_other(stop):
    step, state = make_model(2, 6, 1.5), make_state(6)
    start = torch.tensor([1, 2, 3, 4, 5, 1])
    options = {"end": END, "max_length": 9, "beams": 3, "penalty": power(1.0)}
    whole = beam_search(step, start, state, stop=stop, **options)
    steps = set()
    for row in range(6):
        rows = torch.tensor([row])
        alone = beam_search(
            step, start[rows], select(state, rows), stop=stop, **options
        )
        assert torch.allclose(alone.score[0], whole.score[row], atol=1e-5)
        for beam in range(3):
            assert true_tokens(alone, 0, beam) == true_tokens(whole, row, beam)
        steps.add(alone.tokens.shape[-1])
    assert len(steps) > 1


def test_a_row_without_an_end_is_cut_and_counted_at_full_length():
    never = chain([0.0, 0.9, 0.1])
    out = beam_search(
        *(never, torch.tensor([1]), 0),
        **{"end": END, "max_length": 3, "beams": 2, "penalty": power(1.0)},
    )
    assert out.tokens[0, 0].tolist() == [1, 1, 1] and out.mask.all()
    assert math.isclose(out.score[0, 0], math.log(0.9), abs_tol=1e-5)
    one = greedy(never, torch.tensor([1]), 0, end=END, max_length=3)
    assert one.tokens.tolist() == [[1, 1, 1]] and one.mask.all()


def test_what_is_no_true_token_is_the_end_token():
    step, start = chain([0.3, 0.1, 0.6]), torch.tensor([1])
    out = beam_search(step, start, 0, end=2, max_length=3, beams=30)
    assert (out.tokens[~out.mask] == 2).all() and not out.mask.all(-1).all()
    # the first row says 1 and ends, the second goes on
    turns = torch.tensor([[1, 2, 1], [1, 1, 1]])

    def step(tokens, state):
        now = state["turns"][:, state["count"]]
        return 9 * torch.eye(3)[now], state | {"count": state["count"] + 1}

    state = {"turns": turns, "count": 0}
    one = greedy(step, start.repeat(2), state, end=2, max_length=3)
    assert one.tokens.tolist() == [[1, 2, 2], [1, 1, 1]]


def test_after_its_end_a_row_is_filled_and_no_longer_counted():
    tables = torch.tensor([[[0.1, 0.7, 0.2]], [[0.8, 0.1, 0.1]]]).log()

    def step(tokens, state):
        return state["table"][:, 0], state

    state = {"table": tables}
    out = greedy(step, torch.tensor([1, 1]), state, end=END, max_length=3)
    assert out.tokens.tolist() == [[1, 1, 1], [0, 0, 0]]
    assert out.mask.tolist() == [[True] * 3, [True, False, False]]
    expected = torch.tensor([3 * math.log(0.7), math.log(0.8)])
    assert torch.allclose(out.log_prob, expected)
    free = greedy(step, torch.tensor([1, 1]), state, end=None, max_length=3)
    assert free.mask.all() and free.log_prob[1] == pytest.approx(3 * math.log(0.8))
    with torch.device("meta"):  # without an end, no number has to be read
        table = {"table": torch.zeros(2, 1, 3)}
        start = torch.ones(2, dtype=torch.long)
        assert greedy(step, start, table, end=None, max_length=3).tokens.is_meta
    late = greedy(
        step, torch.tensor([1, 1]), state, end=END, max_length=4, min_length=2
    )
    assert late.tokens[1].tolist()[:3] == [1, 1, 0] and late.mask[1].sum() == 3


class Words(nn.Module):
    """A causal Transformer over six words that reads a memory."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(6, 16)
        self.body = Transformer(16, 2, 2, memory_width=5)
        self.head = nn.Linear(16, 6)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.6)

    def forward(self, tokens, memory, cache=None):
        x = self.embed(tokens)
        return self.head(self.body(x, causal=True, memory=memory, cache=cache))

    def step(self, tokens, state):
        logits = self(tokens[:, None], state["memory"], state["cache"])
        return logits[:, 0], state


@torch.no_grad()
def test_caches_follow_their_beams():
    with seeded(generator(0)):
        model = Words()
    memory = torch.randn(3, 4, 5, generator=generator(1))
    start = torch.tensor([1, 2, 3])
    state = {"memory": memory, "cache": model.body.new_cache()}
    # a prompt of two tokens, read before
    prompt = torch.tensor([[4, 5], [5, 5], [3, 4]])
    model(prompt, memory, state["cache"])
    options = {"end": END, "max_length": 6}
    out = beam_search(model.step, start, state, beams=3, **options)
    for beam in range(3):
        said = torch.cat([prompt, start[:, None], out.tokens[:, beam]], 1)
        log_p = model(said, memory).log_softmax(-1)[:, 2:-1]
        log_p = log_p.gather(2, out.tokens[:, beam][..., None])[..., 0]
        total = (log_p * out.mask[:, beam]).sum(1)
        assert torch.allclose(out.log_prob[:, beam], total, atol=1e-4)
    # what was given is as before
    assert [len(c.past) for c in state["cache"]] == [2, 2]
    one, two = (greedy(model.step, start, state, **options) for _ in range(2))
    assert torch.equal(one.tokens, two.tokens)
    assert [len(c.past) for c in state["cache"]] == [2, 2]


def test_samples_have_the_probabilities_of_the_model_at_a_temperature():
    p = torch.tensor([0.1, 0.2, 0.3, 0.4])
    for temperature in (0.5, 1.0, 2.0):
        out = sample(
            *(chain(p.tolist()), torch.zeros(20_000).long(), 0),
            **{"end": None, "max_length": 1, "temperature": temperature},
            generator=generator(0),
        )
        share = out.tokens[:, 0].bincount(minlength=4) / 20_000
        expected = p ** (1 / temperature) / (p ** (1 / temperature)).sum()
        error = (expected * (1 - expected) / 20_000).sqrt()
        assert ((share - expected).abs() < 5 * error).all()
        # the log-probability is that of the model itself
        assert torch.allclose(out.log_prob, p[out.tokens[:, 0]].log())


def test_samples_come_from_their_generator_only():
    step, state, start = make_model(0, 6, 1.0), make_state(4), torch.ones(4).long()
    options = {"end": END, "max_length": 8}
    before = torch.get_rng_state()
    one, two, three = (
        sample(step, start, state, generator=generator(seed), **options).tokens
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, two) and not torch.equal(one, three)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("tail", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
def test_a_sample_of_the_likeliest_only_is_greedy(tail):
    step, state, start = make_model(3, 6), make_state(4), torch.tensor([1, 2, 3, 4])
    options = {"end": END, "max_length": 8, "min_length": 2}
    drawn = sample(step, start, state, generator=generator(0), **tail, **options)
    assert torch.equal(drawn.tokens, greedy(step, start, state, **options).tokens)


def test_the_tail_is_cut_by_number_and_by_probability():
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    kept = lambda **options: truncate(logits, **options).isfinite()[0].tolist()  # noqa: E731
    assert kept(top_k=2) == [False, True, False, True]
    assert kept(top_k=9) == kept() == kept(top_p=1.0) == [True] * 4
    assert kept(top_p=0.39) == [False, True, False, False]
    assert kept(top_p=0.41) == [False, True, False, True]
    assert kept(top_p=0.75) == [False, True, True, True]
    # of the two that are left, 4/7 and 3/7, the first is enough
    assert kept(top_k=2, top_p=0.5) == [False, True, False, False]
    assert torch.equal(truncate(logits, top_k=2)[0, [1, 3]], logits[0, [1, 3]])


def test_a_state_may_be_nested_and_says_what_it_does_not_know():
    cache = Cache()
    cache.extend(*(torch.arange(3.0).view(3, 1, 1, 1),) * 2)
    state = [{"a": torch.arange(3)}, (None, 5), cache]
    new = select(state, torch.tensor([2, 2]))
    assert new[0]["a"].tolist() == [2, 2] and new[1] == (None, 5)
    assert new[2].keys.flatten().tolist() == [2, 2]
    with pytest.raises(ValueError, match="a state of tensors, .* got set"):
        select({1, 2}, torch.tensor([0]))


def test_settings_that_make_no_sense_are_errors():
    step, start = chain([0.5, 0.5]), torch.tensor([1])
    for kind in (greedy, sample, beam_search):
        for lengths in ((0, 0), (3, 3), (3, -1)):
            wrong = {"max_length": lengths[0], "min_length": lengths[1]}
            with pytest.raises(ValueError, match="0 <= min_length < max_length, got"):
                kind(step, start, 0, end=END, **wrong)
    options = {"end": END, "max_length": 3}
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="temperature expected a number above 0,"):
            sample(step, start, 0, temperature=wrong, **options)
    with pytest.raises(ValueError, match="top_k expected a whole number from 1 up"):
        sample(step, start, 0, top_k=0, **options)
    for wrong in (0.0, 1.5):
        with pytest.raises(ValueError, match="top_p expected a number above 0 to 1"):
            sample(step, start, 0, top_p=wrong, **options)
    with pytest.raises(ValueError, match="beams expected a whole number from 1 up"):
        beam_search(step, start, 0, beams=0, **options)
