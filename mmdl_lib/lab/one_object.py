"""The small world of the chapter on DALL-E: one large object, 16 x 16 pixels.

Its pictures are a quarter of those that the rest of the book draws, so that a row of 64
tokens has words for every 2 x 2 pixels and a Transformer learns it in minutes. The
program that reads pictures and our CLIP see them with every pixel four times.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, to_float
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab import runs
from mmdl_lib.lab.engine import short
from mmdl_lib.lab.image_measures import clip_image, clip_text
from mmdl_lib.metrics.faithfulness import faithfulness
from mmdl_lib.models.dalle import DALLE
from mmdl_lib.models.dvae import DVAE
from mmdl_lib.models.parti import Parti
from mmdl_lib.models.vit_vqgan import ViTVQGAN
from mmdl_lib.train import History

SIDE, WEIGHTS = 16, "large-object"
EMPTY = 0.1  # share of the captions that are left out in training, for guidance


def sample(n: int, *, seed: int) -> Scenes:
    """Scenes of one large plain object."""
    world = {"objects": 1, "sizes": "large", "textures": "solid"}
    return shapes.sample(n, seed=seed, **world)


def texts(scenes: Scenes) -> list[str]:
    """Such as "a red star": the color and the shape, which are what is scored."""
    return [said[0] for said in shapes.captions(scenes)]


def tokenizer() -> WordTokenizer:
    """Every word of the world's captions."""
    return WordTokenizer(shapes.caption_words(), length=8)


def larger(image: Tensor) -> Tensor:
    """Every pixel four times: 32 x 32, as the reader and CLIP expect."""
    return F.interpolate(image, scale_factor=2, mode="nearest")


def dvae(
    seed: int,
    image: Tensor,
    *,
    begun: bool,
    steps: tuple[int, int],
    seconds: list[float] | None = None,
    **changes,
) -> DVAE:
    """A dVAE, trained on pictures (b, 3, 16, 16), bytes.

    Args:
        seed: of weights, batches and noise.
        image: what it learns from.
        begun: whether its codes begin at places of the data.
        steps: of the decoder alone, and of both.
        seconds: if given, the time of each stage is added to it.
        changes: in its config.
    """
    torch.manual_seed(seed)
    config = DVAE.PRESETS["large-object"]
    model = DVAE(type(config)(**{**vars(config), **changes}))
    if begun:
        model.begin(to_float(image[:100]))
    batches = runs.rows(64, seed, image=image)
    for stage, (count, lr) in enumerate(zip(steps, (2e-2, 2e-3), strict=True)):
        watch = partial(_cool, steps=short(count)) if stage else None
        options = {"stage": stage, "lr": lr, "watch": watch, "seed": seed}
        history = runs.train(model, batches, steps=count, **options)
        if seconds is not None:
            seconds.append(round(history.seconds))
    return model.eval()


def _cool(step: int, model: DVAE, terms: dict, *, steps: int) -> None:
    model.cool(step, steps)


@torch.no_grad()
def reconstruction(
    model: DVAE | ViTVQGAN, *, seed: int, n: int = 300
) -> dict[str, float]:
    """How much of new pictures is left after they have been 64 codes.

    `error` is the mean distance of pixels in [-1, 1]; `color` and `shape` are shares of
    the pictures in which they can be read; `codes` counts those in use, `even` is e to
    the entropy of their shares.
    """
    scenes = sample(short(n, least=20), seed=seed)
    image = to_float(scenes.render(SIDE))
    codes = model.encode(image)
    back = model.decode(codes)
    found = faithfulness(larger(back), scenes)
    share = codes.flatten().bincount().double() / codes.numel()
    entropy = -(share * share.clamp(min=1e-30).log()).sum()
    return {
        "error": (back - image).abs().mean().item(),
        "color": found.color,
        "shape": found.shape,
        "codes": int((share > 0).sum()),
        "even": entropy.exp().item(),
    }


def encoded(model: DVAE | ViTVQGAN, image: Tensor) -> Int[Tensor, "b n"]:
    """Codes of pictures, bytes."""
    with torch.no_grad():
        return torch.cat([model.encode(to_float(p)) for p in image.split(500)])


