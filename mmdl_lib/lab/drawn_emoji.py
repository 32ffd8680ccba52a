"""Real pictures for the models of section 3.2: emoji, their names, and measures.

OpenMoji's drawings, 32 x 32, with the names that Unicode gives them. Of the names a
model may hear only words that stand in a name of a training picture, unless its reader
has learned words elsewhere. What it draws is compared with pixels alone, never by CLIP.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice
from mmdl_lib.core import generator
from mmdl_lib.data import emoji, words
from mmdl_lib.data.emoji import NEAR, EmojiSet
from mmdl_lib.data.shapes import to_bytes, to_float
from mmdl_lib.data.text import WORD, WordTokenizer
from mmdl_lib.lab import draws
from mmdl_lib.lab.engine import short

SIDE, LENGTH, ASKED = 32, 16, 128
COLORS = ("red", "orange", "yellow", "green", "blue", "purple")
# things that training has in each of the six colors, by name; things that it names in
# none, though it draws some in one (heart suit, racing car, wilted flower are red)
PAINTED, PLAIN = ("circle", "square"), ("heart", "flower", "car", "bird")
DRAWS = 4  # of each color and thing
# what the pages show: names of training pictures, names of held-out ones, inventions
SHOWN = {
    "in training": ("red apple", "blue circle", "yellow square", "black cat", "pizza")
    + ("rainbow", "rose", "owl"),
    "held out": ("red heart", "green heart", "blue heart", "yellow heart")
    + ("fish", "green salad", "polar bear", "cow face"),
    "no such emoji": ("purple apple", "green car", "red bird", "blue flower")
    + ("orange cat", "yellow star", "blue tree", "red fish"),
}
PROMPTS = tuple(name for group in SHOWN.values() for name in group)
# in full, so that only pages which show them depend on them
FILES = {
    "real": "emoji_real.webp",
    "glide": "emoji_glide.webp",
    "dalle2": "emoji_dalle2.webp",
    "imagen": "emoji_imagen.webp",
    "latent_diffusion": "emoji_latent_diffusion.webp",
    "gan_int_cls": "emoji_gan_int_cls.webp",
    "dalle": "emoji_dalle.webp",
    "stackgan": "emoji_stackgan.webp",
    "attngan": "emoji_attngan.webp",
    "parti": "emoji_parti.webp",
    "parti_vit": "emoji_parti_vit.webp",
    "vqgan_clip": "emoji_vqgan_clip.webp",
}
RECIPES = dict.fromkeys(FILES, "real_pictures")
RECIPES |= dict.fromkeys(("gan_int_cls", "dalle"), "emoji_gan_dalle")
RECIPES |= dict.fromkeys(("stackgan", "attngan"), "emoji_stack_attn")
RECIPES |= {"parti": "emoji_parti", "vqgan_clip": "emoji_vqgan_clip"}
RECIPES |= {"parti_vit": "emoji_parti_vit"}
FOLDER = Path(emoji.__file__).parent / "_emoji_draws"


@cache
def world(split: str) -> EmojiSet:
    """Emoji of a split."""
    return emoji.load(split, size=SIDE)


def names(data: EmojiSet) -> list[str]:
    """English names."""
    return [name["en"] for name in data.names]


def split(name: str) -> list[str]:
    """Words of a name, lowercase.

    Example:
        >>> split("T-Rex")
        ['t', 'rex']
    """
    return WORD.findall(name.lower())


@cache
def tokenizer() -> WordTokenizer:
    """Every word of the names in training."""
    found = {word for name in names(world("train")) for word in split(name)}
    return WordTokenizer(sorted(found), length=LENGTH)


def heard(name: str) -> str:
    """A name without words that training has not shown; "" where none is left."""
    return " ".join(word for word in split(name) if word in tokenizer().ids)


@cache
def glove() -> words.Words:
    """The frozen reader's words."""
    return words.glove()


def readable(name: str) -> list[str]:
    """Words of a name that GloVe knows."""
    return [word for word in split(name) if word in glove()]


def read(texts: list[str]) -> tuple[Float[Tensor, "b t e"], Bool[Tensor, "b t"]]:
    """What GloVe, a frozen reader of single words, says of texts.

    Raises:
        ValueError: a text without any word that GloVe knows.
    """
    found = [readable(text) for text in texts]
    if not all(found):
        text = texts[[bool(one) for one in found].index(False)]
        raise ValueError(f"expected texts with a word that GloVe knows, got {text!r}.")
    rows = [glove()[one] for one in found]
    mask = torch.arange(max(map(len, rows))) < torch.tensor([[len(r)] for r in rows])
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), mask


