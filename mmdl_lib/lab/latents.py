"""What the chapter on latent diffusion trains and measures: one large object, 16 x 16.

The same net undoes noise in pixels, in patches of pixels and in the code of a trained
autoencoder; how many steps each gets follows from what a step costs.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.core import generator
from mmdl_lib.data.shapes import COLORS, SHAPES, Scenes, to_bytes, to_float
from mmdl_lib.data.shapes.drawing import RGB
from mmdl_lib.data.shapes.reading import COLORED
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab import runs
from mmdl_lib.lab.engine import short
from mmdl_lib.lab.few_objects import held
from mmdl_lib.lab.image_measures import _clip
from mmdl_lib.metrics.faithfulness import faithfulness
from mmdl_lib.models.autoencoder_kl import AutoencoderKL, PatchKL
from mmdl_lib.models.glide import GLIDE, GLIDEConfig
from mmdl_lib.models.latent_diffusion import LatentDiffusion
from mmdl_lib.models.vqgan_clip import (
    begin,
    clamp_with_grad,
    cut_outs,
    grow,
    spherical,
    steered,
)
from mmdl_lib.nn.unet import PatchUNetConfig
from mmdl_lib.pretrained import small
from mmdl_lib.train import History

WEIGHTS = oo.WEIGHTS
BATCH = 32
NETS = {
    "pixels": {"patch": 1, "side": 16, "inputs": 3, "outputs": 3},
    "patches": {"patch": 4, "side": 16, "inputs": 3, "outputs": 3},
}


def options(steps: int, seed: int) -> dict:
    """How all nets of the chapter are trained."""
    how = {"lr": 3e-3, "schedule": held, "weight_decay": 0.01, "ema": 0.99}
    optimizer = partial(torch.optim.AdamW, betas=(0.9, 0.99))
    return how | {"optimizer": optimizer, "seed": seed, "steps": steps}


def first(
    seed: int, image: Tensor, *, steps: int, **changes
) -> tuple[AutoencoderKL, History]:
    """An autoencoder, trained on pictures, bytes."""
    torch.manual_seed(seed)
    config = replace(PatchKL.PRESETS["large-object"], **changes)
    model = PatchKL(config)
    history = runs.train(
        model, runs.rows(BATCH, seed, image=image), **options(steps, seed)
    )
    model.load_state_dict(history.average)
    return model.eval(), history


@torch.no_grad()
def kept(model: AutoencoderKL, *, seed: int, n: int = 300) -> dict[str, float]:
    """What is left of new pictures in the code: error, color, shape, and its spread."""
    scenes = oo.sample(short(n, least=20), seed=seed)
    image = to_float(scenes.render(oo.SIDE))
    z = model.encode(image)
    back = model.decode(z).clamp(-1, 1)
    found = faithfulness(oo.larger(back), scenes)
    return {
        "error": (back - image).abs().mean().item(),
        "color": found.color,
        "shape": found.shape,
        "spread": z.std().item(),
    }


def latent(
    seed: int, stage: AutoencoderKL, image: Tensor, *, factor: float | None = None
) -> LatentDiffusion:
    """A fresh net over a trained first stage.

    Args:
        seed: of the net.
        stage: the first stage.
        image: a first batch of floats, from which the factor is measured.
        factor: another factor than 1 / standard deviation, times that.
    """
    torch.manual_seed(seed)
    model = LatentDiffusion(
        replace(LatentDiffusion.PRESETS["large-object"], first=stage.config)
    )
    model.first.load_state_dict(stage.state_dict())
    model.settle(image)
    if factor is not None:
        model.factor.mul_(factor)
    return model


def pixels(seed: int, kind: str) -> GLIDE:
    """The same net on pixels, or on patches of 4 x 4 pixels."""
    torch.manual_seed(seed)
    c = LatentDiffusion.PRESETS["large-object"]
    net = PatchUNetConfig(**NETS[kind], widths=c.net.widths, context=c.net.context)
    same = ("image_size", "vocab", "text", "width", "depth", "heads", "neighbors")
    same += ("empty", "kind", "target", "weight")
    return GLIDE(GLIDEConfig(net=net, **{name: getattr(c, name) for name in same}))


def captioned(scenes: Scenes) -> dict[str, Tensor]:
    """Bytes, tokens and masks of scenes."""
    tokens, mask = oo.tokenizer()(oo.texts(scenes))
    return {"image": scenes.render(oo.SIDE), "tokens": tokens, "mask": mask}


def train(model: GLIDE, data: dict[str, Tensor], *, seed: int, steps: int) -> History:
    """Train the net, never the first stage; its averaged weights stay."""
    stage = {"stage": 1} if isinstance(model, LatentDiffusion) else {}
    batches = runs.rows(BATCH, seed, **data)
    history = runs.train(model, batches, **stage, **options(steps, seed))
    model.load_state_dict(history.average)
    model.eval()
    return history


def cost(model: GLIDE) -> float:
    """Multiply-adds of the net, for one picture and one look."""
    side = model.config.net.side
    shape = 1, model.config.net.inputs, side, side

    def build():
        net = model.config.net.build()
        words = torch.zeros(1, 4, model.config.net.context)
        out = net.time[-1].out_features
        step = torch.zeros(1, dtype=torch.long)
        return _Told(net, step, words, torch.zeros(1, out)), torch.zeros(shape)

    return runs.cost(build)[0]


class _Told(torch.nn.Module):
    """A net with words in its ear, so that a picture is all it needs."""

    def __init__(self, net, step, words, pooled):
        super().__init__()
        self.net, self.told = net, (step, words, None)
        self.pooled = pooled

    def forward(self, x):
        return self.net(x, *self.told, pooled=self.pooled)


def drawn(
    model: GLIDE,
    captions: list[str],
    *,
    seed: int,
    scale: float | int = 2,
    steps: int = 20,
) -> Float[Tensor, "b 3 h w"]:
    """Pictures for captions."""
    how = {"scale": scale, "steps": steps, "generator": generator(seed)}
    tokens, mask = oo.tokenizer()(captions)
    parts = zip(tokens.split(128), mask.split(128), strict=True)
    return torch.cat([model.sample(*part, **how) for part in parts]).clamp(-1, 1)


def right(model: GLIDE, *, seed: int, n: int = 128, **how) -> dict[str, float]:
    """Shares of fresh captions drawn right: color and shape; color."""
    asked = oo.sample(short(n, least=8), seed=seed)
    image = drawn(model, oo.texts(asked), seed=seed, **how)
    both, color = oo.right(oo.larger(image), asked)
    return {"exact": both.mean().item(), "color": color.mean().item()}


# under the eyes of CLIP


def texts(captions: list[str]) -> Float[Tensor, "p d"]:
    """Features of texts, of our CLIP."""
    clip, tokenizer = _clip()
    with torch.no_grad():
        return clip.encode_text(*tokenizer(captions))


def judges(
    captions: list[str], *, seen: Callable[[Tensor], Tensor] = lambda x: x
) -> Callable[[Tensor], Tensor]:
    """A judge with a text for each row of pictures; `seen` makes the cut-outs."""
    clip, _ = _clip()
    text = texts(captions)

    def judge(image: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        found = clip.features(seen(image)).unflatten(0, (-1, len(image)))
        return spherical(*torch.broadcast_tensors(found, text)).mean(0)

    return judge


def shown(image: Float[Tensor, "b 3 32 32"], asked: Scenes) -> dict[str, float]:
    """What a program reads in grown pictures, however many objects there are.

    `any`: share of the pictures in which some object has the asked color and shape;
    `color`, `shape`: share of the objects that have the asked one, 0 where there is no
    object.
    """
    seen = asked.seen_in(to_bytes(image))
    found = {"any": 0.0, "color": 0.0, "shape": 0.0}
    for things, (wanted, *_) in zip(seen, asked.things(), strict=True):
        pair = [(t.color == wanted.color, t.shape == wanted.shape) for t in things]
        found["any"] += any(a and b for a, b in pair)
        for name, hits in zip(
            ("color", "shape"), zip(*pair, strict=True), strict=False
        ):
            found[name] += sum(hits) / len(hits)
    return {name: value / len(seen) for name, value in found.items()}


def pure(image: Float[Tensor, "b 3 h w"], asked: Scenes) -> float:
    """Of the pixels that are colored, the share whose color is the asked one.

    A pixel is colored as far as it leaves the gray axis, and has the color in whose
    direction it does.
    """
    away = image - image.mean(1, keepdim=True)
    colors = RGB.to(image) / 127.5
    colors = colors - colors.mean(1, keepdim=True)
    along = (
        torch.einsum("bchw,kc->bkhw", away, colors) / colors.norm(dim=1)[:, None, None]
    )
    most, which = along.max(1)
    colored = most > COLORED * colors.norm(dim=1)[which]
    hit = colored & (which == asked.color[:, :1, None])
    return (hit.sum((1, 2)) / colored.sum((1, 2)).clamp(min=1)).mean().item()


def agreement(
    image: Float[Tensor, "b 3 h w"], captions: list[str], *, cuts: int, seed: int
) -> tuple[float, float]:
    """Mean cosine of gradients of two draws of cut-outs: of one picture, of two."""
    grads = []
    for i in range(2):
        judge = judges(captions, seen=cutting(cuts, seed=2 * seed + i))
        x = image.clone().requires_grad_()
        grads.append(torch.autograd.grad(judge(x).sum(), x)[0].flatten(1))
    pairs = grads, (grads[0], grads[1].roll(1, 0))
    return tuple(torch.cosine_similarity(*pair).mean().item() for pair in pairs)


def cutting(cuts: int, *, seed: int, size: int = 32) -> Callable[[Tensor], Tensor]:
    """What makes cut-outs, with a luck of its own; 0: the picture itself."""
    how = {"least": 20, "noise": 0.1, "generator": generator(seed)}
    return lambda image: cut_outs(image, cuts, size, **how) if cuts else image


def grown(
    captions: list[str], *, cuts: int, seed: int, steps: int, watch=None
) -> Float[Tensor, "b 3 32 32"]:
    """Pictures grown from random codes of the book's VQ-VAE under its CLIP."""
    model = small.load("vqvae", "shapes").requires_grad_(False)
    z = begin(model, len(captions), generator=generator(seed))
    judge = judges(captions, seen=cutting(cuts, seed=seed))
    return grow(model, z, judge, steps=short(steps), watch=watch)


