r"""VQA accuracy: an answer is right if three of the other people gave it.

$$\text{acc}(a) = \frac{1}{n} \sum_{i=1}^{n}
\min\left(1, \frac{\#\{j \ne i : a_j = a\}}{3}\right)$$

Ten people answered each question. Each is left out in turn, so the sum runs over all
subsets of nine; a person's own score is computed the same way, against the others.
Answers are compared after their spelling was made uniform (`normalize`).

**Source** Antol et al., ICCV 2015, arXiv 1505.00468; visualqa.org/evaluation.html.
**Range** 0 to 1, higher is better. 1, 2, 3 and 4 equal answers of ten are worth .3, .6,
.9 and 1, although the formula that papers print, min(#/3, 1), says 1 for three.
**Official implementation** `vqaEval.py` of GT-Vision-Lab/VQA; it prints percent with
two digits.
**Quirks**

- If all people gave one answer, nothing is made uniform: "Yes." then misses "yes". The
  authors say that this is meant, for texts read from a picture (issue 14 there).
- Older versions, which some libraries still carry, touch only the punctuation of
  people's answers, so that "a dog" or "two" can never be met; they give lower numbers.
- A mark of punctuation is deleted from the whole answer if it stands beside a space
  anywhere in it, or if the answer has a comma between digits; else it becomes a space.
  Apostrophes and colons stay.
- A period stays before a digit only, and the code deletes no more than 32 of them.
- "none" becomes "0", number words up to ten become digits, and articles vanish: the
  answer "a" is empty afterwards.
- Contractions get their apostrophe back, one that is missing and not two; "somebody'd"
  loses it, a slip of the table. Words that are something else without it ("were",
  "shell") are not in the table; those with a capital I are in the official one but
  never met, because the text is in lower case by then.
"""

import re
from collections.abc import Sequence

from mmdl_lib.borders import check_references, check_text

PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
NUMBERS = "zero one two three four five six seven eight nine ten".split()
DIGITS = {"none": "0"} | {word: str(n) for n, word in enumerate(NUMBERS)}
ARTICLES = {"a", "an", "the"}
WORDS = """
ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mightn't
mustn't needn't oughtn't shan't shouldn't wasn't weren't won't wouldn't could've
might've must've not've should've they've we've what've where've who've would've
you've he'd how'd it'd someone'd something'd there'd they'd where'd who'd you'd he's
how's somebody's someone's that's there's what's when's where's who's why's how'll
it'll somebody'll someone'll something'll they'll what'll who'll why'll you'll
there're they're what're why're you're ma'am o'clock 'twas y'all couldn't've hadn't've
mightn't've shouldn't've wouldn't've he'd've it'd've she'd've somebody'd've
someone'd've something'd've there'd've they'd've we'd've who'd've you'd've y'all'll
y'all'd've 'ow's'at
""".split()
CONTRACTIONS = {
    word[:i] + word[i + 1 :]: word
    for word in WORDS
    for i, letter in enumerate(word)
    if letter == "'"
} | {"somebody'd": "somebodyd"}


def normalize(text: str) -> str:
    """An answer in the spelling in which answers are compared.

    Example:
        >>> normalize("The dog isnt on  two chairs."), normalize("2,500 p.m.")
        ("dog isn't on 2 chairs", '2500 pm')
        >>> normalize("red/white"), normalize("red / white"), normalize("9:30")
        ('red white', 'red white', '9:30')
    """
    check_text("answer", text)
    words = _without_punctuation(text).lower().split()
    words = (DIGITS.get(word, word) for word in words)
    return " ".join(CONTRACTIONS.get(w, w) for w in words if w not in ARTICLES)


def _without_punctuation(text: str) -> str:
    out, thousands = text, re.search(r"\d,\d", text)
    for mark in PUNCTUATION:
        if mark in text:
            beside = f"{mark} " in text or f" {mark}" in text
            out = out.replace(mark, "" if beside or thousands else " ")
    return re.sub(r"\.(?!\d)", "", out, count=32)


def answer_scores(
    predictions: Sequence[str], answers: Sequence[Sequence[str]]
) -> list[float]:
    """The score of each prediction.

    Args:
        predictions: one answer for each question.
        answers: what people answered, at least two for each question, usually ten.

    Raises:
        ValueError: no questions, unequal lengths, fewer than two people, no strings.

    Example:
        >>> people = ["2"] * 3 + ["two"] + ["three"] * 6
        >>> answer_scores(["Two", "3"], [people, people[:3] + people[4:] + ["4"]])
        [1.0, 1.0]
        >>> answer_scores(["four"], [["4"] * 3 + ["5"] * 7])
        [0.9]
    """
    check_references(predictions, answers)
    scores = []
    for prediction, given in zip(predictions, answers, strict=True):
        n = len(given)
        if n < 2:
            raise ValueError(f"answers expected two people or more, got {n}.")
        # line ends and tabs go in any case
        prediction, *given = (_one_line(text) for text in (prediction, *given))
        if len(set(given)) > 1:
            known = {text: normalize(text) for text in {prediction, *given}}
            prediction, given = known[prediction], [known[text] for text in given]
        same = given.count(prediction)
        # the `same` subsets that leave one of them out, and all the other subsets
        total = same * min(3, same - 1) + (n - same) * min(3, same)
        scores.append(total / (3 * n))
    return scores


def _one_line(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def vqa_accuracy(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> float:
    """Mean score of all predictions.

    Args:
        predictions: one answer for each question.
        answers: what people answered, at least two for each question, usually ten.

    Raises:
        ValueError: no questions, unequal lengths, fewer than two people, no strings.

    Example:
        >>> vqa_accuracy(["red", "blue"], [["red"] * 9 + ["dark red"], ["green"] * 10])
        0.5
    """
    scores = answer_scores(predictions, answers)
    return sum(scores) / len(scores)
