"""Words and their pictures, as a net and as SIFT see them. Nothing is fetched.

A picture belongs to each word of its name and to each of its tags: "penguin with chick"
shows both. Pictures are the book's clip art (public domain) and those of OpenMoji whose
name has one or two words (CC BY-SA 4.0; only numbers made of them are kept). Words are
those that both GloVe's first 30,000 and the Lancaster norms know.

- `feature`: the mean of EfficientNet-Lite0's last map at 128 pixels, less the mean of
  all pictures, in the 128 directions of most spread of 1,280.
- `count`: visual words of `weights/bovw_svd_clipart`, at SIFT's keypoints.
- `kind`: the topic of WordNet (its license is in the book's credits), where it is one
  of four.
- `color`, `outline`: of another artist's drawing (Noto, Apache 2.0), for words that
  name one. Nothing of them went into the features: they ask whether things look alike.

`tools/word_pictures.py` wrote the file beside this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

FILE = Path(__file__).parent / "word_pictures.npz"
CELLS = 12  # of an outline, each way


@dataclass(frozen=True)
class WordPictures:
    """Words, pictures, and which belongs to which.

    Attributes:
        words: in alphabetical order.
        kind: one of `kinds` for each word, or "".
        picture, word: pairs; picture `picture[i]` shows word `word[i]`.
        feature: one row a picture.
        count: how often each visual word stands in each picture.
        code: code points of an emoji, "" for a drawing of the clip art.
        row: where a drawing stands in `clipart.load()`, -1 for an emoji.
        looked: numbers of the words that Noto drew.
        color: CIELAB of that drawing's mean color.
        outline: which cells of a grid it fills.
    """

    words: list[str]
    kind: list[str]
    picture: Int[Tensor, " r"]
    word: Int[Tensor, " r"]
    feature: Float[Tensor, "p 128"]
    count: Float[Tensor, "p k"]
    code: list[str]
    row: Int[Tensor, " p"]
    looked: Int[Tensor, " l"]
    color: Float[Tensor, "l 3"]
    outline: Bool[Tensor, "l 12 12"]

    @cached_property
    def index(self) -> dict[str, int]:
        """The number of each word."""
        return {word: row for row, word in enumerate(self.words)}

    def of(self, word: str) -> list[int]:
        """Numbers of a word's pictures.

        Raises:
            KeyError: a word without one; the sentence names it.
        """
        if word not in self.index:
            text = f"expected one of {len(self.words):,} words with a picture, got "
            raise KeyError(f"{text}{word!r:.40}.")
        return self.picture[self.word == self.index[word]].tolist()

    def only(self, words: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Pairs of some words: pictures, and places in the given list.

        Raises:
            KeyError: a word without a picture, or no word.
        """
        if len(words) == 0:
            raise KeyError("expected at least one word with a picture, got none.")
        found = [(p, i) for i, word in enumerate(words) for p in self.of(word)]
        picture, place = zip(*found, strict=True)
        return torch.tensor(picture), torch.tensor(place)


@cache
def load() -> WordPictures:
    """All words and pictures.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        with np.load(FILE) as file:
            found = {name: file[name] for name in file.files}
        kinds = [*_split(found["kinds"]), ""]  # -1, the last one: none
        return WordPictures(
            words=_split(found["words"]),
            kind=[kinds[i] for i in found["kind"]],
            code=_split(found["code"]),
            outline=_outlines(found["outline"]),
            **{key: torch.from_numpy(found[key].astype(np.int64))
               for key in ("picture", "word", "row", "looked")},
            **{key: torch.from_numpy(found[key].astype(np.float32))
               for key in ("feature", "count", "color")},
        )  # fmt: skip
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"{FILE} expected words with pictures, got a missing or damaged file: "
            "install mmdl_lib again."
        ) from error


def _outlines(packed: np.ndarray) -> Tensor:
    cells = np.unpackbits(packed, axis=1)[:, : CELLS * CELLS].astype(bool)
    return torch.from_numpy(cells).reshape(-1, CELLS, CELLS)


def _split(letters: np.ndarray) -> list[str]:
    return letters.tobytes().decode("utf-8").split("\n")
