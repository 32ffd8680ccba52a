"""Same chain, same steps: diffusers' schedulers, with their quirks switched off.

Theirs differ by default: pictures are clipped, "leading" steps do not begin at the last
one, betas of a short chain are not scaled, and DDIM with "linspace" steps back by
T // n whatever the spacing is.
"""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

from mmdl_lib.core import generator
from mmdl_lib.nn.diffusion import Diffusion, alpha_bars, chain

NAMES = {"linear": "linear", "scaled": "scaled_linear", "cosine": "squaredcos_cap_v2"}
ENDS = {"linear": (1e-4, 0.02), "scaled": (0.00085, 0.012), "cosine": (1e-4, 0.02)}
SAYS = {"noise": "epsilon", "x0": "sample", "v": "v_prediction"}


def named(what, peer):
    ours = f"mmdl_lib.nn.diffusion.{what}"
    return {"ours": ours, "package": "diffusers", "reference": f"diffusers {peer}"}


def peer(kind, target="noise", of=DDIMScheduler, **changes):
    low, high = ENDS[kind]
    how = {"beta_schedule": NAMES[kind], "beta_start": low, "beta_end": high}
    how |= {"prediction_type": SAYS[target], "timestep_spacing": "trailing"}
    return of(**how | changes)


def pictures(seed=0):
    return torch.randn(4, 3, 8, 8, generator=generator(seed))


@pytest.mark.parametrize("kind", NAMES)
def test_diffusers_agrees_on_the_chain(agree, kind):
    ours = alpha_bars(kind, 1000).float()
    theirs = peer(kind).alphas_cumprod
    names = named("alpha_bars", "DDIMScheduler")
    agree(f"{kind} chain", ours, theirs, tolerance=2e-6, **names)


def test_diffusers_agrees_on_the_chain_that_ends_in_nothing(agree):
    ours = alpha_bars("scaled", 1000, zero_snr=True).float()
    betas = rescale_zero_terminal_snr(peer("scaled").betas)
    theirs = (1 - betas).cumprod(0)
    names = named("alpha_bars", "rescale_zero_terminal_snr")
    agree("zero terminal SNR", ours, theirs, tolerance=2e-6, **names)


@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("count", [7, 20, 50, 1000])
def test_diffusers_agrees_on_the_steps_that_are_taken(agree, spacing, count):
    theirs = peer("linear", timestep_spacing=spacing)
    theirs.set_timesteps(count)
    names = named("chain", "DDIMScheduler")
    ours = chain(1000, count, spacing=spacing)
    agree(f"{spacing} steps", ours, theirs.timesteps.tolist(), tolerance=0, **names)


@pytest.mark.parametrize("target", SAYS)
def test_diffusers_agrees_on_noise_and_v(agree, target):
    process, theirs = Diffusion("cosine", 1000, target=target), peer("cosine")
    x0, noise, step = pictures(), pictures(1), torch.tensor([0, 10, 500, 990])
    names = named("Diffusion.q_sample", "DDIMScheduler.add_noise")
    ours = process.q_sample(x0, step, noise)
    agree(
        "noisy pictures",
        ours,
        theirs.add_noise(x0, noise, step),
        tolerance=1e-5,
        **names,
    )
    if target == "v":
        names = named("Diffusion.goal", "DDIMScheduler.get_velocity")
        wanted = theirs.get_velocity(x0, noise, step)
        agree("v", process.goal(x0, step, noise), wanted, tolerance=1e-5, **names)


def walked(theirs, net, x, count, *, clip, eta=None):
    """Their sampler, and the noise that it drew."""
    theirs.set_timesteps(count)
    drawn, random = [], generator(5)
    how = {"use_clipped_model_output": clip} if eta is not None else {}
    for step in theirs.timesteps:
        said = net(x, step.repeat(len(x)))
        noise = torch.randn(x.shape, generator=random)
        drawn.append(noise)
        if eta is not None:
            how |= {"eta": eta, "variance_noise": noise if eta else None}
            x = theirs.step(said, step, x, **how).prev_sample
        else:
            x = theirs.step(said, step, x, generator=Given(noise)).prev_sample
    return x


class Given(torch.Generator):
    """A generator whose next draws are known: theirs takes none from outside."""

    def __new__(cls, noise):
        return super().__new__(cls)

    def __init__(self, noise):
        self.noise = noise


def fixed(x, step):
    """A net that is none: some function of both."""
    return torch.tanh(x.flip(-1) + step[:, None, None, None] / 1000)


@pytest.mark.parametrize("target", SAYS)
@pytest.mark.parametrize("eta", [0.0, 0.6])
@pytest.mark.parametrize("clip", [False, True])
def test_diffusers_agrees_on_ddims_twenty_steps(agree, target, eta, clip):
    process = Diffusion("linear", 1000, target=target)
    theirs = peer("linear", target, clip_sample=clip, set_alpha_to_one=True)
    x = pictures()
    wanted = walked(theirs, fixed, x, 20, clip=clip, eta=eta)
    how = {} if clip else {"settle": lambda x0: x0}
    ours = process.sample(fixed, x, steps=20, eta=eta, generator=generator(5), **how)
    names = named("Diffusion.sample", "DDIMScheduler")
    # unclipped values of the first steps are in the hundreds
    near = 2e-4 if clip else 2e-3
    agree(f"DDIM, net says {target}", ours, wanted, tolerance=near, **names)


@pytest.mark.parametrize("target", SAYS)
@pytest.mark.parametrize("count", [20, 100])
def test_diffusers_agrees_on_ancestral_steps(agree, target, count, monkeypatch):
    process = Diffusion("linear", 1000, target=target)
    theirs = peer("linear", target, DDPMScheduler, variance_type="fixed_small")
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_ddpm.randn_tensor",
        lambda shape, *, generator, **how: generator.noise,
    )
    x = pictures()
    wanted = walked(theirs, fixed, x, count, clip=True)
    ours = process.sample(fixed, x, steps=count, eta=1.0, generator=generator(5))
    names = named("Diffusion.sample", "DDPMScheduler")
    agree(f"DDPM, net says {target}", ours, wanted, tolerance=2e-3, **names)


def test_the_quirks_that_are_switched_off_are_still_there():
    """If one of these fails, the other tests may lose an option."""
    short = DDPMScheduler(num_train_timesteps=100)
    assert short.alphas_cumprod[-1] > 0.3 and alpha_bars("linear", 100)[-1] < 1e-4
    plain = DDIMScheduler()
    plain.set_timesteps(20)
    assert plain.timesteps[0] == 950 and plain.config.clip_sample
    theirs = peer("linear", timestep_spacing="linspace", clip_sample=False)
    theirs.set_timesteps(20)
    x = pictures()
    one = theirs.step(fixed(x, torch.full((4,), 999)), 999, x).prev_sample
    process = Diffusion("linear", 1000)
    for then, same in ((949, True), (946, False)):
        x0 = process.x0(fixed(x, torch.full((4,), 999)), x, torch.full((4,), 999))
        ours = process.back(x, x0, 999, then)
        assert (np.abs((ours - one).numpy()).max() < 1e-3) == same