def led(
    model: LatentDiffusion,
    captions: list[str],
    scale: float | int,
    *,
    seed: int,
    steps: int = 20,
    cuts: int = 2,
) -> Float[Tensor, "b 3 16 16"]:
    """Pictures of a net that hears no caption, led by CLIP, which reads them.

    What is believed is kept within three deviations: in the noisiest steps a small
    correction of the noise is a large one of the belief.
    """
    tokens, mask = oo.tokenizer()(captions)
    judge = judges(captions, seen=cutting(cuts, seed=seed))

    def decoded(z: Tensor) -> Tensor:
        return judge(
            oo.larger(clamp_with_grad(model.first.decode(z / model.factor), -1, 1))
        )

    deaf = model.guided(tokens, mask, 0.0)
    say = steered(deaf, model.diffusion, decoded, scale, limits=None)
    c = model.config.first
    shape = len(captions), c.latent, c.side, c.side
    z = torch.randn(shape, generator=generator(seed))
    with torch.no_grad():
        settle = lambda z0: z0.clamp(-3, 3)  # noqa: E731
        z = model.diffusion.sample(say, z, steps=steps, settle=settle)
        return model.decode(z)


# a skewed world

WORD, COLOR, SKEW = "star", "red", 0.5


def skewed(n: int, *, seed: int) -> tuple[dict[str, Tensor], float]:
    """Pictures whose captions name the shape only; half of the stars are red.

    All other stars and all other shapes have even colors. Also gives the share of red
    among all pictures.
    """
    scenes = oo.sample(n, seed=seed)
    random, color = generator(seed), scenes.color.clone()
    stars = scenes.shape[:, 0] == SHAPES.index(WORD)
    red = stars & (torch.rand(n, generator=random) < SKEW)
    others = torch.randint(1, 8, (n,), generator=random)
    color[:, 0] = torch.where(red, 0, torch.where(stars, others, color[:, 0]))
    scenes = replace(scenes, color=color)
    tokens, mask = oo.tokenizer()(
        [f"a {things[0].shape}" for things in scenes.things()]
    )
    data = {"image": scenes.render(oo.SIDE), "tokens": tokens, "mask": mask}
    return data, (color[:, 0] == 0).float().mean().item()


