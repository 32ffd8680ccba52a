"""Small models that a training loop must be able to train, each of another kind."""

import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib.core import Model, generator
from mmdl_lib.train import fit


def mlp(*sizes):
    pairs = zip(sizes, sizes[1:], strict=False)
    layers = [layer for a, b in pairs for layer in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


class Line(Model):
    """A regression with dropout, which draws from torch's global state."""

    def __init__(self, drop=0.2):
        super().__init__(None)
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 16), nn.Dropout(drop), nn.Linear(16, 1))

    def loss(self, batch, *, phase="main", generator=None):
        error = (self.body(batch["x"]) - batch["x"].sum(1, keepdim=True)) ** 2
        return {"loss": error.mean()}


class Plain(Line):
    """Without dropout, so that slices and processes can be compared."""

    def __init__(self):
        super().__init__(drop=0.0)


class Ring(Model):
    """A GAN on a ring of eight Gaussians; its discriminator holds a BatchNorm."""

    STAGES = (("discriminator", "generator"),)

    def __init__(self):
        super().__init__(None)
        torch.manual_seed(0)
        self.generator, self.discriminator = mlp(4, 32, 32, 2), mlp(2, 32, 32, 1)
        self.norm = nn.BatchNorm1d(2)
        self.calls = []

    def learners(self, phase="main"):
        if phase == "generator":
            return [self.generator]
        return [self.discriminator, self.norm]

    def sample(self, n, *, generator=None):
        return self.generator(torch.randn(n, 4, generator=generator))

    def judge(self, x):
        return self.discriminator(self.norm(x))

    def loss(self, batch, *, phase="main", generator=None):
        fake = self.sample(len(batch["x"]), generator=generator)
        if phase == "generator":
            return {"loss": F.softplus(-self.judge(fake)).mean()}
        real = F.softplus(-self.judge(batch["x"])).mean()
        return {"loss": real + F.softplus(self.judge(fake)).mean(), "real": real}


class Bare(Ring):
    """Without BatchNorm: it sees either real or false points, and slices in turns."""

    def judge(self, x):
        return self.discriminator(x)


class Staged(Model):
    """An autoencoder, then a prior over its codes."""

    STAGES = (("autoencoder",), ("prior",))

    def __init__(self):
        super().__init__(None)
        torch.manual_seed(0)
        self.encoder, self.decoder = mlp(4, 8, 2), mlp(2, 8, 4)
        self.prior = nn.Linear(1, 1)

    def learners(self, phase="main"):
        return [self.prior] if phase == "prior" else [self.encoder, self.decoder]

    def loss(self, batch, *, phase="main", generator=None):
        code = self.encoder(batch["x"])
        if phase == "prior":
            return {"loss": F.mse_loss(self.prior(code[:, :1]), code[:, 1:])}
        return {"loss": F.mse_loss(self.decoder(code), batch["x"])}


class Frozen(Model):
    """A head on an encoder that stands still, with BatchNorm and dropout."""

    def __init__(self):
        super().__init__(None)
        torch.manual_seed(0)
        layers = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5)
        self.encoder, self.head = nn.Sequential(*layers), nn.Linear(8, 1)

    def learners(self, phase="main"):
        return [self.head]

    def loss(self, batch, *, phase="main", generator=None):
        found = self.head(self.encoder(batch["x"]))
        return {"loss": F.mse_loss(found, batch["x"].sum(1, keepdim=True))}


class Noisy(Model):
    """Predicts the noise in its input, as diffusion models do."""

    def __init__(self):
        super().__init__(None)
        torch.manual_seed(0)
        self.body = mlp(4, 16, 4)

    def loss(self, batch, *, phase="main", generator=None):
        noise = torch.randn(batch["x"].shape, generator=generator)
        return {"loss": F.mse_loss(self.body(batch["x"] + noise), noise)}


def batches(step):
    return {"x": torch.randn(32, 4, generator=generator(step))}


def ring(step, n=32):
    """Points of a ring of radius 2 with eight Gaussians of deviation 0.05."""
    dice = generator(step)
    angle = torch.randint(8, (n,), generator=dice) * torch.pi / 4
    center = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    return {"x": center + 0.05 * torch.randn(n, 2, generator=dice)}


CASES = {
    "dropout": (Line, batches, {}),
    "gan": (Ring, ring, {"lr": {"discriminator": 4e-3, "generator": 1e-3}}),
    "plain gan": (Bare, ring, {}),
    "first stage": (Staged, batches, {}),
    "second stage": (Staged, batches, {"stage": 1}),
    "frozen": (Frozen, batches, {}),
    "noise": (Noisy, batches, {}),
}


def train(case, **options):
    """A fresh model of a case after its training; its state and its history."""
    kind, rows, own = CASES[case]
    model = kind()
    history = fit(model, rows, **{"steps": 12, "lr": 1e-2} | own | options)
    return model.state_dict(), history


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def close(a, b, **tolerance):
    return all(torch.allclose(a[name], b[name], **tolerance) for name in a)
