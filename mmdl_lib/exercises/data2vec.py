"""Exercises of the chapter on data2vec (`sec-data2vec`)."""

from mmdl_lib.core import generator
from mmdl_lib.exercises import judge
from mmdl_lib.models.data2vec import Data2Vec


def exercise_1(answer) -> None:
    """Predict: TODO how many patches are there?

    TODO Ask for a number that the reader can find with pencil and paper. Here: into how
    many patches of 4 x 4 pixels is a picture of 32 x 32 pixels cut, without a rest?

    Raises:
        Hint: one side only, pixels.
    """
    last = "not right: how many patches lie in a row, and how many rows are there?"
    judge(answer, SOLUTIONS[1], MISTAKES[1], near=0, otherwise=last)


def exercise_2(answer) -> None:
    """Change the code: TODO write what the chapter leaves out.

    TODO Write `means(features)`: the mean over all places of a map (b, d, h, w). Not a
    function that is printed above on the page.

    Raises:
        Hint: a mean over the channels, a sum.
    """
    model = Data2Vec.from_preset("tiny")
    image = Data2Vec.example_batch(model.config, 2, generator=generator(0))["image"]
    judge(answer, SOLUTIONS[2], MISTAKES[2], cases=[(image,)])


SOLUTIONS = {1: 64, 2: lambda x: x.mean((2, 3))}
MISTAKES = {
    1: [
        (8, "that is one side: patches have a row and a column."),
        (1024, "those are pixels, not patches."),
    ],
    2: [
        (lambda x: x.mean(1), "that is a mean over the channels: average over places."),
        (lambda x: x.sum((2, 3)), "that is a sum: divide by the number of places."),
    ],
}
