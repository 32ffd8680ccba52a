"""The frame of section 3.2: the same 500 prompts and the same measures for every model.

A model draws `prompts().text`, `score` says what became of them, `keep` writes its rows
into `results/text_to_image/<slug>.json`, and the page of the table shows all that is
there. A model that comes later adds a file and edits none.
"""

import json
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdl_lib import record
from mmdl_lib.borders import check_image, check_text
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, to_bytes, to_float
from mmdl_lib.data.shapes.language import article
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.metrics.faithfulness import faithfulness
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.fid import fid
from mmdl_lib.metrics.precision_recall import precision_recall
from mmdl_lib.pretrained.features import shapes_features

PROMPTS, REAL = 500, 2000
SEED, REAL_SEED = 32_100, 32_101  # training sets of models take other seeds
FOLDER = "text_to_image"
WORLD = {"objects": (1, 3), "textures": "solid"}
SIDE = 32
RESIZED = "pictures of another size brought to 32 x 32 by means over equal areas"


class Prompts(NamedTuple):
    """What all models are asked for, and the scene behind each text."""

    text: list[str]
    scenes: Scenes


class Scores(NamedTuple):
    """Shares from 0 to 1, and distances in named features.

    Attributes:
        color, shape, size: share of the asked objects of which it is right; `size`
            counts objects of the asked color, shape and size.
        count, relation: share of the pictures; relations where two objects are asked.
        exact: share of pictures with exactly the asked colors and shapes in their
            places, whatever the sizes.
        fid, precision, recall: against 2,000 real pictures of other scenes.
        features: what the last three were measured in.
    """

    color: float
    shape: float
    size: float
    count: float
    relation: float
    exact: float
    fid: float
    precision: float
    recall: float
    features: str


def sample(n: int, *, seed: int) -> Scenes:
    """Scenes of the section's world: one to three plain objects, no held-out pairs."""
    return shapes.sample(n, seed=seed, **WORLD)


def texts(scenes: Scenes) -> list[str]:
    """One text for each scene that says all that is scored, and nothing else.

    Such as "a small red star left of a large blue ring"; where there are more than two
    objects, the others come first, joined by "and".
    """
    out = []
    for things, at in zip(scenes.things(), shapes.relation(scenes), strict=True):
        name = [article(f"{t.size} {t.color} {t.shape}") for t in things]
        first = f" {shapes.RELATIONS[int(at)]} ".join(name[:2])
        out.append(" and ".join([*name[2:], first]))
    return out


@lru_cache(maxsize=1)
def prompts() -> Prompts:
    """The 500 prompts of the section, always the same."""
    scenes = sample(PROMPTS, seed=SEED)
    return Prompts(texts(scenes), scenes)


def tokenizer(*, length: int = 24) -> WordTokenizer:
    """Every word that a prompt can hold; an unknown word or an empty prompt is one
    clear sentence."""
    return WordTokenizer(shapes.caption_words(), length=length)


@lru_cache(maxsize=1)
def real() -> Features:
    """Features of the real pictures that all models are compared with."""
    return features(to_float(sample(REAL, seed=REAL_SEED).render()))


def features(image: Tensor) -> Features:
    """The features of FID, precision and recall; errors as in `score`."""
    image = _small(image)
    found = [shapes_features(part) for part in image.split(500)]
    values = torch.cat([part.values for part in found]).cpu()
    return Features(values, f"{found[0].source}, {RESIZED}")


def score(images: Tensor) -> Scores:
    """All measures of the pictures that were drawn for `prompts()`, in their order.

    Args:
        images: (500, 3, h, h), uint8 in [0, 255] or floats in [-1, 1].

    Raises:
        ValueError: another number of pictures, another shape, or pixels out of range.
    """
    images = _small(images)
    if len(images) != PROMPTS:
        raise ValueError(
            f"pictures expected {PROMPTS}, one for each prompt in its order, got "
            f"{len(images)}."
        )
    scenes = prompts().scenes
    # what is read is what would be stored: bytes
    images = to_bytes(images).cpu()
    found, fake = faithfulness(images, scenes), features(to_float(images))
    near = precision_recall(real(), fake)
    return Scores(
        found.color,
        found.shape,
        sized(images, scenes),
        found.count,
        found.relation,
        found.exact,
        fid(real(), fake).value,
        near.precision,
        near.recall,
        fake.source,
    )


def sized(images: Tensor, scenes: Scenes) -> float:
    """Share of the asked objects that are seen in their color, shape and size."""
    shares = []
    for seen, asked in zip(scenes.seen_in(images), scenes.things(), strict=True):
        one, two = (Counter(x[:3] for x in part) for part in (seen, _bare(asked)))
        shares.append((one & two).total() / two.total())
    return sum(shares) / len(shares)


def _bare(things: list) -> list[tuple[str, str, str]]:
    return [(thing.shape, thing.color, thing.size) for thing in things]


def _small(image: Tensor) -> Tensor:
    """Pictures as floats, 32 x 32."""
    if getattr(image, "dtype", None) == torch.uint8:
        image = to_float(image)
    check_image(image, name="pictures")
    if image.shape[1] != 3 or image.shape[2] != image.shape[3] or len(image) == 0:
        raise ValueError(
            "pictures expected shape (b, 3, h, h), at least one, got "
            f"{tuple(image.shape)}."
        )
    if image.shape[-1] != SIDE:
        # of five ways the one that FID notices least: recipes/image_measures.py
        image = F.interpolate(image, (SIDE, SIDE), mode="area")
    return image