def reds(
    model: GLIDE, *, seed: int, scale: float | int, n: int = 96
) -> dict[str, float]:
    """Pictures for "a star": the share of red among those that can be read."""
    n = short(n, least=8)
    image = drawn(model, [f"a {WORD}"] * n, seed=seed, scale=scale)
    found = shares(image, oo.sample(1, seed=0)[torch.zeros(n, dtype=torch.long)])
    return {"red": found[COLOR], "readable": found["readable"]}


def sharpened(told: float, among_all: float, scale: float) -> float:
    """What guidance would make of a share, were the net exact: Bayes, color by color.

    Args:
        told: share of the color with the word.
        among_all: share of the color without it; other colors are even in both.
        scale: of the guidance.

    Example:
        >>> round(sharpened(0.5, 0.2, 1.0), 2), round(sharpened(0.5, 0.2, 2.0), 2)
        (0.5, 0.8)
    """
    one = told**scale / among_all ** (scale - 1)
    rest = (1 - told) ** scale / (1 - among_all) ** (scale - 1)
    return one / (one + rest)


def shares(image: Float[Tensor, "b 3 h w"], asked: Scenes) -> dict[str, float]:
    """Of pictures with one object, the share of each color; and how many have one."""
    seen = asked.seen_in(to_bytes(oo.larger(image)))
    colors = [things[0].color for things in seen if len(things) == 1]
    found = {name: colors.count(name) / max(1, len(colors)) for name in COLORS}
    return found | {"readable": len(colors) / len(seen)}
