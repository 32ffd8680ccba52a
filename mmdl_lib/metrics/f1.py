r"""F1: the harmonic mean of precision and recall.

$$F_1 = \frac{2PR}{P+R} = \frac{2\,TP}{2\,TP + FP + FN}$$

With more than two classes, **macro** is the plain mean of each class's F1, so a rare
class counts as much as a common one; **micro** adds up TP, FP and FN over the classes
first, and is plain accuracy where each item has exactly one class.

**Source** van Rijsbergen, Information Retrieval, 1979, chapter 7. GLUE (arXiv
1804.07461) takes the binary one, SuperGLUE (arXiv 1905.00537) macro for CB.
**Range** 0 to 1, higher is better.
**Official implementation** scikit-learn's `f1_score`, as GLUE uses it; torchmetrics'
`MulticlassF1Score` agrees.
**Quirks** 0 / 0 is taken as 0. Macro runs over the classes that occur among predictions
or labels: a class that nobody names is left out, not counted as 0 or as 1. Macro is the
mean of F1s, not the F1 of mean precision and mean recall, a different number under the
same name. Binary F1 never looks at true negatives: swapping the names of the two
classes changes it.
"""

import torch
from torch import Tensor

from mmdl_lib.borders import check_choice, check_labels, check_same_length


def f1(predicted: Tensor, label: Tensor, *, average: str = "binary") -> float:
    """F1 of guesses.

    Args:
        predicted: (b,) guessed classes.
        label: (b,) true classes.
        average: "binary" (class 1 is what we look for, 0 the rest), "macro" or "micro".

    Returns:
        A number from 0 to 1.

    Raises:
        ValueError: no item, unequal lengths, another average, or a class above 1 with
            "binary".

    Example:
        Two hits, one false alarm, one miss: 4 / (4 + 1 + 1). The other class has one
        hit and F1 2 / (2 + 1 + 1).

        >>> predicted = torch.tensor([1, 1, 1, 0, 0])
        >>> label = torch.tensor([1, 1, 0, 1, 0])
        >>> round(f1(predicted, label), 4)
        0.6667
        >>> round(f1(predicted, label, average="macro"), 4)
        0.5833
        >>> f1(predicted, label, average="micro")
        0.6
    """
    check_choice("average", average, ("binary", "macro", "micro"))
    check_same_length(predictions=predicted, labels=label)
    classes = 2 if average == "binary" else None
    check_labels("predictions", predicted, classes)
    check_labels("labels", label, classes)
    predicted, label = predicted.long(), label.long()
    n = 1 + max(int(predicted.max()), int(label.max()), 1)
    right = torch.bincount(label[predicted == label], minlength=n).double()
    # 2 TP + FP + FN: how often a class is said, plus how often it is true
    both = torch.bincount(predicted, minlength=n) + torch.bincount(label, minlength=n)
    if average == "micro":
        return (2 * right.sum() / both.sum()).item()
    scores = 2 * right / both.clamp(min=1)
    return scores[1].item() if average == "binary" else scores[both > 0].mean().item()
