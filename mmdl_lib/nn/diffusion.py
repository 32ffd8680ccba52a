"""Gaussian diffusion: how pictures become noise, and the steps back.

One process for DDPM, GLIDE, unCLIP, Imagen and latent diffusion. A net sees a noisy
picture and its step and says what is in it; all that is not the net stands here.

**Symbols**
- `step` = t - 1: from 0 (a little noise) to `steps - 1` (nearly all); -1 is the picture
- `alpha_bar[step]` = alpha-bar_t, the share of the picture's variance that is left
- `signal`, `spread` = sqrt(alpha-bar_t), sqrt(1 - alpha-bar_t)
- SNR = alpha-bar_t / (1 - alpha-bar_t)

Sources: Ho et al. 2020 (2006.11239) for the process, Song et al. 2021 (2010.02502) for
DDIM, Nichol and Dhariwal 2021 (2102.09672) for the cosine, Salimans and Ho 2022
(2202.00512) for v, Hang et al. 2023 (2303.09556) for min-SNR, Lin et al. 2024
(2305.08891) for zero terminal SNR.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_choice, check_image, check_integers, check_number

Kind = Literal["linear", "scaled", "cosine"]
Target = Literal["noise", "x0", "v"]
Weight = Literal["simple", "min_snr", "capped"]
SPACINGS = ("leading", "trailing", "linspace")


def alpha_bars(
    kind: Kind, steps: int, *, shift: float = 1.0, zero_snr: bool = False
) -> Float[Tensor, " s"]:
    """What is left of a picture's variance after 1, 2, ... `steps` steps, in float64.

    Args:
        kind: "linear": DDPM's betas from 1e-4 to 0.02, times 1000 / steps, so that a
            short chain ends where the long one does; "scaled": linear in sqrt(beta),
            from 0.00085 to 0.012, as in Stable Diffusion; "cosine": alpha-bar itself is
            a squared cosine.
        steps: of the chain.
        shift: log SNR + 2 log(shift) in every step: below 1 more noise, as larger
            pictures need.
        zero_snr: stretched so that nothing of the picture is left in the last step.

    Raises:
        ValueError: another kind, no steps, betas of 1 or more, a shift of zero.
    """
    check_choice("kind", kind, ("linear", "scaled", "cosine"))
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ValueError(f"steps expected an integer of at least 2, got {steps!r}.")
    check_number("shift", shift, 0)
    if shift == 0:
        raise ValueError("shift expected a number above 0, got 0.")
    t = torch.arange(steps, dtype=torch.float64)
    if kind == "linear":
        beta = torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * 1000 / steps
    elif kind == "scaled":
        low, high = 0.00085**0.5, 0.012**0.5
        beta = torch.linspace(low, high, steps, dtype=torch.float64) ** 2
        beta = beta * 1000 / steps
    else:
        # paper's eq. (17) with s = 0.008; no beta above 0.999
        f = [math.cos((i / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for i in t] + [0]
        beta = torch.tensor(
            [min(1 - f[i + 1] / f[i], 0.999) for i in range(steps)], dtype=torch.float64
        )
    if beta.max() >= 1:
        raise ValueError(
            f"a {kind} chain expected more steps, got {steps}: a beta would be "
            f"{beta.max():.2f}."
        )
    alpha_bar = (1 - beta).cumprod(0)
    alpha_bar = shift**2 * alpha_bar / (shift**2 * alpha_bar + 1 - alpha_bar)
    if zero_snr:
        root = alpha_bar.sqrt()
        root = (root - root[-1]) * root[0] / (root[0] - root[-1])
        alpha_bar = root**2
    return alpha_bar


def chain(steps: int, count: int, *, spacing: str = "trailing") -> list[int]:
    """`count` of the steps, the noisiest first.

    Args:
        steps: of the whole chain.
        count: how many are taken.
        spacing: "trailing" begins at the last step; "leading" ends at the first and
            does not begin at the last; "linspace" takes both ends.

    Raises:
        ValueError: a count outside of 1 to `steps`, another spacing.
    """
    check_choice("spacing", spacing, SPACINGS)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= steps:
        raise ValueError(
            f"steps of a sampler expected from 1 to {steps}, as the chain has, got "
            f"{count!r}."
        )
    if spacing == "trailing":
        return [round(steps - i * steps / count) - 1 for i in range(count)]
    if spacing == "leading":
        return [i * (steps // count) for i in reversed(range(count))]
    last = steps - 1
    return [round(last * i / max(count - 1, 1)) for i in reversed(range(count))]


def check_shape(name: str, values: Tensor, shape: Sequence[int]) -> None:
    """Check that a tensor has a shape, such as that of another; else ValueError."""
    got = tuple(getattr(values, "shape", ()))
    if got != tuple(shape):
        raise ValueError(f"{name} expected shape {tuple(shape)}, got {got}.")


class Diffusion(nn.Module):
    """A chain of noise, what the net says, and how it is weighed.

    Args:
        kind, steps, shift, zero_snr: as in `alpha_bars`.
        target: what the net says: the "noise", the picture "x0", or
            "v" = signal noise - spread x0.
        weight: of the squared error by step: "simple": one; "min_snr": error of x0
            times min(SNR, cap); "capped": error of x0 times min(SNR + 1, cap), which
            never forgets the noisiest steps.
        cap: of the last two.

    Raises:
        ValueError: as `alpha_bars`; a noise that nothing tells (zero SNR); a cap that
            is not above 0.

    Example:
        >>> process = Diffusion("cosine", 100, target="v")
        >>> round(float(process.alpha_bar[49]), 3)
        0.494
    """

    def __init__(
        self,
        kind: Kind = "linear",
        steps: int = 1000,
        *,
        target: Target = "noise",
        weight: Weight = "simple",
        cap: float = 5.0,
        shift: float = 1.0,
        zero_snr: bool = False,
    ):
        super().__init__()
        check_choice("target", target, ("noise", "x0", "v"))
        check_choice("weight", weight, ("simple", "min_snr", "capped"))
        check_number("cap", cap, above=0)
        if zero_snr and target == "noise":
            raise ValueError(
                "zero terminal SNR expected target v or x0, got noise: the last step "
                "holds nothing else."
            )
        with torch.device("cpu"):
            table = alpha_bars(kind, steps, shift=shift, zero_snr=zero_snr)
        self.steps, self.target, self.weight, self.cap = steps, target, weight, cap
        # doubles on the host for the sampler, which knows its steps
        self.table = table.tolist()
        buffers = {"alpha_bar": table, "signal": table.sqrt()}
        buffers["spread"] = (1 - table).sqrt()
        for name, values in buffers.items():
            values = values.float().to(torch.empty(0).device)
            self.register_buffer(name, values, persistent=False)

    def at(
        self, step: Int[Tensor, " b"], like: Tensor
    ) -> tuple[Float[Tensor, "b ..."], Float[Tensor, "b ..."]]:
        """`signal` and `spread` of each row, to be multiplied with `like`."""
        shape = (-1, *(1 for _ in like.shape[1:]))
        pair = self.signal[step], self.spread[step]
        return tuple(values.to(like.dtype).reshape(shape) for values in pair)

    # forward

    def q_sample(
        self,
        x0: Float[Tensor, "b *shape"],
        step: Int[Tensor, " b"],
        noise: Float[Tensor, "b *shape"],
    ) -> Float[Tensor, "b *shape"]:
        """The picture after `step + 1` steps of noise, at once.

        Raises:
            ValueError: a step that the chain does not have, or not one for each row;
                noise of another shape.
        """
        check_integers("step", step, 0, self.steps - 1)
        check_shape("step", step, x0.shape[:1])
        check_shape("noise", noise, x0.shape)
        signal, spread = self.at(step, x0)
        # eq. (4): x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps
        return signal * x0 + spread * noise

    def draw(
        self, n: int, *, device=None, generator: torch.Generator | None = None
    ) -> Int[Tensor, " n"]:
        """A step for each row, evenly over the chain: one in each n-th of it."""
        how = {"generator": generator, "device": device}
        place = (torch.randperm(n, **how) + torch.rand(n, **how)) / n
        return (place * self.steps).long().clamp(max=self.steps - 1)

    def goal(
        self,
        x0: Float[Tensor, "b *shape"],
        step: Int[Tensor, " b"],
        noise: Float[Tensor, "b *shape"],
    ) -> Float[Tensor, "b *shape"]:
        """What the net should say."""
        if self.target == "noise":
            return noise
        if self.target == "x0":
            return x0
        signal, spread = self.at(step, x0)
        return signal * noise - spread * x0

    def weights(self, step: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        """Of the squared error of what the net says, whatever that is."""
        if self.weight == "simple":
            return torch.ones_like(self.signal[step])
        alpha_bar = self.signal[step].square()
        rest = self.spread[step].square()
        if self.weight == "min_snr":
            of_x0 = (alpha_bar / rest).clamp(max=self.cap)
        else:
            of_x0 = (1 / rest).clamp(max=self.cap)  # SNR + 1 = 1 / (1 - alpha_bar)
        # |x0 error|^2 = |noise error|^2 / SNR = |v error|^2 / (SNR + 1)
        return of_x0 * {"x0": 1, "noise": rest / alpha_bar, "v": rest}[self.target]

    def error(
        self,
        output: Float[Tensor, "b *shape"],
        x0: Float[Tensor, "b *shape"],
        step: Int[Tensor, " b"],
        noise: Float[Tensor, "b *shape"],
    ) -> Float[Tensor, ""]:
        """The weighed mean squared error of what the net said."""
        squares = (output - self.goal(x0, step, noise)).square().flatten(1).mean(1)
        return (self.weights(step).to(squares.dtype) * squares).mean()

    # backward

    def x0(
        self,
        output: Float[Tensor, "b *shape"],
        x: Float[Tensor, "b *shape"],
        step: Int[Tensor, " b"],
    ) -> Float[Tensor, "b *shape"]:
        """The picture that the net's output means."""
        if self.target == "x0":
            return output
        signal, spread = self.at(step, x)
        if self.target == "v":
            return signal * x - spread * output
        return (x - spread * output) / signal

    def noise(
        self,
        output: Float[Tensor, "b *shape"],
        x: Float[Tensor, "b *shape"],
        step: Int[Tensor, " b"],
    ) -> Float[Tensor, "b *shape"]:
        """The noise that the net's output means."""
        if self.target == "noise":
            return output
        signal, spread = self.at(step, x)
        if self.target == "v":
            return spread * x + signal * output
        return (x - signal * output) / spread

    def level(self, step: int) -> tuple[float, float]:
        """`signal` and `spread` as numbers; of step -1, the picture, 1 and 0."""
        alpha_bar = self.table[step] if step >= 0 else 1.0
        return alpha_bar**0.5, (1 - alpha_bar) ** 0.5

    def variance(self, now: int, then: int) -> float:
        """Of x_then when x_now and x_0 are known: beta-tilde, where they are next."""
        (a, s), (a2, s2) = self.level(now), self.level(then)
        # eq. (7): (1 - ab_{t-1}) / (1 - ab_t) beta_t, with beta_t = 1 - ab_t / ab_{t-1}
        return (s2 / s) ** 2 * (1 - (a / a2) ** 2)

    def back(
        self,
        x: Float[Tensor, "b *shape"],
        x0: Float[Tensor, "b *shape"],
        now: int,
        then: int,
        *,
        eta: float = 0.0,
        noise: Float[Tensor, "b *shape"] | None = None,
    ) -> Float[Tensor, "b *shape"]:
        """From step `now` to an earlier one, if the picture were x0.

        Args:
            x: at step `now`.
            x0: what the net believes, clipped or not.
            now, then: steps; then = -1 is the picture.
            eta: share of the chain's own noise: 1 is DDPM's ancestral step, 0 is DDIM's
                without chance.
            noise: of the step; not needed where eta is 0.
        """
        (a, s), (a2, s2) = self.level(now), self.level(then)
        sigma = eta * self.variance(now, then) ** 0.5
        # DDIM's eq. (12); the noise is that of the x0 given, also where it was clipped
        y = a2 * x0 + (max(s2**2 - sigma**2, 0.0) ** 0.5 / s) * (x - a * x0)
        return y if sigma == 0 else y + sigma * noise

    def sample(
        self,
        net: Callable[[Tensor, Tensor], Tensor],
        x: Float[Tensor, "b *shape"],
        *,
        steps: int,
        eta: float | int = 0.0,
        spacing: str = "trailing",
        settle: Callable[[Tensor], Tensor] = lambda x0: x0.clamp(-1, 1),
        generator: torch.Generator | None = None,
        watch: Callable[[int, Tensor, Tensor], None] | None = None,
    ) -> Float[Tensor, "b *shape"]:
        """Pictures out of noise.

        Args:
            net: (x, step) -> what the net says of x at step (b,), guidance included.
            x: noise to begin with.
            steps: how many of the chain's are taken.
            eta: as in `back`.
            spacing: as in `chain`.
            settle: changes the believed picture before each step: clips it, by default.
            generator: of the noise in the steps.
            watch: called as `watch(step, x, x0)` before each step.

        Raises:
            ValueError: as `chain`; eta outside of [0, 1].
        """
        check_number("eta", eta, 0, 1)
        places = chain(self.steps, steps, spacing=spacing)
        for now, then in zip(places, [*places[1:], -1], strict=True):
            step = torch.full((len(x),), now, device=x.device)
            x0 = settle(self.x0(net(x, step), x, step))
            if watch is not None:
                watch(now, x, x0)
            how = {"generator": generator, "device": x.device, "dtype": x.dtype}
            noise = torch.randn(x.shape, **how) if eta else None
            x = self.back(x, x0, now, then, eta=float(eta), noise=noise)
        return x


