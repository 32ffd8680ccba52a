r"""GQA's metrics: is a model right, consistent, valid, plausible, and well spread?

$$\text{consistency} = \frac{1}{|Q|} \sum_{q \in Q} \frac{1}{|E_q|} \sum_{e \in E_q}
[\hat a_e = a_e],\qquad
\text{distribution} = \frac{1}{N} \sum_g N_g \sum_a
\frac{(o_{ga} - e_{ga})^2}{e_{ga}}$$

$Q$ are the questions that were answered right, $E_q$ those whose answer follows from
question $q$ and its answer. Validity is the share of answers that a question of this
kind can have at all (a color for a color), plausibility that of answers that occur with
this object somewhere in the data. Distribution compares, within each group $g$ of
questions, how often each true answer $a$ occurs ($e$) and how often it was given ($o$).

**Source** Hudson and Manning, CVPR 2019, arXiv 1902.09506.
**Range** 0 to 1, higher is better; distribution from 0, lower is better, no upper end.
**Official implementation** `eval.py`, which comes with the data; it prints percent.
**Quirks** Accuracy, validity and plausibility are over the balanced questions,
consistency and distribution over all. A question does not entail itself even if listed.
Consistency is 0 if no right question entails another. An answer that is never true in
its group does not enter distribution, except by what it takes from others. Questions
that ask what two objects have in common are valid with "color", "material" or "shape"
whatever the file says: put that into `valid`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping


def _check(predictions: Mapping, truth: Mapping, what: str) -> None:
    if not truth:
        raise ValueError(f"expected {what} of at least one question, got none.")
    missing = [key for key in truth if key not in predictions]
    if missing:
        raise ValueError(
            f"expected a prediction for each question, got none for {len(missing)}, "
            f"such as {missing[0]!r}."
        )


def accuracy(
    predictions: Mapping[Hashable, str], answers: Mapping[Hashable, str]
) -> float:
    """Share of questions with the right answer.

    Args:
        predictions: answers given, by question; others than the asked are passed over.
        answers: true answers, by question.

    Raises:
        ValueError: no question, or one without a prediction.

    Example:
        >>> accuracy({1: "red", 2: "no"}, {1: "red", 2: "yes"})
        0.5
    """
    _check(predictions, answers, "answers")
    return sum(predictions[q] == a for q, a in answers.items()) / len(answers)


def consistency(
    predictions: Mapping[Hashable, str],
    answers: Mapping[Hashable, str],
    *,
    entailed: Mapping[Hashable, Collection[Hashable]],
) -> float:
    """Mean accuracy on what follows from the questions that were answered right.

    Args:
        predictions: answers given, by question.
        answers: true answers, by question.
        entailed: for a question, those that its answer decides; may lack some.

    Raises:
        ValueError: no question, one without a prediction, or an entailed one without
            an answer.

    Example:
        Who says "red" must say that there is something red:

        >>> said = {"what color": "red", "any red": "no", "any blue": "no"}
        >>> true = {"what color": "red", "any red": "yes", "any blue": "no"}
        >>> follows = {"what color": ["any red", "any blue"], "any red": ["any blue"]}
        >>> consistency(said, true, entailed=follows)
        0.5
    """
    _check(predictions, answers, "answers")
    scores = []
    for q, followers in entailed.items():
        unknown = [e for e in (q, *followers) if e not in answers]
        if unknown:
            raise ValueError(f"expected an answer of {unknown[0]!r}, got none.")
        others = [e for e in followers if e != q]
        if others and predictions[q] == answers[q]:
            right = sum(predictions[e] == answers[e] for e in others)
            scores.append(right / len(others))
    return sum(scores) / len(scores) if scores else 0.0


def _share_within(predictions, choices, what: str) -> float:
    _check(predictions, choices, what)
    return sum(predictions[q] in some for q, some in choices.items()) / len(choices)


def validity(
    predictions: Mapping[Hashable, str],
    valid: Mapping[Hashable, Collection[str]],
) -> float:
    """Share of answers that are among those which the kind of question allows.

    Raises:
        ValueError: no question, or one without a prediction.

    Example:
        >>> validity({1: "red", 2: "red"}, {1: {"red", "blue"}, 2: {"yes", "no"}})
        0.5
    """
    return _share_within(predictions, valid, "valid answers")


def plausibility(
    predictions: Mapping[Hashable, str],
    plausible: Mapping[Hashable, Collection[str]],
) -> float:
    """Share of answers that are among those which occur with the object asked about.

    Raises:
        ValueError: no question, or one without a prediction.

    Example:
        A purple apple is valid, but not plausible:

        >>> plausibility({"color of the apple": "purple"},
        ...              {"color of the apple": {"red", "green", "yellow"}})
        0.0
    """
    return _share_within(predictions, plausible, "plausible answers")


def distribution(
    predictions: Mapping[Hashable, str],
    answers: Mapping[Hashable, str],
    *,
    group: Mapping[Hashable, Hashable],
) -> float:
    """Chi-square distance of given and true answers; 0 if each is as frequent.

    Args:
        predictions: answers given, by question.
        answers: true answers, by question.
        group: the group of each question, such as the object it asks about.

    Raises:
        ValueError: no question, or one without a prediction or a group.

    Example:
        Two of three are red, and all were called red: (3 - 2)^2 / 2 + (0 - 1)^2 / 1.

        >>> said, true = dict.fromkeys("abc", "red"), {"a": "red", "b": "red"}
        >>> distribution(said, true | {"c": "blue"}, group=dict.fromkeys("abc", "hat"))
        1.5
    """
    _check(predictions, answers, "answers")
    if unknown := [q for q in answers if q not in group]:
        raise ValueError(f"expected a group of {unknown[0]!r}, got none.")
    true, said = defaultdict(Counter), defaultdict(Counter)
    for q, answer in answers.items():
        true[group[q]][answer] += 1
        said[group[q]][predictions[q]] += 1
    total = 0.0
    for g, counts in true.items():
        score = sum((said[g][a] - e) ** 2 / e for a, e in counts.items())
        total += score * counts.total()
    return total / len(answers)