class Asked(NamedTuple):
    """Names with the pictures that they belong to; row i of each."""

    name: list[str]
    image: UInt8[Tensor, "n 3 s s"]
    group: list[str]


def asked(kind: str, count: int = ASKED) -> Asked:
    """Names that models are asked for, always the same.

    Args:
        kind: "known": of training pictures; "new": of held-out ones, with at least a
            word that training has shown; "unheard": of held-out ones, all of whose
            words are new but which GloVe knows.
        count: the most of them.
    """
    check_choice("kind", kind, ("known", "new", "unheard"))
    data = world("train" if kind == "known" else "test")
    rows = []
    for i in torch.randperm(len(data.code), generator=generator(17)).tolist():
        name = names(data)[i]
        if readable(name) and bool(heard(name)) == (kind != "unheard"):
            rows.append(i)
    rows = rows[: short(count, least=8)]
    pick = [names(data)[i] for i in rows], data.image[rows]
    return Asked(*pick, [data.group[i] for i in rows])


def apart(
    image: Float[Tensor, "b 3 h w"], other: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "b n"]:
    """Root mean square difference of each pair of pictures, of pixels from 0 to 255.

    Example:
        >>> one = torch.zeros(1, 3, 2, 2)
        >>> apart(one, torch.cat([one, one + 1])).tolist()
        [[0.0, 127.5]]
    """
    flat = (x.flatten(1).double() * 127.5 for x in (image, other))
    return (torch.cdist(*flat) / image[0].numel() ** 0.5).float()


def nearer(
    image: Float[Tensor, "b 3 h w"], real: Float[Tensor, "b 3 h w"], group: list[str]
) -> float:
    """How often a picture is nearer to the real one of its own name than to another.

    The other is of another group; a picture that does not depend on its name is at 0.5.
    """
    far = apart(image, real)
    other = torch.tensor([[a != b for b in group] for a in group])
    own = far.diagonal()[:, None]
    wins = (far > own).float() + 0.5 * (far == own)
    return ((wins * other).sum(1) / other.sum(1)).mean().item()


def hues(
    image: Float[Tensor, "b 3 h w"],
    palette: Float[Tensor, "k 3"],
    *,
    least: float = 0.001,
) -> Int[Tensor, " b"]:
    """Which color of a palette each picture has on the whole; -1: it is all gray.

    Gray counts for nothing, and a strong color for more than a weak one.

    Args:
        image: pixels from -1 to 1.
        palette: directions away from gray, of length one.
        least: mean square of a picture's distance from gray that is a color.
    """
    found, strong = _whole(image)
    best = (F.normalize(found, dim=1) @ palette.T).argmax(1)
    return torch.where(strong < least, -1, best)


def _whole(image: Tensor) -> tuple[Tensor, Tensor]:
    away = image - image.mean(1, keepdim=True)
    strong = away.square().mean(1, keepdim=True)
    return (away * strong).sum((2, 3)), strong.mean((1, 2, 3))


@cache
def palette() -> Float[Tensor, "k 3"]:
    """Directions of the six colors: those of the six emoji of a colored circle."""
    data = world("train")
    rows = [names(data).index(f"{color} circle") for color in COLORS]
    return F.normalize(_whole(to_float(data.image[rows]))[0], dim=1)


def painted(draw: Callable, things: tuple[str, ...]) -> dict[str, float]:
    """Shares of draws that have the asked color, and the next one of the six."""
    draws = short(DRAWS, least=1)
    texts = [f"{color} {thing}" for thing in things for color in COLORS] * draws
    color = torch.arange(len(COLORS)).repeat(len(things) * draws)
    found = hues(draw(texts), palette())
    true = {"asked": color, "next": (color + 1) % len(COLORS)}
    return {k: (found == v).double().mean().item() for k, v in true.items()}


def near(image: Float[Tensor, "b 3 h w"]) -> dict[str, float]:
    """How near pictures are to a training picture: the middle distance, and the share
    that the emoji world would call alike."""
    best = apart(image, to_float(world("train").image)).amin(1)
    return {
        "distance": best.median().item(),
        "alike": (best < NEAR).double().mean().item(),
    }


class Nearest(NamedTuple):
    """The training picture that each picture is nearest to, its name and how far."""

    image: UInt8[Tensor, "b 3 s s"]
    name: list[str]
    distance: Float[Tensor, " b"]


def nearest(image: Float[Tensor, "b 3 s s"]) -> Nearest:
    """Against memorizing: what in training is most like each picture, by pixels."""
    data = world("train")
    best = apart(image, to_float(data.image)).min(1)
    known = names(data)
    found = [known[i] for i in best.indices.tolist()]
    return Nearest(data.image[best.indices], found, best.values)


