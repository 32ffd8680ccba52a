"""WordPiece: a word is cut into the longest pieces of the vocabulary, from the left."""

import json
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmdl_lib.borders import check_number, check_text, check_texts


class WordPiece:
    """BERT's tokenizer for lowercase English, with the vocabulary of a checkpoint.

    The cutting itself is done by the `tokenizers` library. What does not fit into
    `length` tokens is cut off, as BERT has no more positions.

    Args:
        path: `tokenizer.json` or `vocab.txt`, as `transformers` writes them.
        length: most tokens of a text, [CLS] and [SEP] among them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file without the tokens that BERT needs.
    """

    def __init__(self, path: str | Path, *, length: int = 512):
        from tokenizers import BertWordPieceTokenizer

        check_number("length", length, 3, whole=True)
        self.length, self.ids = length, _vocabulary(Path(path))
        self.pad, self.cls, self.sep, self.mask = (
            self.ids[f"[{name}]"] for name in ("PAD", "CLS", "SEP", "MASK")
        )
        self.engine = BertWordPieceTokenizer(self.ids, lowercase=True)
        self.engine.enable_truncation(length)

    @property
    def vocab(self) -> int:
        """Number of ids."""
        return len(self.ids)

    def encode(self, text: str) -> list[int]:
        """Ids of one text, between [CLS] and [SEP]; an empty one has only these.

        Raises:
            ValueError: no text.
        """
        check_text("text", text)
        return self.engine.encode(text).ids

    def pieces(self, text: str) -> list[str]:
        """The pieces in letters; ## marks those that go on with a word."""
        check_text("text", text)
        return self.engine.encode(text).tokens

    def __call__(
        self, texts: list[str]
    ) -> tuple[Int[Tensor, "b t"], Bool[Tensor, "b t"]]:
        """Tokens, padded to the longest text, and mask, True = real.

        Raises:
            ValueError: no list of texts, or an empty one.
        """
        check_texts("texts", texts)
        rows = [torch.tensor(self.encode(text), device="cpu") for text in texts]
        tokens = pad_sequence(rows, batch_first=True, padding_value=-1)
        return tokens.masked_fill(tokens < 0, self.pad), tokens >= 0


def _vocabulary(path: Path) -> dict[str, int]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        ids = json.loads(text).get("model", {}).get("vocab", {})
    else:
        ids = {word: i for i, word in enumerate(text.splitlines())}
    lacking = [f"[{n}]" for n in ("PAD", "UNK", "CLS", "SEP", "MASK")]
    lacking = [name for name in lacking if name not in ids]
    if lacking:
        raise ValueError(
            f"expected BERT's vocabulary in {path}, got none with {', '.join(lacking)}."
        )
    return ids
