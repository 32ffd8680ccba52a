"""From captions to token ids: words for small models, byte pairs for the real ones."""

import difflib
import gzip
import html
import importlib.metadata
import re
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmdl_lib.borders import check_number, check_text, check_texts

SPECIAL = ("<pad>", "<start>", "<end>")
MERGES = 49152 - 256 - 2  # 256 bytes and two frames are words without a rule
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


class WordTokenizer:
    """One id a word; every caption is framed by a start and an end token.

    Args:
        words: the vocabulary, lowercase; ids follow its order after the special tokens.
        length: the largest number of tokens, start and end included.

    Raises:
        ValueError: no list of words, a word twice, or a length below three.
    """

    def __init__(self, words: Iterable[str], *, length: int = 24):
        self.words = words if isinstance(words, str) else list(words)
        check_texts("words", self.words)
        if len(set(self.words)) < len(self.words):
            raise ValueError(
                f"words expected each word once, got {len(self.words)} with "
                f"{len(set(self.words))} different ones."
            )
        check_number("length", length, 3, whole=True)
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
        check_text("caption", caption)
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
        """Tokens, padded with 0 to the longest caption, and mask, True = real.

        Raises:
            ValueError: no list of captions, an empty one, or as `encode`.
        """
        return _padded(captions, self.encode)


class BPETokenizer:
    """Byte-pair tokenizer of the original CLIP (Radford et al. 2021, section 2.4).

    The 48,894 merges come from the file that `clip-anytorch` and `open_clip_torch`
    carry; the merging itself is done by the `tokenizers` library. Ids equal those of
    the original code (`tests/parity/test_clip_tokenizer.py`).

    Args:
        length: the largest number of tokens, start and end included.

    Raises:
        FileNotFoundError: neither package is installed.
        ValueError: a damaged file, or a length below three.
    """

    PIECES = (
        r"(?i)<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
        r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    )

    def __init__(self, *, length: int = 77):
        from tokenizers import Tokenizer, models, pre_tokenizers

        check_number("length", length, 3, whole=True)
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

        check_text("caption", caption)
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
        """Tokens, padded with 0 to the longest caption, and mask, True = real.

        Raises:
            ValueError: no list of captions, an empty one, or as `encode`.
        """
        return _padded(captions, self.encode)


def _padded(captions: list[str], encode: Callable) -> tuple[Tensor, Tensor]:
    check_texts("captions", captions)
    rows = [torch.tensor(encode(caption), device="cpu") for caption in captions]
    # no id is negative
    tokens = pad_sequence(rows, batch_first=True, padding_value=-1)
    return tokens.clamp(min=0), tokens >= 0


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in the order that numbers the vocabulary."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) for byte in shown] + [chr(256 + i) for i in range(len(hidden))]


def _lines(path: Path) -> list[str]:
    """The rules in a file; one line of heading, and more of them than CLIP uses."""
    try:
        lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        lines = []
    if len(lines) <= MERGES:
        raise ValueError(
            f"{path} expected {MERGES:,} merge rules of CLIP, got a damaged file: "
            "install the package again."
        )
    return lines[1 : MERGES + 1]


def _merges() -> list[str]:
    """The merge rules, read from whichever package carries them, without import."""
    for package in ("clip-anytorch", "open_clip_torch"):
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name == "bpe_simple_vocab_16e6.txt.gz":
                return _lines(Path(file.locate()))
    raise FileNotFoundError(
        "expected CLIP's merges file in clip-anytorch or open_clip_torch: run "
        "`pip install --no-deps clip-anytorch`."
    )
