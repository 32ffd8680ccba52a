"""Small models of the kinds that the book will have, to try the contract on."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib.borders import check_integers, check_mask
from mmdl_lib.core import Config, Model, seeded


@dataclass(frozen=True, kw_only=True)
class ToyConfig(Config):
    """Width of everything."""

    width: int = 8


class ToyDiffusion(Model):
    """Noise enters in `loss`, and `sample` runs the other way."""

    PRESETS = {"tiny": ToyConfig(), "large": ToyConfig(width=64)}

    LEARNED = {"main": 0.9}

    def __init__(self, config):
        super().__init__(config)
        self.denoise = nn.Sequential(
            *(nn.Linear(3, config.width), nn.SiLU(), nn.Linear(config.width, 2))
        )

    def forward(self, x, t):
        return self.denoise(torch.cat([x, t], 1))

    def loss(self, batch, *, phase="main", generator=None):
        x = batch["points"]
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        t = torch.rand(len(x), 1, generator=generator, device=x.device)
        noisy = (1 - t) * x + t * noise
        return {"loss": F.mse_loss(self(noisy, t), noise)}

    @torch.no_grad()
    def sample(self, n, *, steps=4, generator=None):
        x = torch.randn(n, 2, generator=generator)
        for i in range(steps, 0, -1):
            t = torch.full((n, 1), i / steps)
            x = x - self(x, t) / steps
        return x

    @classmethod
    def example_batch(cls, config, n, *, generator=None):
        return {"points": torch.randn(n, 2, generator=generator)}


class ToyGAN(Model):
    """Two players; BatchNorm in both, dropout in one."""

    PRESETS = {"tiny": ToyConfig(), "large": ToyConfig(width=64)}
    STAGES = (("discriminator", "generator"),)
    LEARNED = {"discriminator": None, "generator": None}

    def __init__(self, config):
        super().__init__(config)
        w = config.width
        self.generator = nn.Sequential(
            *(nn.Linear(2, w), nn.BatchNorm1d(w), nn.ReLU(), nn.Linear(w, 2))
        )
        self.discriminator = nn.Sequential(
            *(nn.Linear(2, w), nn.BatchNorm1d(w), nn.LeakyReLU(), nn.Dropout(0.1)),
            nn.Linear(w, 1),
        )

    def learners(self, phase="generator"):
        return [getattr(self, phase)]

    def loss(self, batch, *, phase="generator", generator=None):
        x = batch["points"]
        z = torch.randn(x.shape, generator=generator, device=x.device)
        with seeded(generator):
            fake = self.discriminator(self.generator(z))
            if phase == "generator":
                return {"loss": F.softplus(-fake).mean()}
            real = self.discriminator(x)
        return {"loss": F.softplus(-real).mean() + F.softplus(fake).mean()}

    @torch.no_grad()
    def sample(self, n, *, generator=None):
        return self.generator(torch.randn(n, 2, generator=generator))

    example_batch = ToyDiffusion.example_batch


class ToyGated(Model):
    """A frozen language model with a gated cross-attention that starts at zero."""

    PRESETS = {"tiny": ToyConfig(), "large": ToyConfig(width=64)}
    LEARNED = {"main": 0.9999}  # only a gate opens in so few steps

    def __init__(self, config):
        super().__init__(config)
        w = config.width
        self.embed = nn.Embedding(11, w).requires_grad_(False)
        self.memory, self.query = nn.Linear(3, w), nn.Linear(w, w)
        self.gate = nn.Parameter(torch.zeros(()))
        self.read_out = nn.Linear(w, 11).requires_grad_(False)

    def logits(self, tokens, mask, regions):
        check_integers("tokens", tokens, 0, 10)
        x = self.embed(tokens)
        mean = x.cumsum(1) / torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
        memory = self.memory(regions)
        look = (self.query(mean) @ memory.mT / x.shape[-1] ** 0.5).softmax(-1) @ memory
        return self.read_out(mean + self.gate.tanh() * look)

    def encode_text(self, tokens, mask, regions):
        check_mask(mask, shape=tokens.shape)
        x = self.logits(tokens, mask, regions)
        return (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    def loss(self, batch, *, phase="main", generator=None):
        keys = ("tokens", "mask", "regions")
        logits = self.logits(*(batch[k] for k in keys))[:, :-1]
        nats = F.cross_entropy(logits.mT, batch["tokens"][:, 1:], reduction="none")
        real = batch["mask"][:, 1:]
        return {"loss": (nats * real).sum() / real.sum()}

    @torch.no_grad()
    def generate(self, regions, *, beams=None, generator=None):
        tokens = torch.zeros(len(regions), 1, dtype=torch.long)
        for _ in range(5):
            logits = self.logits(tokens, tokens >= 0, regions)[:, -1]
            tokens = torch.cat([tokens, logits.argmax(-1, keepdim=True)], 1)
        return tokens

    @classmethod
    def example_batch(cls, config, n, *, generator=None):
        length = torch.randint(3, 7, (n, 1), generator=generator)
        return {
            "tokens": torch.randint(11, (n, 6), generator=generator),
            "mask": torch.arange(6) < length,
            "regions": torch.randn(n, 4, 3, generator=generator),
        }


class ToyStaged(Model):
    """First an autoencoder, then a prior over its codes; the encoder stands still."""

    PRESETS = {"tiny": ToyConfig(), "large": ToyConfig(width=64)}
    STAGES = (("autoencoder",), ("prior",))
    LEARNED = {"autoencoder": 0.8, "prior": None}

    def __init__(self, config):
        super().__init__(config)
        w = config.width
        self.encoder = nn.Sequential(nn.Linear(2, w), nn.BatchNorm1d(w), nn.Tanh())
        self.decoder = nn.Linear(w, 2)
        self.prior = nn.Linear(w, w)

    def learners(self, phase="autoencoder"):
        if phase == "prior":
            return [self.prior]
        return [self.encoder, self.decoder]

    def loss(self, batch, *, phase="autoencoder", generator=None):
        x = batch["points"]
        code = self.encoder(x)
        if phase == "autoencoder":
            return {"loss": F.mse_loss(self.decoder(code), x)}
        z = torch.randn(code.shape, generator=generator, device=code.device)
        return {"loss": F.mse_loss(self.prior(z), code.detach())}

    example_batch = ToyDiffusion.example_batch


TOYS = {kind.__name__: kind for kind in (ToyDiffusion, ToyGAN, ToyGated, ToyStaged)}
