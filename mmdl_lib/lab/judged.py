"""What each metric says of single captions, and how well it puts them in order.

METEOR and SPICE get the book's table of synonyms, as the original tools have WordNet's;
their names say so where they do without.
"""

from collections.abc import Callable, Collection, Sequence

import torch

from mmdl_lib.borders import check_choice, check_references, check_same_length
from mmdl_lib.data.shapes import Scenes, to_float
from mmdl_lib.lab.wrongness import synonyms
from mmdl_lib.metrics.bleu import coco_bleu
from mmdl_lib.metrics.cider import Rarity, cider, cider_d
from mmdl_lib.metrics.clip_score import clip_s
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.meteor import corpus_meteor, meteor
from mmdl_lib.metrics.rouge_l import coco_rouge_l
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.metrics.spice import spice
from mmdl_lib.models.clip import CLIP


def _bleu(order: int) -> Callable:
    def each(said, true):
        return [
            coco_bleu([text], [of])[order - 1]
            for text, of in zip(said, true, strict=True)
        ]

    return each


def _even(said, true) -> list[float]:
    """CIDEr-D with every n-gram as rare as any other."""
    return cider_d(said, true, known=Rarity({}, 1.0))


METRICS: dict[str, Callable] = {
    "BLEU-1": _bleu(1),
    "BLEU-4": _bleu(4),
    "ROUGE-L": coco_rouge_l,
    "METEOR": lambda said, true: meteor(said, true, synonyms=synonyms),
    "CIDEr": cider,
    "CIDEr-D": cider_d,
    "SPICE": lambda said, true: [s.f for s in spice(said, true, synonyms=synonyms)],
    "METEOR, no synonyms": meteor,
    "SPICE, no synonyms": lambda said, true: [s.f for s in spice(said, true)],
    "CIDEr-D, no rarity": _even,
}
FIVE = ("BLEU-4", "ROUGE-L", "METEOR", "CIDEr-D", "SPICE")  # of captioning tables
SIX = ("BLEU-1", *FIVE)


def judged(
    said: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    by: Collection[str] = SIX,
) -> dict[str, list[float]]:
    """The score of each caption, by metric.

    Args:
        said: a caption for each picture.
        references: for each picture at least one caption to compare with.
        by: names of `METRICS`.

    Raises:
        ValueError: an unknown metric, no caption, unequal lengths, or no reference.
    """
    for name in by:
        check_choice("metric", name, METRICS)
    check_references(said, references)
    return {name: METRICS[name](said, references) for name in by}


def corpus(
    said: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    by: Collection[str] = SIX,
) -> dict[str, float]:
    """One number for all captions, as tables print it.

    BLEU and METEOR add up their counts; the others are means. Args as in `judged`.
    """
    added = {"BLEU-1": 0, "BLEU-4": 3}
    bleu = coco_bleu(said, references)
    rest = [name for name in by if name not in (*added, "METEOR")]
    out = {name: bleu[place] for name, place in added.items() if name in by}
    if "METEOR" in by:
        out["METEOR"] = corpus_meteor(said, references, synonyms=synonyms)
    means = judged(said, references, by=rest)
    return out | {name: sum(values) / len(values) for name, values in means.items()}


def order(
    scores: dict[str, Sequence[float]], grades: Sequence[int]
) -> dict[str, float]:
    """Spearman's correlation of each metric with the number of false facts, negated.

    1 where fewer false facts always score higher. A metric that gives one score to all
    orders nothing, and gets 0.
    """
    fewer = [-float(grade) for grade in grades]
    return {
        name: spearman(values, fewer) if len(set(values)) > 1 else 0.0
        for name, values in scores.items()
    }


def prefers(better: Sequence[float], worse: Sequence[float]) -> float:
    """Share of pairs in which the first scores higher; ties count half.

    Scores that agree to nine digits are equal.

    Example:
        >>> prefers([1.0, 0.5, 0.2], [0.0, 0.5, 0.3])
        0.5
    """
    check_same_length(better=better, worse=worse)
    gaps = [round(a - b, 9) for a, b in zip(better, worse, strict=True)]
    return sum((gap > 0) + 0.5 * (gap == 0) for gap in gaps) / len(gaps)


@torch.no_grad()
def clip_each(
    model: CLIP, tokenizer: Callable, scenes: Scenes, said: Sequence[str]
) -> list[float]:
    """CLIP-S of each caption with the picture of its scene; needs no reference.

    Args:
        model, tokenizer: of `pretrained.load("clip", "shapes")`.
        scenes: what the pictures show.
        said: a caption for each.
    """
    check_same_length(captions=said, scenes=scenes)
    picture = model.encode_image(to_float(scenes.render()))
    text = model.encode_text(*tokenizer(list(said)))
    return [
        clip_s(Features(a[None], "our CLIP"), Features(b[None], "our CLIP")).value
        for a, b in zip(picture, text, strict=True)
    ]
