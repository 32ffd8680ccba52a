"""Who has which color: one painter, and what tells it of two objects.

The painter is the U-Net of the chapter on GLIDE, which can draw two objects. It gets an
ear that has learned nothing yet: a reader of captions, or the two layers that hear
CLIP's embedding of a picture. Both then learn from the same pictures.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mmdl_lib import data
from mmdl_lib.borders import check_choice
from mmdl_lib.data.shapes import Scenes
from mmdl_lib.lab import draws, runs
from mmdl_lib.lab import few_objects as fo
from mmdl_lib.lab import unclip as un
from mmdl_lib.lab.engine import short
from mmdl_lib.models.dalle2 import Decoder, DecoderConfig
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.pretrained import small
from mmdl_lib.train import History

EARS = ("caption", "embedding")
SHOWN = 6  # of what is drawn for a caption or an embedding
# in full, so that only pages which show them depend on them
FILES = {
    "caption": "binding_caption.webp",
    "plain picture": "binding_plain_picture.webp",
    "plain prior": "binding_plain_prior.webp",
    "even picture": "binding_even_picture.webp",
    "even prior": "binding_even_prior.webp",
}
FOLDER = Path(data.__file__).parent / "_binding_draws"


class Pairs(NamedTuple):
    """Pictures of two objects; captions that say who stands where; embeddings.

    Only the picture, one caption and the embedding are learned from: no labels.
    """

    scenes: Scenes
    tokens: Int[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    picture: Float[Tensor, "b d"]

    def columns(self) -> dict[str, Tensor]:
        """What a batch is made of, for any painter."""
        columns = self._asdict() | {"image": self.scenes.render(fo.SIDE)}
        del columns["scenes"]
        return columns


def told(scenes: Scenes) -> Pairs:
    """Scenes of two objects with all that tells of them."""
    tokens, mask = fo.tokenizer()(fo.texts(scenes))
    longest = int(mask.sum(1).max())
    picture = un.seen(scenes.render(fo.SIDE))
    return Pairs(scenes, tokens[:, :longest], mask[:, :longest], picture)


def apart(scenes: Scenes) -> Bool[Tensor, " b"]:
    """Which pairs differ in color and in shape, so that a swap can be seen."""
    color, shape = scenes.color, scenes.shape
    return (color[:, 0] != color[:, 1]) & (shape[:, 0] != shape[:, 1])


def sample(n: int, *, seed: int) -> Scenes:
    """So many pairs that differ in color and in shape."""
    count = short(n, least=8)
    scenes = fo.sample(2 * count, 2, seed=seed)
    return scenes[apart(scenes).nonzero()[:count, 0]]


def exchanged(scenes: Scenes) -> Scenes:
    """The same pairs with the colors of the two objects exchanged."""
    rest = range(2, scenes.color.shape[1])
    return replace(scenes, color=scenes.color[:, [1, 0, *rest]])


def painter(ear: str) -> GLIDE | Decoder:
    """The painter with an untrained ear, for a "caption" or an "embedding".

    Raises:
        ValueError: another ear.
    """
    check_choice("ear", ear, EARS)
    known = small.load("glide", "shapes")
    c = known.config
    if ear == "caption":
        model = GLIDE(replace(c, facts=()))
    else:
        names = "net", "image_size", "empty", "kind", "steps", "shift", "target"
        how = {name: getattr(c, name) for name in (*names, "weight")}
        model = Decoder(DecoderConfig(embed=un.clip()[0].config.embed, **how))
    model.net.load_state_dict(known.net.state_dict())
    return model


def trained(
    ear: str, pairs: Pairs, *, seed: int, steps: int
) -> tuple[GLIDE | Decoder, History]:
    """A painter with an ear, and how it learned; its averaged weights stay.

    Both kinds see the same rows with the same noise, as long as they learn.
    """
    torch.manual_seed(seed)
    model = painter(ear)
    batches = runs.rows(32, seed, **pairs.columns())
    return model, fo.fitted(model, batches, seed=seed, steps=steps, ema=0.99)


def evened(
    like: Float[Tensor, "n d"],
) -> Callable[[Float[Tensor, "b d"]], Float[Tensor, "b d"]]:
    """A map after which embeddings like these have mean zero and deviation 1 / sqrt(d)
    in every direction: nothing is lost, and what was quiet is as loud as all else."""
    middle = like.mean(0)
    variance, axes = torch.linalg.eigh(like.T.cov())
    # directions without any spread, as with few rows, stay as good as silent
    variance = variance.clamp(min=1e-6 * variance.max().item())
    whiten = axes @ torch.diag((variance * like.shape[1]) ** -0.5) @ axes.T
    return lambda z: (z - middle) @ whiten


def liked(scenes: Scenes) -> dict[str, float]:
    """Shares of pictures whose true caption CLIP likes better than a changed one.

    `exchanged`: the colors of the two objects; `other`: each color is another one.
    """
    seen = un.seen(scenes.render(fo.SIDE))
    others = replace(scenes, color=(scenes.color + 1) % 8)
    near = [
        (seen * un.read(fo.texts(said)).text).sum(1)
        for said in (scenes, exchanged(scenes), others)
    ]
    share = {"exchanged": near[0] > near[1], "other": near[0] > near[2]}
    return {name: true.double().mean().item() for name, true in share.items()}


def who(image: Float[Tensor, "b 3 h w"], asked: Scenes) -> dict[str, float]:
    """Of pictures of pairs that differ in color and in shape: shares by what is there.

    `parts`: two objects, their colors and their shapes are the asked ones, in any
    order; of these `swapped`: each has the color of the other (0.5 is chance; None if
    there are none). `right`: each has its own, of all pictures.
    """
    here = [0, 0]
    for seen, things in zip(asked.seen_in(image), asked.things(), strict=True):
        kinds = [(s.color, s.shape) for s in seen]
        true = [(t.color, t.shape) for t in things]
        if _parts(kinds) == _parts(true):
            here[sorted(kinds) != sorted(true)] += 1
    parts = sum(here)
    return {
        "parts": parts / len(image),
        "swapped": here[1] / parts if parts else None,
        "right": here[0] / len(image),
    }


def _parts(kinds: list[tuple[str, str]]) -> list[Counter]:
    """Colors, and shapes, each with how often."""
    return [Counter(kind[i] for kind in kinds) for i in (0, 1)]


def keep(kind: str, image: UInt8[Tensor, "n 3 32 32"]) -> None:
    """Keep the first pictures for the page, without loss."""
    check_choice("kind", kind, tuple(FILES))
    draws.save(FOLDER / FILES[kind], image[None, :SHOWN])


def shown(kind: str) -> UInt8[Tensor, "n 3 32 32"]:
    """What `keep` kept.

    Raises:
        ValueError: another kind, or a missing or damaged file.
    """
    check_choice("kind", kind, tuple(FILES))
    return draws.read(FOLDER / FILES[kind], fo.SIDE, "dalle2_binding")[0]
