"""Tasks that ask whether pictures made word vectors better, and how sure the answer is.

A task holds what people say of some items and what each method says of the same items.
Every word belongs to one twentieth of all words (`grounded.fold`), an item to that of
its first word; a group jackknife over the twentieths gives a difference of two scores
an interval by Student's t, which `correlation_gain` must agree with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.data.words import Words
from mmdl_lib.lab import grounded
from mmdl_lib.metrics.correlation_gain import Gain, correlation_gain
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.models.concat_fusion import fused_cosine
from mmdl_lib.models.imagined import ridge

GAMMA = 0.5  # the weight of text: both parts count alike, nothing is chosen
PENALTY = 10.0  # of the map from text to pictures, chosen on the words of pilots
ALPHAS = np.logspace(-3, 3, 13)
SAMPLES = 4_000  # draws of an interval


@dataclass(frozen=True)
class Task:
    """What people and methods say of the same items.

    Attributes:
        name: of the task, in words.
        said: (n,) numbers by method.
        people: (n,) people's numbers; None where `said` is how right each answer is.
        fold: (n,) the twentieth of each item.
    """

    name: str
    said: dict[str, Tensor]
    people: Tensor | None
    fold: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.fold)

    def among(self, rows: Tensor) -> "Task":
        """The same task with some of the items, for all methods alike."""
        said = {name: values[rows] for name, values in self.said.items()}
        people = None if self.people is None else self.people[rows]
        return Task(self.name, said, people, self.fold[rows])

    def score(self, method: str) -> float:
        """Spearman's correlation with people, or the mean of how right it is."""
        if self.people is None:
            return self.said[method].mean().item()
        return spearman(self.said[method], self.people)

    def gain(self, method: str, over: str = "text", *, samples: int = SAMPLES) -> Gain:
        """The paired bootstrap's interval of one score less another."""
        g = generator(0)
        old, new = self.said[over], self.said[method]
        if self.people is not None:
            return correlation_gain(old, new, self.people, samples=samples, generator=g)
        return mean_gain(new - old, samples=samples, generator=g)

    def pseudo(self, method: str, fold: int) -> float:
        """What a twentieth adds to the score: K times all less K - 1 times the rest.

        The mean of these values over the K twentieths is the jackknife's estimate, and
        their spread that of the score.
        """
        k = len(self.fold.unique())
        rest = self.among(self.fold != fold)
        return k * self.score(method) - (k - 1) * rest.score(method)


def mean_gain(difference: Float[Tensor, " n"], *, samples: int, generator) -> Gain:
    """Mean of paired differences and its bootstrap interval, as `correlation_gain`."""
    values, n, means = difference.double(), len(difference), []
    for _ in range(0, samples, 500):  # rounded up
        means.append(values[torch.randint(n, (500, n), generator=generator)].mean(1))
    found = torch.cat(means)
    low, high = found.quantile(found.new_tensor([0.025, 0.975])).tolist()
    below, above = (1 + int((found <= 0).sum()), 1 + int((found >= 0).sum()))
    p = min(1.0, 2 * min(below, above) / (len(found) + 1))
    return Gain(values.mean().item(), low, high, p)


@dataclass(frozen=True)
class Spaces:
    """Vectors of length one, by method, of all words that text knows.

    Attributes:
        words: text's words.
        table: by method, one row a word.
        picture: of words with a picture.
        dealt: the same pictures, dealt to the words by chance.
    """

    words: Words
    table: dict[str, Float[Tensor, "n d"]]
    picture: Words
    dealt: Words

    def cosine(self, method: str, a: Sequence[str], b: Sequence[str]) -> Tensor:
        """Cosines of pairs."""
        i, j = ([self.words.index[w] for w in side] for side in (a, b))
        return (self.table[method][i] * self.table[method][j]).sum(1)

    def pictured(self, words: Sequence[str]) -> bool:
        """Whether all of the words have a picture."""
        return all(word in self.picture for word in words)


def spaces(text: Words, names: list[str], picture: Float[Tensor, "p m"]) -> Spaces:
    """All methods that need no ratings.

    - "centered": text less the mean of the words with a picture; no picture is in it.
    - "imagined": the picture that a linear map says from text.
    - "dealt": the same, learned from pictures that were dealt by chance.

    Args:
        text: vectors of length one.
        names: words with a picture.
        picture: of each of them.
    """
    picture = F.normalize(picture - picture.mean(0), dim=1)
    dealt = picture[torch.randperm(len(names), generator=generator(0))]
    shown, unit = text[names], F.normalize
    table = {"text": text.value, "centered": unit(text.value - shown.mean(0), dim=1)}
    for name, seen in (("imagined", picture), ("dealt", dealt)):
        imagine = ridge(shown, seen, penalty=PENALTY)
        table[name] = unit(imagine(text.value), dim=1)
    return Spaces(text, table, Words(names, picture), Words(names, dealt))