# rows of the table


def keep(
    slug: str,
    name: str,
    scores: Mapping[int, Scores],
    *,
    parameters: int | None = None,
    seconds: float | None = None,
    minutes: float | None = None,
    note: str = "",
    merge: bool = False,
) -> None:
    """Write a model's row, for recipes.

    Args:
        slug: of the chapter; its file holds all of its rows.
        name: of the model, as the table shows it.
        scores: seed -> what `score` said.
        parameters: of the model.
        seconds: for one picture, one core.
        minutes: of training, one core.
        note: a few words, such as "best of 8 by CLIP".
        merge: other seeds that the row has already stay, measured side by side or
            before.

    Raises:
        ValueError: no name, no scores, or scores in two kinds of features.
    """
    check_text("name", name)
    if not name.strip() or not scores:
        raise ValueError(f"a row expected a name and scores, got {name!r}, {scores}.")
    sources = {s.features for s in scores.values()}
    if len(sources) > 1:
        raise ValueError(f"scores expected one kind of features, got {sources}.")
    row = {"parameters": parameters, "seconds": seconds, "minutes": minutes}
    row |= {"note": note, "features": sources.pop()}
    seeds = {str(k): _numbers(s) for k, s in scores.items()}

    def change(whole: dict) -> None:
        old = whole.get(name, {}) if merge else {}
        if old.get("features", row["features"]) != row["features"]:
            kinds = {old["features"], row["features"]}
            raise ValueError(f"scores expected one kind of features, got {kinds}.")
        whole[name] = row | {"seeds": old.get("seeds", {}) | seeds}

    record.update(f"{FOLDER}/{slug}", change)


def _numbers(scores: Scores) -> dict[str, float]:
    """Four digits: a share of 500 pictures has no more."""
    values = scores._asdict()
    return {k: round(v, 4) for k, v in values.items() if k != "features"}


def rows(place: Path | None = None) -> list[dict]:
    """All rows that recipes have written, the most exact first.

    Args:
        place: a folder of such files; by default that of the book.

    Each has `name`, `slug` of its chapter, `parameters`, `seconds`, `minutes`, `note`,
    `features`, the number of `seeds`, and for each score (mean, lowest, highest).
    """
    found = []
    for path in sorted((place or folder()).glob("*.json")):
        for name, row in json.loads(path.read_text("utf-8")).items():
            runs = list(row["seeds"].values())
            facts = {k: v for k, v in row.items() if k != "seeds"}
            facts |= {"name": name, "slug": path.stem, "seeds": len(runs)}
            for key in runs[0]:
                values = [run[key] for run in runs]
                mean = sum(values) / len(values)
                low, high = min(values), max(values)
                facts[key] = (min(max(mean, low), high), low, high)
            found.append(facts)
    return sorted(found, key=lambda row: (-row["exact"][0], row["fid"][0]))


def folder() -> Path:
    """Where the rows are: in the repository, or in the installed wheel."""
    place = record.folder() / FOLDER
    return place if place.is_dir() else record.PACKAGE / "_results" / FOLDER


def table(found: list[dict] | None = None) -> list[dict]:
    """Rows in words, for `viz.table`: means over seeds. By default all of the book."""
    out = []
    for row in rows() if found is None else found:
        shares = ("exact", "color", "shape", "size", "count", "relation")
        line = {"drawn by": row["name"]}
        line |= {key: round(row[key][0], 3) for key in shares}
        line["FID"] = round(row["fid"][0], 2)
        line |= {key: round(row[key][0], 3) for key in ("precision", "recall")}
        line |= {"parameters": row["parameters"], "seconds a picture": row["seconds"]}
        line |= {"minutes": row["minutes"], "seeds": row["seeds"]}
        out.append(line)
    return out


def shares(slug: str = "", found: list[dict] | None = None) -> dict:
    """What `viz.shares` draws: the exact pictures of every row, one chapter's marked.

    Args:
        slug: of the chapter; "" marks none.
        found: rows as `rows` gives them; by default all of the book.

    Raises:
        ValueError: no row of that chapter.
    """
    found = rows() if found is None else found
    # three digits, as in the table: a share of 500 pictures has no more
    values = {r["name"]: tuple(round(x, 3) for x in r["exact"]) for r in found}
    own = [row["name"] for row in found if row["slug"] == slug]
    if slug and not own:
        known = sorted({row["slug"] for row in found})
        raise ValueError(f"expected a chapter with rows, one of {known}, got {slug!r}.")
    bold = "; bold, with a diamond: this chapter's models" if own else ""
    alt = "; ".join(f"{name} {_spoken(*value)}" for name, value in values.items())
    said = f" Marked: {'; '.join(own)}." if own else ""
    return {
        "values": values,
        "marked": own,
        "xlabel": "share of exact pictures (axis stretched near 0)",
        "title": f"The same 500 prompts: mean, lowest and highest seed{bold}",
        "alt": f"Share of exact pictures, the most exact first: {alt}.{said}",
    }


def _spoken(mean: float, low: float, high: float) -> str:
    return f"{mean:.3f}" + (f" ({low:.3f} to {high:.3f})" if low < high else "")