def held(step: int, steps: int) -> float:
    """The rate's share: up in 200 steps, held, and down to zero in the last quarter."""
    return min(1.0, (step + 1) / 200, 4 * (1 - step / steps))


def dalle(
    seed: int,
    scenes: Scenes,
    *,
    steps: int,
    model: DVAE,
    schedule: Callable[[int, int], float] | None = None,
    checkpoint: str | Path | None = None,
    **changes,
) -> tuple[DALLE, History]:
    """A DALL-E, trained on captions and codes of scenes.

    Args:
        seed: of weights and batches.
        scenes: what it learns from.
        steps: of 32 rows.
        model: the dVAE whose codes it learns.
        schedule, checkpoint: as in `mmdl_lib.train.fit`.
        changes: in its config.
    """
    torch.manual_seed(seed)
    words = tokenizer()
    tokens, mask = words(texts(scenes))
    config = DALLE.PRESETS["large-object"]
    net = DALLE(type(config)(**{**vars(config), **changes}))
    codes = encoded(model, scenes.render(SIDE))
    batches = runs.rows(32, seed, change=_silent, tokens=tokens, mask=mask, codes=codes)
    options = {"schedule": schedule, "checkpoint": checkpoint, "every": 250}
    history = runs.train(net, batches, steps=steps, lr=2e-3, seed=seed, **options)
    return net.eval(), history


def _silent(batch: dict, random: torch.Generator) -> dict:
    """Some captions are left out."""
    gone = torch.rand(len(batch["tokens"]), generator=random) < EMPTY
    return batch | {"silent": gone}


@torch.no_grad()
def drawn(
    net: DALLE | Parti,
    model: DVAE | ViTVQGAN,
    captions: list[str],
    *,
    generator: torch.Generator | None = None,
    **how,
) -> Float[Tensor, "b 3 h w"]:
    """One picture for each caption, 16 x 16; `how` goes to `DALLE.sample`."""
    tokens, mask = tokenizer()(captions)
    return model.decode(net.sample(tokens, mask, generator=generator, **how))


def drafts(
    net: DALLE | Parti,
    model: DVAE | ViTVQGAN,
    captions: list[str],
    *,
    tries: int,
    generator: torch.Generator | None = None,
    **how,
) -> tuple[Float[Tensor, "b m 3 h w"], Float[Tensor, "b m"]]:
    """Several pictures for each caption, 16 x 16, and how CLIP likes each: cosines."""
    images, liked = [], []
    text = F.normalize(clip_text(captions).values, dim=1)
    for _ in range(tries):
        image = drawn(net, model, captions, generator=generator, **how)
        seen = F.normalize(clip_image(larger(image)).values, dim=1)
        images.append(image)
        liked.append((seen * text).sum(1))
    return torch.stack(images, 1), torch.stack(liked, 1)


def judged(
    net: DALLE | Parti,
    model: DVAE | ViTVQGAN,
    asked: Scenes,
    *,
    tries: int,
    generator: torch.Generator | None = None,
    **how,
) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m"], Float[Tensor, "b m"]]:
    """For each prompt and draft: CLIP's cosine; color and shape right; color right."""
    options = {"tries": tries, "generator": generator, **how}
    images, liked = drafts(net, model, texts(asked), **options)
    found = [right(larger(image), asked) for image in images.unbind(1)]
    both, color = (torch.stack(part, 1) for part in zip(*found, strict=True))
    return liked, both, color


def right(image: Tensor, asked: Scenes) -> tuple[Tensor, Tensor]:
    """Whether each picture shows one object of the asked color and shape, or color."""
    found = faults(image, asked)
    both, color = ([x in kinds for x in found] for kinds in (("",), ("", "shape")))
    return torch.tensor(both).float(), torch.tensor(color).float()


def faults(image: Tensor, asked: Scenes) -> list[str]:
    """What is wrong with each picture; an empty text where nothing is.

    A picture may have "no object" or "several objects", and an object another "shape",
    another "color", or another "color and shape".
    """
    found = []
    for seen, wanted in zip(asked.seen_in(image), asked.things(), strict=True):
        if len(seen) != 1:
            found.append("several objects" if seen else "no object")
            continue
        one, other = seen[0], wanted[0]
        wrong = [k for k in ("color", "shape") if getattr(one, k) != getattr(other, k)]
        found.append(" and ".join(wrong))
    return found