def measured(draw: Callable[[list[str]], Tensor], *kinds: str) -> dict:
    """All measures of a model.

    Args:
        draw: pictures in [-1, 1] for names.
        kinds: of `asked`.
    """
    found = {}
    for kind in kinds:
        said, image, group = asked(kind)
        drawn, real = draw(said), to_float(image)
        values = {"names": len(said), "own": nearer(drawn, real, group)}
        # a picture for another name, as a control
        values["other"] = nearer(drawn.roll(1, 0), real, group)
        found[kind] = values | near(drawn)
    found["painted"] = painted(draw, PAINTED)
    return found | {"plain": painted(draw, PLAIN)}


def baseline() -> dict:
    """Counts of the world, and the same measures of real pictures."""
    data, known = world("test"), world("train")
    colors = {}
    for thing, one in {"square": known, "heart": data}.items():
        rows = [names(one).index(f"{color} {thing}") for color in COLORS]
        found = hues(to_float(one.image[rows]), palette())
        colors[thing] = (found == torch.arange(len(COLORS))).double().mean().item()
    counts = {"train": len(known.code), "test": len(data.code)}
    counts |= {"words": len(tokenizer().words)}
    return counts | {"held out": near(to_float(asked("new").image)), "colors": colors}


# pictures that the pages show


def save(kind: str, image: Tensor) -> None:
    """Keep one row of pictures for `PROMPTS`, floats or bytes, without loss."""
    check_choice("kind", kind, tuple(FILES))
    image = to_bytes(image) if image.is_floating_point() else image
    draws.save(FOLDER / FILES[kind], image[None])


def shown(kind: str) -> UInt8[Tensor, "n 3 s s"]:
    """The pictures that `save` kept: drawn once by the recipe that `RECIPES` names.

    Raises:
        ValueError: another kind, or a missing or damaged file.
    """
    check_choice("kind", kind, tuple(FILES))
    return draws.read(FOLDER / FILES[kind], SIDE, RECIPES[kind])[0]


def real() -> UInt8[Tensor, "n 3 s s"]:
    """The emoji of each of `PROMPTS`; white where there is none."""
    data = world("all")
    found = {name: image for name, image in zip(names(data), data.image, strict=True)}
    white = torch.full((3, SIDE, SIDE), 255, dtype=torch.uint8)
    return torch.stack([found.get(name, white) for name in PROMPTS])


def pairs(kind: str) -> UInt8[Tensor, "n 3 s w"]:
    """The emoji of each prompt on the left, white where there is none, and on the right
    what was drawn."""
    return torch.cat([shown("real"), shown(kind)], 3)


def beside(kind: str, prompts: tuple[str, ...]) -> tuple[Tensor, list[str]]:
    """Rows for the pages: what was drawn for some prompts, each with the training
    picture that it is nearest to, and words under them."""
    rows = [PROMPTS.index(prompt) for prompt in prompts]
    drawn = shown(kind)[rows]
    found = nearest(to_float(drawn))
    labels = []
    for i, prompt in enumerate(prompts):
        labels += [prompt, f"{found.name[i]}, {found.distance[i]:.0f} away"]
    return torch.stack([drawn, found.image], 1).flatten(0, 1), labels


def table(*found: dict) -> list[dict]:
    """What `measured` says of a model, as rows for readers.

    Args:
        found: of one training numbers, of several a list of them in words.
    """
    kinds = {"known": "names of training pictures", "new": "names held out"}
    kinds |= {"unheard": "names held out, all words new"}
    heads = {"own": "own emoji nearer", "other": "drawn for another name"}
    heads |= {"alike": "like a training picture"}
    rows = []
    for kind, label in kinds.items():
        if kind in found[0]:
            row = {"asked for": label, "draws": found[0][kind]["names"]}
            rows.append(row | _columns(found, kind, heads))
    heads = {"asked": "asked color", "next": "next color"}
    for kind, things in {"painted": PAINTED, "plain": PLAIN}.items():
        count = len(things) * len(COLORS) * DRAWS
        row = {"asked for": f"{len(COLORS)} colors of {', '.join(things)}"}
        rows.append(row | {"draws": count} | _columns(found, kind, heads))
    return rows


def _columns(found: tuple[dict, ...], kind: str, heads: dict[str, str]) -> dict:
    out = {}
    for key, head in heads.items():
        shares = [run[kind][key] for run in found]
        words = ", ".join(f"{share:.2f}" for share in shares)
        out[head] = words if len(shares) > 1 else round(shares[0], 2)
    return out
