"""Measure who finds the modes of a ring, a D beside its formula, and two DCGANs.

Command: python recipes/gan.py             (all that is missing)
         python recipes/gan.py ring:0      (one group, one seed)
         python recipes/gan.py summary     (the claims)
Expected: about 15 minutes on one quiet core. A discriminator that learns slowly lets
the generator collapse. The measured values stand in results/gan.json, the claims in
recipes/gan.toml; the small DCGAN that the chapter loads is trained at the end.
"""

from dataclasses import replace
from functools import cache, partial

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import ring, shapes
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.metrics.fid import fid
from mmdl_lib.metrics.modes import modes
from mmdl_lib.metrics.precision_recall import precision_recall
from mmdl_lib.models import gan
from mmdl_lib.models.dcgan import DCGAN
from mmdl_lib.models.gan import GAN

# both players keep their rate: at a game's end there is no valley to settle in
FIT = {"warmup": 0.0, "clip": None, "schedule": lambda step, steps: 1.0}
FIT |= {"optimizer": partial(torch.optim.AdamW, betas=(0.5, 0.999))}
STEPS, BATCH, DRAWN, EVERY = 1500, 64, 2000, 100
FAST = {"discriminator": 4e-3, "generator": 1e-3}
SLOW = {"discriminator": 1e-4, "generator": 1e-3}
WORLD = {"objects": 1, "textures": "solid", "sizes": "large", "held_out": "include"}
SIDE, PICTURES = 16, 4000


def look(model: GAN, seed: int) -> dict:
    """Modes, good points, spread, and what D thinks of them."""
    points = model.sample(DRAWN, generator=generator(90_000 + seed))
    found = modes(points, ring.centers(), deviation=ring.DEVIATION)
    with torch.no_grad():
        doubt = model.judge(points).sigmoid().mean().item()
    # of points from their mean, as a share of the ring's radius
    spread = (points - points.mean(0)).square().sum(1).mean().sqrt().item()
    numbers = {"found": found.found, "good": found.good, "doubt": doubt}
    return numbers | {"spread": spread / ring.RADIUS}


def on_ring(seed: int, *, lr: dict = FAST, **changes) -> dict:
    """Train on the ring; modes on the way, at the end, and 150 points."""
    torch.manual_seed(seed)
    model = GAN(replace(GAN.PRESETS["ring"], **changes))
    points = ring.sample(20_000, generator=generator(seed))
    curve = []

    def watch(step, model, terms):
        if (step + 1) % EVERY == 0:
            curve.append(look(model, seed))

    history = lab.train(
        model,
        lab.rows(BATCH, seed, points=points),
        steps=STEPS,
        lr=lr,
        watch=watch,
        **FIT,
    )
    right = history.losses["discriminator/right"][-EVERY:]
    found = look(model, seed) | {"right": sum(right) / len(right)}
    early = [row["doubt"] for row in curve[:3]]
    found |= {"early": sum(early) / max(1, len(early))}
    found["curve"] = {k: [round(row[k], 3) for row in curve] for k in ("found", "good")}
    drawn = model.sample(150, generator=generator(90_000 + seed))
    return found | {"points": [[round(x, 2) for x in p] for p in drawn.tolist()]}


def best(seed: int) -> dict:
    """A D that learns alone, between two normal densities, beside the formula."""
    torch.manual_seed(seed)
    net, random = gan.mlp(1, 32, 1, torch.nn.LeakyReLU), generator(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    x = torch.linspace(-3, 4, 141)
    middles = torch.tensor([[0.0], [1.0]])
    p, q = torch.distributions.Normal(middles, 1.0).log_prob(x).exp()
    wanted = gan.best_logit(p, q).sigmoid()
    weight = (p + q) / (p + q).sum()

    @torch.no_grad()
    def off():
        error = net(x[:, None])[:, 0].sigmoid() - wanted
        return (weight * error.square()).sum().sqrt().item()

    found = {"untrained": off()}
    steps = lab.short(1000)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / steps)
        real, drawn = (torch.randn(256, 1, generator=random) + m for m in (0, 1))
        optimizer.zero_grad()
        (-gan.value(net(real)[:, 0], net(drawn)[:, 0])).backward()
        optimizer.step()
    return found | {"off": off()}


@cache
def pictures(seed: int, n: int = PICTURES):
    """One large object each, 16 x 16, bytes."""
    return shapes.sample(n, seed=seed, **WORLD).render(SIDE)


def falling(step: int, steps: int) -> float:
    """Share of the rate: whole for the first half, then down to nothing."""
    return min(1.0, 2 * (1 - step / steps))


def trained(seed: int, *, steps: int, batch: int = 32, fit=FIT, **changes) -> DCGAN:
    """A small DCGAN, its running averages anew."""
    torch.manual_seed(seed)
    model = DCGAN(replace(DCGAN.PRESETS["shapes"], **changes))
    model.to(memory_format=torch.channels_last)  # faster on a CPU
    rows = lab.rows(batch, seed, image=pictures(seed))
    lab.train(model, rows, steps=steps, lr=1e-3, **fit)
    random = generator(seed)
    lab.recalibrate(model, [250] * 4, lambda n: model.draw(n, random))
    return model


def judge(model: DCGAN, seed: int) -> dict:
    """Against 2,000 new pictures, in features of our ResNet."""
    real = t2i.features(pictures(50_000 + seed, 2000))
    fake = t2i.features(model.sample(1000, generator=generator(seed)))
    near = precision_recall(real, fake)
    found = {"fid": fid(real, fake).value, "precision": near.precision}
    return found | {"recall": near.recall}


def draws(seed: int, **changes) -> dict:
    """Train one DCGAN and judge it."""
    return judge(trained(seed, steps=600, **changes), seed)


def real_pictures(seed: int) -> dict:
    """What 1,000 real pictures get: the best that can be hoped for."""
    real = t2i.features(pictures(50_000 + seed, 2000))
    fake = t2i.features(pictures(60_000 + seed, 1000))
    return {"fid": fid(real, fake).value}


def weights() -> dict:
    """The DCGAN that the chapter loads, trained longer."""
    model = trained(0, steps=12_000, fit=FIT | {"schedule": falling})
    lab.save_weights(model, "dcgan")
    return judge(model, 0)


ARMS = {
    "plain": {},
    "minimax": {"aim": "minimax"},
    "penalty": {"penalty": 0.1},
    "slow D": {"lr": SLOW},
}
LAB = lab.Lab(
    "gan",
    groups={
        "best": best,
        "ring": {name: partial(on_ring, **change) for name, change in ARMS.items()},
        "packed": partial(on_ring, packed=2),
        "pictures": {
            "batch norm": draws,
            "no norm": partial(draws, norm="none"),
            "real": real_pictures,
        },
    },
    once={"weights": weights},
    claims=lab.read_claims(__file__),
    least=6,
    budget=60,
)

if __name__ == "__main__":
    LAB.main()
