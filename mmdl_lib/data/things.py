"""Things with a name and a picture: 321 words, and what vectors know of each.

The words are single-word names of emoji that GloVe, the Lancaster norms and WordNet
know, as in the chapter on grounding. The file beside this one is written by
`tools/things_data.py`; it holds numbers made of the drawings, and no drawing.

- `text`: the word's direction in GloVe (`data.words`).
- `picture`: what EfficientNet-Lite0, trained on photographs, sees in Noto's drawing
  (Google; Apache 2.0), as 50 directions of most variance over drawings of other things.
- `color`: mean color of OpenMoji's drawing (CC BY-SA 4.0), in CIELAB.
- `topic`: animal, artifact, food or plant, person; from WordNet, for 232 of them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdl_lib.data import words

FILE = Path(__file__).parent / "things.npz"


@dataclass(frozen=True)
class Things:
    """Row i of each belongs to `words[i]`.

    Attributes:
        words: each once.
        text, picture: vectors, not standardized.
        color: lightness, red against green, yellow against blue.
        topic: a number of `topics`; 0 where `filed` is false.
        filed: whether there is a topic.
        topics: their names.
    """

    words: list[str]
    text: Float[Tensor, "n m"]
    picture: Float[Tensor, "n p"]
    color: Float[Tensor, "n 3"]
    topic: Int[Tensor, " n"]
    filed: Bool[Tensor, " n"]
    topics: list[str]

    def __len__(self) -> int:
        return len(self.words)


def load() -> Things:
    """All things, in the order of the emoji."""
    with np.load(FILE) as file:
        names, topics = (_split(file[key]) for key in ("words", "topics"))
        picture = torch.from_numpy(file["picture"]).float()
        color = torch.from_numpy(file["color"]).float()
        topic = torch.from_numpy(file["topic"]).long()
    text = words.glove().unit()[names]
    return Things(names, text, picture, color, topic.clamp(min=0), topic >= 0, topics)


def _split(letters: np.ndarray) -> list[str]:
    return letters.tobytes().decode("utf-8").split("\n")
