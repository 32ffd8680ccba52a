"""Verses for a Transformer: both languages in one vocabulary, as in the paper.

The ids of English pieces stay as they are, those of Spanish pieces stand behind them;
padding, start and end are the same for both.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.data import verses
from mmdl_lib.data.verses import END, PAD, START
from mmdl_lib.lab.translation import Pairs, pooled
from mmdl_lib.models.transformer import KEYS, Transformer


def shift() -> int:
    """What is added to the id of a Spanish piece."""
    return verses.pieces("english").vocab - END - 1


def size() -> int:
    """Pieces of both languages together."""
    return shift() + verses.pieces("spanish").vocab


def joined(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """A batch of `Pairs.batch` with its source in the common vocabulary."""
    source = batch["source"]
    return batch | {"source": torch.where(source > END, source + shift(), source)}


def pieces(ids: Iterable[int] | Int[Tensor, " t"]) -> list[str]:
    """Letters of each id up to the end, the end left out; "</w>" ends a word."""
    found = []
    for i in ids.tolist() if isinstance(ids, Tensor) else ids:
        if i == END:
            break
        if i in (PAD, START):
            continue
        spanish = i > END + shift()
        engine = verses.pieces("spanish" if spanish else "english").engine
        found.append(engine.id_to_token(i - shift() if spanish else i))
    return found


def said(rows: Int[Tensor, "b t"]) -> list[str]:
    """The words of each row as a text; Spanish pieces may be among them."""
    joined_ = ("".join(pieces(row)) for row in rows)
    return [" ".join(text.replace("</w>", " ").split()) for text in joined_]


def translated(
    model: Transformer, data: Pairs, *, beams: int = 1, size: int = 100
) -> list[str]:
    """Translations of all clauses, in their order, in evaluation mode."""
    model.eval()
    order = sorted(range(len(data.source)), key=lambda i: len(data.source[i]))
    found = [""] * len(order)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batch = joined(data.batch(rows))
        given = batch["source"], batch["source_mask"]
        made = model.generate(*given, beams=beams, max_length=30)
        for i, text in zip(rows, said(made), strict=True):
            found[i] = text
    return found


@torch.no_grad()
def surprise(model: Transformer, data: Pairs) -> dict[str, float]:
    """Of the true next pieces, ends among them, in evaluation mode.

    "nats" is the mean of -log p, "accuracy" the share that is the likeliest, "sure" the
    mean probability of the likeliest, right or wrong.
    """
    model.eval()
    batch = joined(data.batch(range(len(data.source))))
    logits = model.logits(*(batch[key] for key in KEYS))[:, :-1]
    real, target = batch["mask"][:, 1:], batch["tokens"][:, 1:]
    log_p, target = logits[real].log_softmax(-1), target[real]
    top = log_p.max(-1)
    return {
        "nats": -log_p.gather(1, target[:, None]).double().mean().item(),
        "accuracy": (top.indices == target).double().mean().item(),
        "sure": top.values.exp().double().mean().item(),
    }


def cross_weights(
    model: Transformer, data: Pairs
) -> list[Float[Tensor, "layers heads _ _"]]:
    """Cross-attention of each English word on each Spanish word, by layer and head.

    As `word_weights` of `lab.translation`: the row that chose a piece counts for it.
    """
    batch = joined(data.batch(range(len(data.source))))
    cross = model.eval().attention(*(batch[key] for key in KEYS)).cross
    return [
        torch.stack(
            [
                torch.stack([pooled(head, data, i) for head in layer])
                for layer in cross[i]
            ]
        )
        for i in range(len(cross))
    ]
