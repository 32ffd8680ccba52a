"""From logits to sequences: greedy, sampling, beam search, for any model.

A model takes part by one function, `step(tokens, state) -> (logits, state)`: it reads
one token (b,) of each row and says what may come next, as logits (b, k). The state is
whatever it has to remember: tensors with the batch first, whole numbers, objects with a
method `select(rows)` such as `mmdl_lib.nn.Cache`, and tuples, lists and dicts of these.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_choice, check_number

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


class Decoded(NamedTuple):
    """Sequences without their start.

    Attributes:
        tokens: what was chosen; after its end, a row is filled with end tokens.
        mask: True up to the end token and on it.
        log_prob: sum over the true tokens of log p in the model, in nats.
    """

    tokens: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    log_prob: Float[Tensor, " b"]


class Beams(NamedTuple):
    """The best hypotheses of each row, the best first; `tokens[:, 0]` are the best.

    Attributes:
        tokens, mask, log_prob: as in `Decoded`.
        score: `log_prob` over the length penalty; -inf and an empty mask where a small
            vocabulary has fewer sequences than there are beams.
    """

    tokens: Int[Tensor, "b beams t"]
    mask: Bool[Tensor, "b beams t"]
    log_prob: Float[Tensor, "b beams"]
    score: Float[Tensor, "b beams"]


def select(state: Any, rows: Int[Tensor, " b2"]) -> Any:
    """The rows of a state, in this order, once each time they are named.

    Raises:
        ValueError: something in it is of none of these kinds, nor None.
    """
    if state is None or isinstance(state, int):
        return state
    if isinstance(state, Tensor) or hasattr(state, "select"):
        return state[rows] if isinstance(state, Tensor) else state.select(rows)
    if isinstance(state, dict):
        return {key: select(value, rows) for key, value in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*(select(value, rows) for value in state))
    if isinstance(state, list | tuple):
        return type(state)(select(value, rows) for value in state)
    raise ValueError(
        "expected a state of tensors, whole numbers, tuples, lists, dicts and objects "
        f"with a method select, got {type(state).__name__}."
    )


def greedy(
    step: Step,
    start: Int[Tensor, " b"],
    state: Any = None,
    *,
    end: int | None,
    max_length: int,
    min_length: int = 0,
) -> Decoded:
    """Take the likeliest token each time.

    Args:
        step: the model, see above.
        start: the token that the model reads first, such as a begin-of-text, or the
            last one of a prompt whose other tokens are in the state.
        state: what the model knows before; it is not changed.
        end: token that ends a row; None: all rows have `max_length` tokens.
        max_length: most tokens, the end token among them.
        min_length: fewest tokens before the end token.

    Raises:
        ValueError: lengths that no sequence has.
    """
    return _walk(
        lambda x: x.argmax(-1), step, start, state, end, max_length, min_length
    )


def sample(
    step: Step,
    start: Int[Tensor, " b"],
    state: Any = None,
    *,
    end: int | None,
    max_length: int,
    min_length: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Decoded:
    """Draw each token from softmax(logits / temperature), perhaps without its tail.

    `log_prob` is that of the model, at temperature one and with its tail. Other
    arguments as in `greedy`, `top_k` and `top_p` as in `truncate`.

    Args:
        temperature: above one more diverse, below one nearer to `greedy`.
        generator: source of the randomness, on the device of the logits.

    Raises:
        ValueError: a temperature that is not above zero; as `greedy` and `truncate`.
    """
    check_number("temperature", temperature, above=0)

    def choose(logits: Tensor) -> Tensor:
        kept = truncate(logits / temperature, top_k=top_k, top_p=top_p)
        return torch.multinomial(kept.softmax(-1), 1, generator=generator)[:, 0]

    return _walk(choose, step, start, state, end, max_length, min_length)


def truncate(
    logits: Float[Tensor, "b k"],
    *,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "b k"]:
    """Set all but the likeliest tokens to -inf.

    Args:
        logits: of the next token.
        top_k: how many stay (Fan et al. 2018, 1805.04833, section 5.4); with ties more.
        top_p: the fewest stay that have this much of the probability together
            (Holtzman et al. 2020, 1904.09751, eq. 2 and 3), at least one.

    Raises:
        ValueError: a `top_k` below one, or a `top_p` outside of (0, 1].
    """
    if top_k is not None:
        check_number("top_k", top_k, 1, whole=True)
        least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p is not None:
        check_number("top_p", top_p, high=1, above=0)
        p, order = logits.softmax(-1).sort(descending=True, stable=True)
        # a token goes if those before it have enough
        beyond = p.cumsum(-1) - p >= top_p
        away = torch.zeros_like(beyond).scatter(1, order, beyond)
        logits = logits.masked_fill(away, -torch.inf)
    return logits


@torch.no_grad()
def _walk(choose, step, start, state, end, max_length, min_length) -> Decoded:
    """One token at a time for each row, until all have ended."""
    _check_lengths(max_length, min_length)
    tokens, masks, total = [], [], torch.zeros(len(start), device=start.device)
    live = torch.ones_like(start, dtype=torch.bool)
    # a copy, since caches grow
    now, state = start, select(state, torch.arange(len(start), device=start.device))
    for i in range(max_length):
        logits, state = step(now, state)
        log_p = logits.float().log_softmax(-1)
        if end is not None and i < min_length:
            logits = _without(logits, end)
        now = choose(logits)
        if end is not None:
            now = torch.where(live, now, end)
        total = total + live * log_p.gather(1, now[:, None])[:, 0]
        tokens.append(now)
        masks.append(live)
        if end is not None:
            live = live & (now != end)
            if not live.any():
                break
    return Decoded(torch.stack(tokens, 1), torch.stack(masks, 1), total)


def _without(scores: Tensor, token: int) -> Tensor:
    scores = scores.clone()
    scores[..., token] = -torch.inf
    return scores


def _check_lengths(max_length: int, min_length: int) -> None:
    check_number("max_length", max_length, whole=True)
    check_number("min_length", min_length, whole=True)
    if not 0 <= min_length < max_length:
        raise ValueError(
            "expected lengths with 0 <= min_length < max_length, got "
            f"{min_length} and {max_length}."
        )


Penalty = Callable[[int], float]


def unpenalized(length: int) -> float:
    """No length penalty: the score is log p, which favors short sequences."""
    return 1.0


def power(alpha: float) -> Penalty:
    """Length penalty |Y|^alpha, as in `transformers`; with 1, the mean over tokens.

    Raises:
        ValueError: an `alpha` that is no finite number.
    """
    check_number("alpha", alpha)
    return lambda length: float(length) ** alpha


def gnmt(alpha: float) -> Penalty:
    """Length penalty ((5 + |Y|) / 6)^alpha (Wu et al. 2016, 1609.08144, eq. 14).

    Raises:
        ValueError: an `alpha` that is no finite number.
    """
    check_number("alpha", alpha)
    return lambda length: ((5 + length) / 6) ** alpha


@torch.no_grad()
def beam_search(
    step: Step,
    start: Int[Tensor, " b"],
    state: Any = None,
    *,
    end: int,
    max_length: int,
    min_length: int = 0,
    beams: int = 4,
    penalty: Penalty = unpenalized,
    stop: Literal["bound", "now", "full"] = "bound",
) -> Beams:
    """Keep the likeliest beginnings of each row, and its best ended hypotheses.

    The score of a hypothesis is log p / penalty(its own length), the end token counted;
    one that does not end is scored at `max_length`. Arguments as in `greedy`, and:

    Args:
        beams: how many are kept. One beam is `greedy`, unless the penalty makes a
            longer hypothesis better than the one that ended first.
        penalty: of a length, such as `power(1.0)` or `gnmt(0.6)`.
        stop: when a row is done. "bound": no beginning can become better than the worst
            that is kept. "now": no beginning is better at its present length, which
            stops too early if the penalty grows. "full": `beams` of them have ended.

    Raises:
        ValueError: no beam, an unknown `stop`, lengths that no sequence has.

    Source: the search of `transformers`, whose `early_stopping` is "never", False or
    True; "now" is its default.
    """
    _check_lengths(max_length, min_length)
    check_number("beams", beams, 1, whole=True)
    check_choice("stop", stop, ("bound", "now", "full"))
    row = torch.arange(len(start), device=start.device)[:, None]
    now, state = (
        start.repeat_interleave(beams),
        select(state, row.repeat(1, beams).flatten()),
    )
    said, live, kept = _begin(start, beams, max_length)
    done = torch.zeros_like(start, dtype=torch.bool)
    for length in range(1, max_length + 1):
        logits, state = step(now, state)
        log_p = logits.float().log_softmax(-1)
        if length <= min_length:
            log_p = _without(log_p, end)
        said, total, parent = _candidates(said, live, log_p)
        # of twice as many candidates as beams, at least `beams` have not ended
        ended = said[..., -1] == end
        found = (ended | (length == max_length)) & ~done[:, None]
        found[:, beams:] = False
        kept = _merge(
            kept, said, total.masked_fill(~found, -torch.inf), penalty(length)
        )
        live, best = total.masked_fill(ended, -torch.inf).topk(beams)
        said, parent = said[row, best], parent[row, best]
        done |= _is_done(kept.score, live, length, max_length, penalty, stop)
        if done.all():
            break
        now, state = (
            said[..., -1].flatten(),
            select(state, (row * beams + parent).flatten()),
        )
    longest = int(kept.mask.sum(-1).max())
    tokens = kept.tokens.masked_fill(~kept.mask, end)[..., :longest]
    return kept._replace(tokens=tokens, mask=kept.mask[..., :longest])


def _begin(start: Tensor, beams: int, max_length: int) -> tuple[Tensor, Tensor, Beams]:
    """Nothing said, one live beam of log p 0 (or all would be equal), nothing kept."""
    never = torch.full((len(start), beams), -torch.inf, device=start.device)
    live = never.clone()
    live[:, 0] = 0
    tokens = start.new_zeros(len(start), beams, max_length)
    return tokens[..., :0], live, Beams(tokens, tokens.bool(), never, never)


def _candidates(said, live, log_p) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations, twice as many as beams: words, log p, and of which."""
    beams, vocab = live.shape[1], log_p.shape[-1]
    total = live[..., None] + rearrange(log_p, "(b beams) k -> b beams k", beams=beams)
    total, index = total.flatten(1).topk(min(2, vocab) * beams)
    parent, token = index // vocab, index % vocab
    row = torch.arange(len(live), device=live.device)[:, None]
    return torch.cat([said[row, parent], token[..., None]], -1), total, parent


def _merge(kept: Beams, said: Tensor, log_prob: Tensor, divisor: float) -> Beams:
    """The best of what was kept and what was found; -inf was not found."""
    rest = 0, kept.tokens.shape[-1] - said.shape[-1]
    mask = torch.isfinite(log_prob)[..., None].expand_as(said)
    words = F.pad(said, rest), F.pad(mask, rest)
    found = Beams(*words, log_prob, log_prob / divisor)
    both = [torch.cat(pair, 1) for pair in zip(kept, found, strict=True)]
    best = both[-1].topk(kept.score.shape[1]).indices
    row = torch.arange(len(best), device=best.device)[:, None]
    return Beams(*(value[row, best] for value in both))


def _is_done(score, live, length, max_length, penalty, stop) -> Bool[Tensor, " b"]:
    """Whether a row has what it wants; `score` and `live` are sorted."""
    worst = score[:, -1]
    if stop == "full":
        return torch.isfinite(worst)
    lengths = range(length, max_length + 1) if stop == "bound" else [length]
    # log p only falls, so this is the best that the best beginning can reach
    return live[:, 0] / max(map(penalty, lengths)) <= worst
