r"""Inception score: is each picture clearly something, and are all of them different?

$$IS = \exp\left(\mathbb{E}_x \, KL\left(p(y | x) \,\Vert\, p(y)\right)\right),\qquad
p(y) = \mathbb{E}_x \, p(y | x)$$

**Source** Salimans et al., NIPS 2016, arXiv 1606.03498, section 4.
**Range** 1 to the number of classes, higher is better. 1 if all pictures look alike to
the classifier; all classes if it is sure each time and each class is equally frequent.
**Official implementation** `inception_score/model.py` of openai/improved-gan.
**Quirks** The score is the mean over ten parts of the samples and the deviation that
between parts (population); each part has its own $p(y)$, so smaller parts score lower.
Parts are cut in the order given, as in the official code; torchmetrics shuffles first,
which a `generator` does here, and divides by n - 1 in the deviation. Real pictures are
not looked at: one perfect picture for each class reaches the top.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from mmdl_lib.borders import check_logits, check_number
from mmdl_lib.metrics.features import Features, check_features


class InceptionScore(NamedTuple):
    """Mean and standard deviation over parts, and which classifier was asked."""

    mean: float
    std: float
    source: str


def inception_score(
    logits: Features,
    *,
    splits: int = 10,
    generator: torch.Generator | None = None,
) -> InceptionScore:
    """The score, as mean over parts of the samples.

    Args:
        logits: (n, classes) what a classifier says about each picture, before softmax.
        splits: how many parts.
        generator: shuffles the samples first; without it they stay in order.

    Raises:
        ValueError: fewer samples than parts, no part, or probabilities for logits.

    Example:
        A sure classifier sees two classes of three, equally often:

        >>> sure = 100 * torch.eye(3)[[0, 1, 0, 1]]
        >>> round(inception_score(Features(sure, "ours"), splits=2).mean, 6)
        2.0
    """
    check_features(logits)
    check_logits("logits", logits.values)
    n = len(logits)
    check_number("splits", splits, 1, n, whole=True)
    values = logits.values.double()
    if generator is not None:
        values = values[torch.randperm(n, generator=generator)]
    scores = []
    for i in range(splits):
        log_p = F.log_softmax(values[i * n // splits : (i + 1) * n // splits], 1)
        log_mean = log_p.logsumexp(0) - math.log(len(log_p))
        scores.append((log_p.exp() * (log_p - log_mean)).sum(1).mean().exp())
    scores = torch.stack(scores)
    return InceptionScore(
        scores.mean().item(), scores.std(correction=0).item(), logits.source
    )
