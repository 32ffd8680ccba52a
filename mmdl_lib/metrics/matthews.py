r"""Matthews correlation: how guesses and truth go together, whatever the class sizes.

$$\text{MCC} = \frac{TP \cdot TN - FP \cdot FN}
{\sqrt{(TP+FP)(TP+FN)(TN+FP)(TN+FN)}}$$

It is Pearson's correlation of two 0/1 vectors. With several classes it is Gorodkin's
$R_K$: with $c$ right guesses among $s$ items, class $k$ said $p_k$ times and true $t_k$
times,

$$R_K = \frac{c\,s - \sum_k p_k t_k}
{\sqrt{(s^2 - \sum_k p_k^2)(s^2 - \sum_k t_k^2)}}$$

**Source** Matthews 1975, doi 10.1016/0005-2795(75)90109-9; Gorodkin 2004, doi
10.1016/j.compbiolchem.2004.09.006. GLUE (arXiv 1804.07461) scores CoLA with it.
**Range** -1 to 1; 0 is chance, and what always guessing one class gets. With more than
two classes the lowest value lies between -1 and 0.
**Official implementation** scikit-learn's `matthews_corrcoef`, as GLUE uses it.
**Quirks** Where guesses or truth hold a single class the fraction is 0 / 0, and we take
0 as scikit-learn does: a perfect score on a set with a single class is 0. torchmetrics
returns 1 and -1 there, and other values close to 0 (with two classes).
"""

import torch
from torch import Tensor

from mmdl_lib.borders import check_labels, check_same_length


def matthews(predicted: Tensor, label: Tensor) -> float:
    """Matthews correlation of guesses and truth, for two classes or more.

    Args:
        predicted: (b,) guessed classes.
        label: (b,) true classes.

    Returns:
        A number from -1 to 1.

    Raises:
        ValueError: no item, unequal lengths, or no integers.

    Example:
        TP 2, TN 1, FP 1, FN 1: (2 - 1) / sqrt(3 * 3 * 2 * 2).

        >>> predicted = torch.tensor([1, 1, 1, 0, 0])
        >>> label = torch.tensor([1, 1, 0, 1, 0])
        >>> round(matthews(predicted, label), 4)
        0.1667
    """
    check_same_length(predictions=predicted, labels=label)
    check_labels("predictions", predicted)
    check_labels("labels", label)
    predicted, label = predicted.long(), label.long()
    n = 1 + max(int(predicted.max()), int(label.max()))
    said = torch.bincount(predicted, minlength=n).double()
    true = torch.bincount(label, minlength=n).double()
    s, c = float(len(label)), (predicted == label).double().sum()
    spread = (s * s - said @ said) * (s * s - true @ true)
    if spread == 0:
        return 0.0
    return ((c * s - said @ true) / spread.sqrt()).item()