def guided(
    told: Float[Tensor, "b *shape"],
    empty: Float[Tensor, "b *shape"],
    scale: float | int,
) -> Float[Tensor, "b *shape"]:
    """Classifier-free guidance: away from what is said without a text.

    A scale of 1 is the net itself, 0 the net without a text.

    Source: Ho and Salimans 2022 (2207.12598), with scale = 1 + w of its eq. (6); as
    written here in GLIDE (2112.10741), eq. (8).
    """
    return empty + scale * (told - empty)


def known(
    image: Float[Tensor, "b c h w"], mask: Tensor
) -> Callable[[Float[Tensor, "b c h w"]], Float[Tensor, "b c h w"]]:
    """For `Diffusion.sample`'s settle: what is known of the picture is put back.

    Args:
        image: in [-1, 1].
        mask: bool (b, 1, h, w), True = known.

    Raises:
        ValueError: a mask of another type or shape.
    """
    check_image(image)
    wanted = (len(image), 1, *image.shape[-2:])
    if getattr(mask, "dtype", None) != torch.bool or mask.shape != wanted:
        raise ValueError(
            f"mask expected bool of shape {wanted}, True = known, got "
            f"{getattr(mask, 'dtype', type(mask).__name__)} of shape "
            f"{tuple(getattr(mask, 'shape', ()))}."
        )
    return lambda x0: torch.where(mask, image, x0.clamp(-1, 1))


def times(step: Int[Tensor, " b"], width: int) -> Float[Tensor, "b d"]:
    """Sines and cosines of a step, in the width of a net's first layer."""
    half = width // 2
    place = torch.arange(half, device=step.device, dtype=torch.float32)
    angle = step[:, None].float() * (1e4 ** (-place / half))
    return rearrange([angle.sin(), angle.cos()], "two b d -> b (two d)")
