r"""SQuAD 1.1: exact match and F1 of an answer cut from a text.

Both texts are normalized first: lower case, no ASCII punctuation, no articles, single
spaces. **Exact match** asks whether they are then equal. **F1** compares their bags of
words: with $s$ words in common, counted as often as both have them,

$$F_1 = \frac{2PR}{P + R},\qquad P = \frac{s}{|\text{prediction}|},\quad
R = \frac{s}{|\text{answer}|}$$

Of several accepted answers the best one counts; the score is the mean over questions.

**Source** Rajpurkar et al., SQuAD: 100,000+ Questions for Machine Comprehension of
Text, EMNLP 2016, arXiv 1606.05250, section 6.1.
**Range** 0 to 100 as the official script prints it, higher is better. `exact_match` and
`answer_f1` of a single pair are in 0 to 1.
**Official implementation** `evaluate-v1.1.py` of the data set; torchmetrics' `squad`.
**Quirks** Punctuation vanishes and leaves no space, so "well-known" is one word,
"wellknown", and "3.14" equals "314"; quotes and dashes beyond ASCII stay. Articles go
anywhere: "Vitamin A" becomes "vitamin". Word order does not count in F1. If nothing is
left of one side, F1 is 1 where nothing is left of the other either and 0 elsewhere: so
do the script of SQuAD 2.0 and torchmetrics, while that of 1.1 gives 0 in both cases.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

from mmdl_lib.borders import check_references, check_text

NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_answer(text: str) -> str:
    """The text in lower case without punctuation, articles and extra spaces.

    Example:
        >>> normalize_answer("The  Eiffel-Tower, a landmark!")
        'eiffeltower landmark'
    """
    check_text("answer", text)
    text = text.lower().translate(NO_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact_match(prediction: str, answer: str) -> float:
    """1 where the two normalized texts are equal, else 0."""
    return float(normalize_answer(prediction) == normalize_answer(answer))


def answer_f1(prediction: str, answer: str) -> float:
    """F1 of the words of two normalized texts.

    Example:
        "eiffel tower" and "eiffel tower in paris": P 2 / 2, R 2 / 4.

        >>> round(answer_f1("the Eiffel Tower", "Eiffel Tower in Paris"), 4)
        0.6667
    """
    said, true = (normalize_answer(text).split() for text in (prediction, answer))
    if not said or not true:
        return float(said == true)
    same = (Counter(said) & Counter(true)).total()
    return 2 * same / (len(said) + len(true))


def squad(
    predictions: Sequence[str], answers: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Exact match and F1 over questions, each with the best of its accepted answers.

    Args:
        predictions: one answer for each question.
        answers: the accepted answers of each question, at least one.

    Returns:
        "exact_match" and "f1", from 0 to 100.

    Raises:
        ValueError: no question, unequal lengths, or a question without an answer.

    Example:
        >>> squad(["in 1998"], [["1998", "the year 1998"]])
        {'exact_match': 0.0, 'f1': 66.66666666666666}
    """
    check_references(predictions, answers)
    pairs = list(zip(predictions, answers, strict=True))
    return {
        name: 100
        * sum(max(score(p, a) for a in some) for p, some in pairs)
        / len(pairs)
        for name, score in (("exact_match", exact_match), ("f1", answer_f1))
    }
