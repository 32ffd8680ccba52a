r"""SQuAD 2.0: answer a question, or see that the text holds no answer.

A question without an answer has the empty string as its answer, and a model says with
`no_answer` how sure it is that there is none. A prediction with
`no_answer > threshold` counts as empty. Exact match and F1 are then those of SQuAD 1.1:
on a question without an answer both are 1 for an empty prediction and 0 otherwise.

The **best threshold** is found on the questions themselves, one sweep upward through
all values of `no_answer`: start with "no question has an answer", which is right on all
that have none, then give back the predictions in order, the surest first,

$$s_t = s_{t-1} + \begin{cases} \text{score}(q_t) & q_t \text{ has an answer} \\
-1 & \text{it has none, but something was predicted} \\ 0 & \text{else} \end{cases}$$

**Source** Rajpurkar, Jia and Liang, Know What You Don't Know, ACL 2018, arXiv
1806.03822.
**Range** 0 to 100 as the official script prints it, higher is better.
**Official implementation** `evaluate-v2.0.py` of the data set, also as
`squad_metrics.py` in transformers before version 5.
**Quirks** The best threshold sees the truth, so best scores are upper bounds. Where two
questions share a `no_answer`, the sweep can stop between them, though no threshold can
part them: a best score may not be reached by its own threshold. The sweep keeps the
first of equally good thresholds and answers 0 when "never answer" is best. A prediction
of which normalization leaves nothing, such as "the", is right where there is no answer,
yet wrong in the sweep.
"""

from collections.abc import Sequence

from mmdl_lib.borders import check_number, check_same_length, check_texts
from mmdl_lib.metrics.squad import answer_f1, exact_match, normalize_answer


def squad_v2(
    predictions: Sequence[str],
    answers: Sequence[Sequence[str]],
    *,
    no_answer: Sequence[float | int] | None = None,
    threshold: float | int = 1.0,
) -> dict[str, float]:
    """Scores with a threshold, for all questions and for each kind, and the best ones.

    Args:
        predictions: one answer for each question; an empty one says "no answer".
        answers: accepted answers of each question; an empty list where there is none.
        no_answer: how sure the model is that there is no answer, any numbers that grow
            with it; 0 everywhere by default.
        threshold: predictions whose `no_answer` lies above it count as empty.

    Returns:
        "exact" and "f1"; the same with "has_answer_" and "no_answer_" in front, for the
        questions of that kind if there are any; and, where `no_answer` was given,
        "best_exact", "best_exact_threshold", "best_f1", "best_f1_threshold".

    Raises:
        ValueError: no question, unequal lengths, or NaN.

    Example:
        The second question has no answer. At 0.5 its prediction is kept and wrong; at
        0.3 it is dropped, which is right.

        >>> said, true = ["Paris", "Rome"], [["Paris"], []]
        >>> squad_v2(said, true, no_answer=[0.1, 0.4], threshold=0.5)["exact"]
        50.0
        >>> found = squad_v2(said, true, no_answer=[0.1, 0.4], threshold=0.3)
        >>> found["exact"], found["best_exact"], found["best_exact_threshold"]
        (100.0, 100.0, 0.1)
    """
    check_texts("predictions", predictions, least=0)
    check_number("threshold", threshold)
    if isinstance(answers, str):
        raise ValueError(f"answers expected lists of strings, got {answers!r:.60}.")
    check_same_length(predictions=predictions, **{"lists of answers": answers})
    for i, texts in enumerate(answers):
        check_texts(f"answers {i}", texts, least=0)
    sure = [0.0] * len(predictions) if no_answer is None else no_answer
    check_same_length(predictions=predictions, **{"no_answer values": sure})
    for i, value in enumerate(sure):
        check_number(f"no_answer {i}", value)
    sure = [float(value) for value in sure]
    has = [bool(some) for some in answers]
    # an answer of which normalization leaves nothing, such as "the", does not count
    golds = [[a for a in some if normalize_answer(a)] for some in answers]
    out = {}
    for name, score in (("exact", exact_match), ("f1", answer_f1)):
        raw = [
            max(score(p, a) for a in some or [""])
            for p, some in zip(predictions, golds, strict=True)
        ]
        kept = [
            float(not h) if u > threshold else r
            for r, h, u in zip(raw, has, sure, strict=True)
        ]
        out[name] = _percent(kept)
        for kind, prefix in ((True, "has_answer_"), (False, "no_answer_")):
            if kind in has:
                some = [s for s, h in zip(kept, has, strict=True) if h == kind]
                out[prefix + name] = _percent(some)
        if no_answer is not None:
            best = _best_threshold(predictions, raw, has, sure)
            out[f"best_{name}"], out[f"best_{name}_threshold"] = best
    return out


def _percent(scores: list[float]) -> float:
    return 100 * sum(scores) / len(scores)


def _best_threshold(predictions, raw, has, sure) -> tuple[float, float]:
    now = best = float(has.count(False))
    at = 0.0
    for i in sorted(range(len(sure)), key=sure.__getitem__):
        now += raw[i] if has[i] else -float(bool(predictions[i]))
        if now > best:
            best, at = now, sure[i]
    return 100 * best / len(has), at
