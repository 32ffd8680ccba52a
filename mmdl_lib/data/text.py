"""From captions to token ids: a word tokenizer for the small models."""

import difflib
import re
from collections.abc import Iterable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

SPECIAL = ("<pad>", "<start>", "<end>")
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


class WordTokenizer:
    """One id a word; every caption is framed by a start and an end token.

    Args:
        words: the vocabulary, lowercase; ids follow its order after the special tokens.
        length: the largest number of tokens, start and end included.
    """

    def __init__(self, words: Iterable[str], *, length: int = 24):
        self.words = list(words)
        self.length = length
        self.ids = {word: i + len(SPECIAL) for i, word in enumerate(self.words)}

    @property
    def vocab(self) -> int:
        """Number of ids, special tokens included."""
        return len(SPECIAL) + len(self.words)

    def encode(self, caption: str) -> list[int]:
        """Ids of one caption, framed.

        Raises:
            ValueError: no word in it, an unknown word, or too many words.
        """
        words = WORD.findall(caption.lower())
        if not words:
            raise ValueError(f"expected a caption with words, got {caption!r}.")
        for word in words:
            if word not in self.ids:
                near = difflib.get_close_matches(word, self.words, n=1, cutoff=0.0)
                raise ValueError(
                    f"expected words of the vocabulary, got {word!r}; the nearest "
                    f"known word is {near[0]!r}."
                )
        if len(words) + 2 > self.length:
            raise ValueError(
                f"expected at most {self.length - 2} words, got {len(words)}: shorten "
                "the caption."
            )
        return [1, *(self.ids[word] for word in words), 2]

    def __call__(
        self, captions: list[str]
    ) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
        """Tokens, padded with 0 to the longest caption, and mask, True = real."""
        rows = [self.encode(caption) for caption in captions]
        tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        for row, ids in zip(tokens, rows, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        return tokens, tokens != 0
