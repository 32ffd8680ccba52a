r"""Visual commonsense reasoning: answers, their reasons, and both at once.

$$Q \to AR = \frac{1}{n} \sum_{i=1}^{n} [\hat a_i = a_i] \, [\hat r_i = r_i]$$

Each question has four answers, and each right answer four reasons. $Q \to A$ is the
share of right answers, $QA \to R$ that of right reasons when the right answer is given.

**Source** Zellers et al., CVPR 2019, arXiv 1811.10830.
**Range** 0 to 1, higher is better; chance is 1/4, 1/4 and 1/16.
**Official implementation** `eval_q2ar.py` of rowanz/r2c.
**Quirks** Q -> AR is put together from the two: the reasons are always scored with the
right answer given, also where the model chose another. So Q -> AR lies between
A + R - 1 and the smaller of A and R, and is A x R if errors are independent. Ties go to
the first choice, as `argmax` does.
"""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.borders import check_labels, check_same_length, check_scores


class VCR(NamedTuple):
    """Shares of questions with the right answer, the right reason, and both."""

    q_a: float
    qa_r: float
    q_ar: float


def vcr(
    answer_scores: Float[Tensor, "n k"],
    reason_scores: Float[Tensor, "m k"],
    *,
    answer: Int[Tensor, " a"],
    reason: Int[Tensor, " r"],
) -> VCR:
    """Q -> A, QA -> R and Q -> AR.

    Args:
        answer_scores: any scores that grow with the belief in a choice.
        reason_scores: likewise, given the question and its right answer.
        answer: numbers of the right answers.
        reason: numbers of the right reasons.

    Raises:
        ValueError: no questions, unequal lengths, NaN, or a number out of range.

    Example:
        Two right answers and two right reasons of three, once together:

        >>> import torch
        >>> answers, reasons = torch.eye(4)[[0, 1, 3]], torch.eye(4)[[2, 0, 1]]
        >>> out = vcr(answers, reasons, answer=torch.tensor([0, 1, 2]),
        ...           reason=torch.tensor([2, 3, 1]))
        >>> [round(x, 3) for x in out]
        [0.667, 0.667, 0.333]
    """
    check_same_length(answers=answer_scores, reasons=reason_scores)
    hits = []
    for name, scores, truth in (
        ("answer scores", answer_scores, answer),
        ("reason scores", reason_scores, reason),
    ):
        check_scores(name, scores, truth)
        check_labels(f"truth of {name}", truth, scores.shape[1])
        hits.append(scores.argmax(1) == truth)
    both = hits[0] & hits[1]
    return VCR(*(x.double().mean().item() for x in (*hits, both)))
