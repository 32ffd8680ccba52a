"""VQGAN+CLIP: a picture grows under the eyes of CLIP, and a sampler is led by it.

**Paper** Crowson, Biderman, Kornis, Stander, Hallahan, Castricato, Raff, "VQGAN-CLIP:
Open Domain Image Generation and Editing with Natural Language Guidance", ECCV 2022,
arXiv 2204.08583.

**Book** `sec-latent_diffusion`

**Symbols**
- `z (1, n, m, d)`: vectors on a grid, what is changed; `q` their nearest codes
- `cuts`: how many cut-outs of a picture CLIP sees in a step; `size` = side of each
- `weight (p,)` of p prompts; a negative one pushes away
- `judge`: pictures -> how far each is from the texts

**Start**
- `z` is the encoding of a picture, or codes drawn at random.

**Differs from the paper**
- Cut-outs are moved, resized and covered with a little noise; the paper also turns,
  flips and shears them and changes their colors.
- Our CLIP takes pictures in [-1, 1]; the public one wants [0, 1], then its own mean and
  deviation.
- A cut-out that is smaller than `size` is made larger by repeating pixels, as
  adaptive average pooling does.
- `steered` is the sampler of the same authors and their community, not of the paper:
  the judge's gradient passes through the believed picture x_0.

**Builds on** `vqvae`, `vqgan`, `clip`, `nn.diffusion`
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_image, check_number
from mmdl_lib.models.clip import CLIP
from mmdl_lib.models.vqvae import VQVAE
from mmdl_lib.nn.codebook import straight_through
from mmdl_lib.nn.diffusion import Diffusion

Judge = Callable[[Tensor], Tensor]


class _Clamp(torch.autograd.Function):
    """Clamp whose gradient passes unless it leads farther outside."""

    @staticmethod
    def forward(ctx, x, low, high):
        ctx.limits = low, high
        ctx.save_for_backward(x)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        outside = x - x.clamp(*ctx.limits)
        return grad * (grad * outside >= 0), None, None


def clamp_with_grad(x: Tensor, low: float | int, high: float | int) -> Tensor:
    """x between two limits; outside of them only gradients that lead back pass.

    A step goes against the gradient: above the upper limit only a positive one leads
    back. A plain clamp passes none, and what once left never returns.

    Example:
        >>> x = torch.tensor([2.0, 2.0], requires_grad=True)
        >>> (clamp_with_grad(x, -1, 1) * torch.tensor([1.0, -1.0])).sum().backward()
        >>> x.grad.tolist()
        [1.0, -0.0]
    """
    return _Clamp.apply(x, low, high)


def spherical(
    x: Float[Tensor, "*n d"], y: Float[Tensor, "*n d"]
) -> Float[Tensor, "*n"]:
    """Half of the squared angle between two directions: from 0 to pi^2 / 2.

    Example:
        >>> x = torch.tensor([[1.0, 0.0]])
        >>> round(float(spherical(x, torch.tensor([[0.0, 3.0]]))), 4)  # pi^2 / 8
        1.2337
    """
    chord = (F.normalize(x, dim=-1) - F.normalize(y, dim=-1)).norm(dim=-1)
    # 2 asin(|x - y| / 2)^2 = theta^2 / 2; at 1 the arcsine has no gradient
    return 2 * (chord / 2).clamp(max=1 - 1e-6).asin().square()


def cut_outs(
    image: Float[Tensor, "b c h w"],
    cuts: int,
    size: int,
    *,
    least: int | None = None,
    power: float | int = 1.0,
    noise: float | int = 0.0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n c s s"]:
    """Squares at random places, brought to one size; cut by cut, then row by row.

    Args:
        image: what is cut.
        cuts: squares of each picture.
        size: side of what comes out.
        least: smallest side that is cut; the largest is that of the picture. None for
            `size`.
        power: of the random number that says how large; above 1 small ones are
            likelier.
        noise: deviation that is added to each, times a number between 0 and 1.
        generator: of sizes, places and noise.

    Raises:
        ValueError: no cut, a size or side below 1, a power or noise below zero.
    """
    check_number("cuts", cuts, 1, whole=True)
    check_number("size", size, 1, whole=True)
    check_number("least", size if least is None else least, 1, whole=True)
    check_number("power", power, 0)
    check_number("noise", noise, 0)
    h, w = image.shape[-2:]
    largest = min(h, w)
    least = min(largest, size if least is None else least)
    u = torch.rand(cuts, 4, generator=generator)
    out = []
    for how_large, across, down, loud in u.tolist():
        side = int(how_large**power * (largest - least) + least)
        x, y = round(across * (w - side)), round(down * (h - side))
        cut = image[..., y : y + side, x : x + side]
        cut = F.adaptive_avg_pool2d(cut, size)
        if noise:
            speck = torch.randn(cut.shape, generator=generator).to(cut)
            cut = cut + noise * loud * speck
        out.append(cut)
    return torch.cat(out)


def critic(
    clip: CLIP,
    text: Float[Tensor, "p d"],
    *,
    weight: Sequence[float] | None = None,
    cuts: int = 32,
    least: int | None = None,
    power: float | int = 1.0,
    noise: float | int = 0.0,
    generator: torch.Generator | None = None,
) -> Judge:
    """A judge: each picture's distance from the texts, a mean over its cut-outs.

    Args:
        clip: whose eyes see.
        text: features of prompts, as `CLIP.encode_text` gives them.
        weight: of each prompt, 1 where there is none; below zero it pushes away.
        cuts: of each picture; 0: CLIP sees the picture itself.
        least, power, noise, generator: as in `cut_outs`.

    Raises:
        ValueError: other numbers of prompts and of weights.
    """
    share = torch.ones(len(text)) if weight is None else torch.tensor([*weight])
    if len(share) != len(text):
        raise ValueError(f"expected {len(text)} weights, got {len(share)}.")
    how = {"least": least, "power": power, "noise": noise, "generator": generator}
    size = clip.config.image_size

    def judge(image: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        seen = cut_outs(image, cuts, size, **how) if cuts else image
        # cut by cut, then row by row, against each prompt
        seen = clip.features(seen).unflatten(0, (-1, len(image)))[:, :, None]
        far = spherical(*torch.broadcast_tensors(seen, text))
        return (share.to(far) * far).sum(-1).mean(0)

    return judge


def picture(model: VQVAE, z: Float[Tensor, "b n m d"]) -> Float[Tensor, "b c h w"]:
    """What the decoder makes of the codes next to z, with a gradient for z."""
    # the codes are shown, the vectors feel the gradient
    image = model.decoded(straight_through(z, model.codebook(z)[0]))
    return clamp_with_grad(image, -1, 1)


@torch.no_grad()
def begin(
    model: VQVAE,
    n: int = 1,
    *,
    grid: int | None = None,
    image: Float[Tensor, "b c h w"] | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "b n m d"]:
    """Vectors to begin with: those of pictures, or codes at random.

    Args:
        model: whose vectors.
        n: how many grids of random codes.
        grid: places on a side; None for the model's own.
        image: begin with these, instead.
        generator: of the random codes.
    """
    if image is not None:
        check_image(image)
        return model.vectors(image)
    c = model.config
    side = c.image_size // c.factor if grid is None else grid
    token = torch.randint(c.codes, (n, side, side), generator=generator)
    return model.codebook.codes[token]


def grow(
    model: VQVAE,
    z: Float[Tensor, "b n m d"],
    judge: Judge,
    *,
    steps: int = 500,
    lr: float = 0.1,
    watch: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Float[Tensor, "b c h w"]:
    """The pictures after steps of Adam on their vectors; the nets stand still.

    Args:
        model: of the codes; a decoder and a codebook.
        z: where it begins.
        judge: gives each picture a number that should become small.
        steps, lr: of Adam.
        watch: called as `watch(step, images, judged)` before each step.
    """
    table = model.codebook.codes.detach()
    low, high = table.amin(0), table.amax(0)
    z = z.detach().clone().requires_grad_()
    adam = torch.optim.Adam([z], lr=lr)
    for step in range(steps):
        image = picture(model, z)
        judged = judge(image)
        if watch is not None:
            watch(step, image.detach(), judged.detach())
        (z.grad,) = torch.autograd.grad(judged.sum(), z)
        adam.step()
        with torch.no_grad():  # inside the box of the codes
            z.copy_(torch.minimum(torch.maximum(z, low), high))
    with torch.no_grad():
        return picture(model, z)


def steered(
    net: Callable[[Tensor, Tensor], Tensor],
    process: Diffusion,
    judge: Judge,
    scale: float | int,
    *,
    limits: tuple[float, float] | None = (-1.0, 1.0),
) -> Callable[[Tensor, Tensor], Tensor]:
    """(x, step) -> what the net says, moved to where the judge likes the picture more.

    With log p(text | x) = -scale judge(x_0(x)) up to a constant, the noise becomes
    noise + spread scale d judge / dx: classifier guidance with CLIP as the classifier.

    Args:
        net: of `Diffusion.sample`.
        process: whose steps those are.
        judge: of believed pictures.
        scale: 0 leaves the net alone.
        limits: of what the judge sees, as in pictures; None for latents.

    Raises:
        ValueError: a negative scale.
    """
    check_number("scale", scale, 0)

    def say(x: Tensor, step: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            output = net(x, step)
            x0 = process.x0(output, x, step)
            seen = x0 if limits is None else clamp_with_grad(x0, *limits)
            (grad,) = torch.autograd.grad(judge(seen).sum(), x)
        x, output = x.detach(), output.detach()
        signal, spread = process.at(step, x)
        noise = process.noise(output, x, step) + spread * scale * grad
        return process.goal((x - spread * noise) / signal, step, noise)

    return say
