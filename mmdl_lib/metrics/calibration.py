r"""Expected calibration error: does a confidence of 80 % mean right four times in five?

$$\text{ECE} = \sum_{m=1}^{M} \frac{|B_m|}{b}
\left| \text{accuracy}(B_m) - \text{confidence}(B_m) \right|$$

$B_m$ are the items whose highest probability falls into the $m$-th of $M$ equal parts
of [0, 1].

**Source** Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv
1706.04599, equation (3), with M = 15.
**Range** 0 to 1, lower is better.
**Official implementation** torchmetrics' `MulticlassCalibrationError(norm="l1")`.
**Quirks** A confidence that lies exactly between two bins belongs to the upper one, as
in torchmetrics; the paper prints the lower one. Torchmetrics gives a confidence of 1 a
bin of its own; ours lies in the last bin, as the paper has it, so the two differ when
a net is both almost and entirely sure. The value depends on the number of bins, and
few items make it too large: noise in a bin adds up, it never cancels.
"""

import torch
from torch import Tensor

from mmdl_lib.borders import check_labels, check_number, check_scores


def expected_calibration_error(
    probability: Tensor, label: Tensor, *, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy, over bins of confidence.

    Args:
        probability: (b, classes), rows that sum to 1.
        label: (b,) true classes.
        bins: number of bins M.

    Returns:
        A number from 0 to 1.

    Raises:
        ValueError: no row, unequal lengths, NaN, no probabilities, or no bin.

    Example:
        Two items at 0.9, of which one is right: |0.5 - 0.9|. Two at 0.6, both right:
        |1 - 0.6|. Half of the items lie in each bin.

        >>> probability = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]])
        >>> label = torch.tensor([0, 0, 0, 1])
        >>> round(expected_calibration_error(probability, label), 4)
        0.4
    """
    check_scores("probabilities", probability, label)
    check_labels("labels", label, probability.shape[1])
    check_number("bins", bins, 1, whole=True)
    off = (probability.double().sum(1) - 1).abs().max().item()
    # 1e-2 leaves room for half precision
    if probability.min() < 0 or off > 1e-2:
        raise ValueError("probabilities expected rows that sum to 1, got others.")
    confidence, predicted = probability.max(1)
    edges = torch.linspace(
        0, 1, bins + 1, dtype=probability.dtype, device=probability.device
    )
    place = (torch.bucketize(confidence, edges, right=True) - 1).clamp(0, bins - 1)
    # (accuracy - confidence) |B_m| is the sum over the bin of (right - confidence)
    gap = (predicted == label).double() - confidence.double()
    gaps = torch.zeros(bins, dtype=torch.float64, device=gap.device)
    return (gaps.index_add(0, place, gap).abs().sum() / len(label)).item()