def pairs(words: Sequence[str], seed: int = 0) -> tuple[list[str], list[str]]:
    """Pairs of words of one twentieth, no word twice."""
    first, second = [], []
    fold = np.array([grounded.fold(word) for word in words])
    for k in range(grounded.FOLDS):
        rows = np.flatnonzero(fold == k)
        order = grounded.some(rows, len(rows), 100 * seed + k)
        half = len(rows) // 2
        first += [words[i] for i in order[:half]]
        second += [words[i] for i in order[half : 2 * half]]
    return first, second


def of_pairs(name: str, a: list[str], b: list[str], people, space: Spaces) -> Task:
    """A task of pairs: cosines of text, and of text joined with something.

    Where all words have a picture, real pictures and dealt ones are joined as well.
    """
    text = space.cosine("text", a, b)
    said = {"text": text, "centered": space.cosine("centered", a, b)}
    for method in ("imagined", "dealt"):
        said[method] = fused_cosine(text, space.cosine(method, a, b), GAMMA)
    if space.pictured([*a, *b]):
        for method, of in (("pictures", space.picture), ("dealt", space.dealt)):
            said[method] = fused_cosine(text, (of[a] * of[b]).sum(1), GAMMA)
    fold = torch.tensor([grounded.fold(min(pair)) for pair in zip(a, b, strict=True)])
    return Task(name, said, torch.as_tensor(people).double(), fold)


def of_words(name: str, words: list[str], people, space: Spaces) -> Task:
    """A task of words: what a ridge regression says of words that it has not seen.

    It learns from the nineteen other twentieths.
    """
    people = torch.as_tensor(people).double()
    fold = torch.tensor([grounded.fold(word) for word in words])
    text = _scaled(space.words[words])
    inputs = {"text": text}
    if space.pictured(words):
        for method, of in (("pictures", space.picture), ("dealt", space.dealt)):
            inputs[method] = torch.cat([text, _scaled(of[words])], 1)
    said = {method: told(x, people, fold) for method, x in inputs.items()}
    return Task(name, said, people, fold)


def told(x: Float[Tensor, "n d"], y: Tensor, fold: Tensor) -> Float[Tensor, " n"]:
    """Predictions for each twentieth from the others; the penalty is chosen there."""
    from sklearn.linear_model import RidgeCV

    found = torch.empty(len(y), dtype=torch.float64)
    for k in fold.unique().tolist():
        asked = fold == k
        line = RidgeCV(ALPHAS).fit(x[~asked].numpy(), y[~asked].numpy())
        found[asked] = torch.from_numpy(line.predict(x[asked].numpy())).double()
    return found


def of_definitions(
    name: str, uses: dict[str, Sequence[str]], words: list[str], space: Spaces
) -> Task:
    """Does a definition find its word? Share of the other words that it beats.

    A definition is the mean of the vectors of its words; cosines are taken with all
    `words`, and joined as in `of_pairs`.
    """
    said, row = {}, {w: i for i, w in enumerate(words)}
    cosine = {}
    for method, table in space.table.items():
        own = table[[space.words.index[w] for w in words]]
        means = [
            table[[space.words.index[u] for u in uses[w] if u in space.words]].mean(0)
            for w in words
        ]
        cosine[method] = F.normalize(torch.stack(means), dim=1) @ own.T
    for method, table in cosine.items():
        if method in ("imagined", "dealt"):
            table = fused_cosine(cosine["text"], table, GAMMA)
        beaten = (table < table.diag()[:, None]).sum(1) / (len(row) - 1)
        said[method] = beaten.double()
    fold = torch.tensor([grounded.fold(word) for word in words])
    return Task(name, said, None, fold)


def _scaled(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Centered, rows of mean square length one: parts count alike when joined."""
    x = x - x.mean(0)
    return x / x.square().sum(1).mean().sqrt()


def table(tasks: Sequence[Task], adjust: Callable[[list[float]], Tensor]) -> list[dict]:
    """All comparisons of each method with text alone, with p-values adjusted."""
    rows = []
    for task in tasks:
        for method in task.said:
            if method != "text":
                found = task.gain(method)
                row = {"task": task.name, "method": method, "items": len(task)}
                row |= {"text": task.score("text"), "score": task.score(method)}
                rows.append(row | found._asdict())
    for row, p in zip(rows, adjust([r["p"] for r in rows]).tolist(), strict=True):
        row["adjusted"] = p
    return rows
