r"""Top-k accuracy: is the truth among the k classes that score highest?

$$\text{top-}k = \frac{1}{b} \sum_{i=1}^{b} [\,\text{rank}_i < k\,],\qquad
\text{rank}_i = \#\{j : \text{score}_{ij} > \text{score}_{i y_i}\}$$

**Source** Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, 2015,
section 4.1, arXiv 1409.0575, who print the error, 1 - accuracy, with k = 5.
**Range** 0 to 1, higher is better; chance is k / classes.
**Official implementation** scikit-learn's `top_k_accuracy_score` and torchmetrics'
`MulticlassAccuracy(top_k=k, average="micro")` give the same number.
**Quirks** They differ on ties. Ours does what `argmax` does, the class that comes first
wins; scikit-learn lets the last one win, and `torch.topk` promises neither. Never count
a tie as right: a net that gives every class the same score would then be perfect.
"""

import torch
from torch import Tensor

from mmdl_lib.borders import check_labels, check_number, check_scores


def top_k_accuracy(logits: Tensor, label: Tensor, k: int = 1) -> float:
    """Share of rows whose true class is among the `k` highest scores.

    Args:
        logits: (b, classes), any scores that grow with the belief in a class.
        label: (b,) true classes.
        k: how many guesses are allowed, from 1 to the number of classes.

    Returns:
        A number from 0 to 1.

    Raises:
        ValueError: no row, unequal lengths, NaN, a label or a `k` out of range.

    Example:
        The truth has rank 0 in the first row and rank 1 in the second.

        >>> logits = torch.tensor([[0.1, 2.0, 0.3], [1.5, 0.2, 1.0]])
        >>> label = torch.tensor([1, 2])
        >>> top_k_accuracy(logits, label, 1), top_k_accuracy(logits, label, 2)
        (0.5, 1.0)
    """
    check_scores("logits", logits, label)
    classes = logits.shape[1]
    check_labels("labels", label, classes)
    check_number("k", k, 1, classes, whole=True)
    label = label.long()[:, None]
    own = logits.gather(1, label)
    first = torch.arange(classes, device=logits.device) < label
    ahead = (logits > own) | ((logits == own) & first)
    return (ahead.sum(1) < k).double().mean().item()
