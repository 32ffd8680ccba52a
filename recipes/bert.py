"""Train one small net as BERT and as GPT, and tag words with few labels and many.

Command: python recipes/bert.py   (what is missing, then the claims; or a group's name)
Expected: about 15 minutes on a quiet core. Seeing both sides helps to tag words, seeing
one side helps to go on with a text. The values stand in results/bert.json.
"""

import copy
from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.lab import masks
from mmdl_lib.lab.masks import Masked, Tagger, Text
from mmdl_lib.metrics.probe import linear_probe
from mmdl_lib.models.bert import BERTConfig
from mmdl_lib.nn import sinusoidal

WIDTH, START, WAVES = 64, 0.07, 0.2
SMALL = BERTConfig(
    vocab=len(masks.vocabulary()),
    width=WIDTH,
    depth=2,
    heads=4,
    positions=masks.LENGTH,
    segments=1,
    dropout=0.0,
    cls_token=masks.CLS,
    sep_token=masks.SEP,
    mask_token=masks.MASK,
)
STEPS, BATCH, RATE = 3000, 48, 3e-3
LABELS = (50, 200, 800, 3200)  # verses with tags
TUNING = {"steps": 300, "lr": 2e-3}
KINDS = {"BERT": "full", "GPT": "causal"}


def fresh(kind: str, seed: int) -> Masked:
    """A net before training: equal for all kinds.

    A width of 64 wants a larger start than 0.02, and positions that begin as waves, or
    most of a short training goes by before attention finds the neighbors.
    """
    torch.manual_seed(seed)
    model = Masked(SMALL)
    model.kind = KINDS[kind]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter *= START / 0.02
        waves = sinusoidal(torch.arange(masks.LENGTH), WIDTH, base=20)
        model.positions.table.copy_(WAVES * waves)
    return model


def pretrained(kind: str, seed: int, steps: int = STEPS):
    """A net after its own objective, and the curve of its loss."""
    model, some = fresh(kind, seed), masks.text("train")
    batches = lab.rows(BATCH, seed, tokens=some.tokens, mask=some.mask)
    history = lab.train(model, batches, steps=steps, lr=RATE)
    return model, lab.means(history.losses["loss"], 50)


@cache
def tagged_verses() -> tuple[Text, Text]:
    """Verses of the New Testament with tags: to learn from, and of other books."""
    train, *others = (masks.text(split) for split in ("train", "test", "valid"))
    other = Text(*(torch.cat(parts) for parts in zip(*others, strict=True)))
    return tuple(Text(*(x[(s.tags >= 0).any(1)] for x in s)) for s in (train, other))


@cache
def ambiguous() -> torch.Tensor:
    """Words whose most frequent tag is right in less than 80 % of their places."""
    table = masks.most_frequent(tagged_verses()[0])
    return table.amax(1) < 0.8 * table.sum(1)


def score(tags: torch.Tensor) -> dict:
    """Accuracy on words of other books: all of them, and those of several tags."""
    test = tagged_verses()[1]
    right, known = tags == test.tags, test.tags >= 0
    several = known & ambiguous()[test.tokens]
    return {
        "all": right[known].double().mean().item(),
        "several": right[several].double().mean().item(),
    }


def some_labels(n: int, seed: int) -> Text:
    """The same verses for every arm of a seed; the fewer are among the more."""
    train = tagged_verses()[0]
    row = torch.randperm(len(train.tokens), generator=generator(seed))[:n]
    return Text(*(x[row] for x in train))


def tuned(trunk: Masked, n: int, seed: int) -> dict:
    """Accuracies after fine-tuning a copy on n verses."""
    few = some_labels(n, seed)
    torch.manual_seed(seed)
    model = Tagger(copy.deepcopy(trunk))
    lab.train(model, lab.rows(16, seed, **few._asdict()), **TUNING)
    return score(masks.tagged(model, tagged_verses()[1]))


def net(seed: int, *, kind: str, steps: int = STEPS) -> dict:
    """Pre-train (or not), say the next word, and tag after fine-tuning."""
    model, curve = pretrained(kind, seed, steps) if steps else (fresh(kind, seed), [])
    found = {str(n): tuned(model, n, seed) for n in LABELS}
    if steps and kind == "BERT":
        test = masks.features(model, tagged_verses()[1])
        for n in LABELS:
            some = masks.features(model, some_labels(n, seed))
            found[str(n)]["frozen"] = linear_probe(*some, *test)
    if steps:
        cut = masks.cuts(masks.text("test"), generator(50_000 + seed))
        found |= {"curve": curve, "whole": masks.nats(model, cut, after=None)}
        ways = (0, 1) if kind == "BERT" else (None,)
        # asked with nothing behind the mask, and with [SEP]: the better counts
        found["next"] = min(masks.nats(model, cut, after=after) for after in ways)
    return found


def words(seed: int) -> dict:
    """Without any net: tags by counting, and how common the words are."""
    sides = {"word": (), "before": (-1,), "around": (-1, 1)}
    found, test = {}, tagged_verses()[1]
    for n in LABELS:
        some = some_labels(n, seed)
        found[str(n)] = {
            name: score(masks.counted(some, test, sides=side))
            for name, side in sides.items()
        }
    some, cut = masks.text("train"), masks.text("test")
    cut = masks.cuts(cut, generator(50_000 + seed))
    counts = some.tokens[some.mask].bincount(minlength=SMALL.vocab).double()
    return found | {"next": -(counts / counts.sum()).log()[cut.word].mean().item()}


def weights() -> dict:
    """BERT and GPT in small, trained longer, for the page and its demo."""
    found = {}
    for kind, name in (("BERT", "verses"), ("GPT", "verses_causal")):
        model, curve = pretrained(kind, 0, steps=2 * STEPS)
        lab.save_weights(model, "bert", name)
        found[kind] = {"curve": curve}
    return found


GROUPS = {
    "nets": {kind: partial(net, kind=kind) for kind in KINDS}
    | {
        f"{kind} untrained": partial(net, kind=kind, steps=0)
        for kind in ("BERT", "GPT")
    },
    "words": words,
}
CLAIMS = lab.read_claims(__file__)
LAB = lab.Lab("bert", groups=GROUPS, once={"weights": weights}, claims=CLAIMS, least=6)

if __name__ == "__main__":
    LAB.main()
