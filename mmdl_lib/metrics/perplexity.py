r"""Perplexity and bits per byte: how surprised is a language model by a text?

With $\ell = \sum_{i=1}^{t} \ln p(w_i \mid w_{<i})$, the log-likelihood in nats of $t$
tokens that spell $B$ bytes of UTF-8 text,

$$\text{perplexity} = \exp(-\ell / t), \qquad
\text{bits per byte} = -\frac{\ell}{B \ln 2}.$$

**Source** Jelinek et al., "Perplexity: a measure of the difficulty of speech
recognition tasks", 1977, doi 10.1121/1.2016299; bits per byte as in the Pile, Gao et
al. 2020, arXiv 2101.00027.
**Range** perplexity from 1, lower is better; a uniform guess over V tokens gives V.
Bits per byte from 0; a uniform guess over bytes gives 8.
**Official implementation** torchmetrics' `Perplexity` (which takes logits and an
`ignore_index`).
**Quirks** Perplexities of models with different tokenizers cannot be compared: a model
of long tokens is more surprised by each and has fewer of them. Bits per byte can. The
mean is over all tokens, not over sentences first. Padding does not count: masks say so.
"""

import math

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.borders import check_flags, check_integers, check_logits, check_texts


def perplexity(
    logits: Float[Tensor, "b t k"],
    target: Int[Tensor, "b t"],
    mask: Bool[Tensor, "b t"],
) -> float:
    """Perplexity of a batch of texts.

    Args:
        logits: scores of the k tokens for each position.
        target: the token that stands there.
        mask: True on positions that count.

    Raises:
        ValueError: no position counts, NaN or infinity, a token beyond k, a mask that
            is not bool, or probabilities for logits.

    Example:
        >>> import torch
        >>> ones = torch.ones(1, 3, dtype=torch.bool)
        >>> round(perplexity(torch.zeros(1, 3, 50), torch.tensor([[4, 2, 9]]), ones), 3)
        50.0
    """
    total = _log_likelihood(logits, target, mask)
    return math.exp(-total / int(mask.sum()))


def bits_per_byte(
    logits: Float[Tensor, "b t k"],
    target: Int[Tensor, "b t"],
    mask: Bool[Tensor, "b t"],
    *,
    text: list[str],
) -> float:
    """Bits that a model needs for each byte of the texts that the tokens spell.

    Args:
        logits, target, mask: as in `perplexity`.
        text: the b texts; an end token that counts adds bits but no byte.

    Raises:
        ValueError: as in `perplexity`, another number of texts, or only empty ones.

    Example:
        >>> import torch
        >>> ones = torch.ones(1, 2, dtype=torch.bool)
        >>> zeros = torch.zeros(1, 2, 256), torch.tensor([[104, 105]])
        >>> round(bits_per_byte(*zeros, ones, text=["hi"]), 3)
        8.0
    """
    total = _log_likelihood(logits, target, mask)
    check_texts("text", text)
    if len(text) != len(target):
        raise ValueError(f"text expected {len(target)} texts, got {len(text)}.")
    size = sum(len(one.encode()) for one in text)
    if size == 0:
        raise ValueError("text expected at least one byte, got none.")
    return -total / (size * math.log(2))


def _log_likelihood(logits: Tensor, target: Tensor, mask: Tensor) -> float:
    """Sum over the positions that count, in nats."""
    check_flags("mask", mask)
    check_integers("target", target, None)
    shapes = [tuple(getattr(x, "shape", ())) for x in (logits, target, mask)]
    if len(shapes[0]) != 3 or {shapes[0][:2], *shapes[1:]} != {shapes[1]}:
        raise ValueError(
            "logits, target and mask expected shapes (b, t, k), (b, t) and (b, t), got "
            f"{', '.join(map(str, shapes))}."
        )
    if not mask.any():
        raise ValueError("mask expected a position that counts, got none.")
    scores, token = logits[mask], target[mask]
    check_logits("logits", scores)
    check_integers("tokens", token, 0, scores.shape[1] - 1)
    return -F.cross_entropy(scores.double(), token.long(), reduction="sum").item()
