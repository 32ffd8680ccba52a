r"""GQA's metrics: is a model right, consistent, valid, plausible, and well spread?

$$\text{consistency} = \frac{1}{|Q|} \sum_{q \in Q} \frac{1}{|E_q|} \sum_{e \in E_q}
[\hat a_e = a_e],\qquad
\text{distribution} = \frac{1}{100 N} \sum_g N_g \sum_a
\frac{(o_{ga} - e_{ga})^2}{e_{ga}}$$

$Q$ are the balanced questions that were answered right and entail others, $E_q$ those
whose answer follows from question $q$ and its answer. Validity is the share of answers
that a question of this kind can have at all (a color for a color), plausibility that of
answers that occur with this object somewhere in the data. Distribution compares, within
each group $g$ of $N_g$ balanced questions, how often each true answer $a$ occurs ($e$)
and how often it was given ($o$); $N$ is the sum of all $N_g$.

**Source** Hudson and Manning, CVPR 2019, arXiv 1902.09506.
**Range** 0 to 1, higher is better; distribution from 0, lower is better, no upper end.
**Official implementation** `eval.py`, which comes with the data; it prints percent, but
for distribution, the chi-square divided by 100, which is what we return.
**Quirks** Every mean is over the balanced questions; those that they entail may be any.
Questions without a group do not enter distribution. A question does not entail itself
even if listed. Consistency is 0 if no right question entails another. An answer that is
never true in its group does not enter distribution, except by what it takes from
others. Questions that ask what two objects have in common are valid with "color",
"material" or "shape" whatever the file says: put that into `valid`.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping

from mmdl_lib.borders import check_text


def _check_table(name: str, table: Mapping) -> None:
    if not isinstance(table, Mapping):
        kind = type(table).__name__
        raise ValueError(f"{name} expected a table by question, got a {kind}.")


def _check(predictions: Mapping, truth: Mapping, what: str) -> None:
    _check_table("predictions", predictions)
    _check_table(what, truth)
    if not truth:
        raise ValueError(f"{what} expected at least one question, got none.")
    missing = [key for key in truth if key not in predictions]
    if missing:
        raise ValueError(
            f"predictions expected one for each question, got none for {len(missing)}, "
            f"such as {missing[0]!r}."
        )
    for q in truth:
        check_text(f"prediction {q!r:.30}", predictions[q])


def _check_answers(predictions: Mapping, answers: Mapping) -> None:
    _check(predictions, answers, "answers")
    for q, answer in answers.items():
        check_text(f"answer {q!r:.30}", answer)


def _check_sets(name: str, sets: Mapping) -> None:
    """A bare string would be taken for its letters."""
    _check_table(name, sets)
    for q, some in sets.items():
        if isinstance(some, str) or not isinstance(some, Collection):
            raise ValueError(f"{name} of {q!r:.30} expected several, got {some!r:.60}.")


def _balanced(answers: Mapping, balanced: Collection | None) -> set:
    """The questions that count: all, or those that are named."""
    if balanced is None:
        return {*answers}
    _check_sets("questions", {"balanced": balanced})
    if not balanced:
        raise ValueError("balanced expected at least one question, got none.")
    if unknown := [q for q in balanced if q not in answers]:
        raise ValueError(f"answers expected one of {unknown[0]!r:.60}, got none.")
    return {*balanced}


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
    _check_answers(predictions, answers)
    return sum(predictions[q] == a for q, a in answers.items()) / len(answers)


def consistency(
    predictions: Mapping[Hashable, str],
    answers: Mapping[Hashable, str],
    *,
    entailed: Mapping[Hashable, Collection[Hashable]],
    balanced: Collection[Hashable] | None = None,
) -> float:
    """Mean accuracy on what follows from the questions that were answered right.

    Args:
        predictions: answers given, by question.
        answers: true answers, by question, also of those that are entailed.
        entailed: for a question, those that its answer decides; may lack some.
        balanced: the questions whose consistency is asked for, all if left out. The
            official code takes the balanced ones; those that they entail may be any.

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
    _check_answers(predictions, answers)
    _check_sets("entailed questions", entailed)
    counted = _balanced(answers, balanced)
    scores = []
    for q, followers in entailed.items():
        unknown = [e for e in (q, *followers) if e not in answers]
        if unknown:
            raise ValueError(f"answers expected one of {unknown[0]!r:.60}, got none.")
        if q not in counted:
            continue
        others = [e for e in followers if e != q]
        if others and predictions[q] == answers[q]:
            right = sum(predictions[e] == answers[e] for e in others)
            scores.append(right / len(others))
    return sum(scores) / len(scores) if scores else 0.0


def _share_within(predictions, choices, what: str) -> float:
    _check(predictions, choices, what)
    _check_sets(what, choices)
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
    balanced: Collection[Hashable] | None = None,
) -> float:
    """Chi-square distance of given and true answers; 0 if each is as frequent.

    Args:
        predictions: answers given, by question.
        answers: true answers, by question.
        group: the group of each question, such as the object it asks about; questions
            whose group is None do not count.
        balanced: the questions that count, all if left out; the official code takes the
            balanced ones.

    Raises:
        ValueError: no question that counts, or one without a prediction or a group.

    Example:
        Two of three are red, and all were called red: (3 - 2)^2 / 2 + (0 - 1)^2 / 1, of
        which the official code prints a hundredth.

        >>> said, true = dict.fromkeys("abc", "red"), {"a": "red", "b": "red"}
        >>> distribution(said, true | {"c": "blue"}, group=dict.fromkeys("abc", "hat"))
        0.015
    """
    _check_answers(predictions, answers)
    _check_table("group", group)
    if unknown := [q for q in answers if q not in group]:
        raise ValueError(f"group expected one for {unknown[0]!r:.60}, got none.")
    true, said = defaultdict(Counter), defaultdict(Counter)
    counted = _balanced(answers, balanced)
    for q, answer in answers.items():
        if q in counted and group[q] is not None:
            true[group[q]][answer] += 1
            said[group[q]][predictions[q]] += 1
    if not true:
        raise ValueError("group expected a question that counts, got none.")
    total = 0.0
    for g, counts in true.items():
        score = sum((said[g][a] - e) ** 2 / e for a, e in counts.items())
        total += score * counts.total()
    return total / sum(counts.total() for counts in true.values()) / 100
