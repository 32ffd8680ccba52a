r"""ReaL accuracy: is the guess one of the labels that people find right?

$$\text{ReaL} = \frac{1}{|V|} \sum_{i \in V} [\,\hat y_i \in L_i\,],\qquad
V = \{i : L_i \neq \emptyset\}$$

A picture often shows several things, and a single label calls the others wrong.
"Reassessed labels" are the set $L_i$ of all classes that people accept.

**Source** Beyer et al., Are we done with ImageNet?, 2020, arXiv 2006.07159.
**Range** 0 to 1, higher is better.
**Official implementation** the lines of Python in the readme of the authors' repository
`google-research/reassessed-imagenet`.
**Quirks** Pictures without any accepted label are left out, so the number of pictures
changes with the labels, not with the model. A set with every class makes any guess
right: the score grows with the size of the sets and is no accuracy among single labels.
"""

from collections.abc import Collection, Sequence
from numbers import Integral

from torch import Tensor

from mmdl_lib.borders import check_labels, check_same_length


def real_accuracy(predicted: Tensor, labels: Sequence[Collection[int]]) -> float:
    """Share of guesses that are among the accepted labels.

    Args:
        predicted: (b,) one class for each picture.
        labels: b sets of accepted classes; pictures with an empty one do not count.

    Returns:
        A number from 0 to 1.

    Raises:
        ValueError: no picture, unequal lengths, something else than whole numbers, or
            all sets empty.

    Example:
        The first guess is accepted, the second not, the third has nothing to be.

        >>> import torch
        >>> real_accuracy(torch.tensor([4, 7, 1]), [{4, 5}, {2}, set()])
        0.5
    """
    check_labels("predictions", predicted)
    check_same_length(predictions=predicted, **{"label sets": labels})
    for i, accepted in enumerate(labels):
        whole = isinstance(accepted, Collection) and all(
            isinstance(k, Integral) and not isinstance(k, bool) for k in accepted
        )
        if not whole:
            raise ValueError(
                f"label set {i} expected whole numbers, got {accepted!r:.60}."
            )
    hits = [
        guess in accepted
        for guess, accepted in zip(predicted.tolist(), labels, strict=True)
        if len(accepted) > 0
    ]
    if not hits:
        raise ValueError("label sets expected one that is not empty, got only empty.")
    return sum(hits) / len(hits)
