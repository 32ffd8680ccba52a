"""Things that two modalities show: a made world whose best answers are known.

A thing has causes: some show in text and picture, others in one of both. All maps are
linear and all draws Gaussian, so what a picture can be told from a text, and how well,
has a closed form. `thirds` deals the real things. `recipes/bimodal_autoencoder.py` and
its chapter use both.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_number, check_same_length
from mmdl_lib.core import Model, generator
from mmdl_lib.data.things import Things
from mmdl_lib.lab.runs import train

CLASSES = 4  # by the signs of the first two shared causes


@dataclass(frozen=True)
class World:
    """Attributes with mean 0 and variance 1, in the mean over all things.

    Attributes:
        text, picture: from shared causes, then own ones, to attributes.
        shared: how many causes show in both.
        noise: share of each attribute's variance that is no cause's.
    """

    text: Float[Tensor, "c m"]
    picture: Float[Tensor, "d p"]
    shared: int
    noise: float | int

    def sample(self, n: int, seed: int) -> dict[str, Tensor]:
        """A batch of n things: `text`, `picture` and `label`, one of `CLASSES`."""
        g, shared = generator(seed), self.shared
        cause = torch.randn(n, len(self.text) + len(self.picture) - shared, generator=g)
        split = [len(self.text), len(self.picture) - shared]
        first, rest = cause.split(split, 1)
        other = torch.cat([first[:, :shared], rest], 1)
        batch = {"text": first @ self.text, "picture": other @ self.picture}
        for name, x in batch.items():
            noise = torch.randn(x.shape, generator=g)
            batch[name] = x + self.noise**0.5 * noise
        high = (cause[:, :2] > 0).long()
        return batch | {"label": 2 * high[:, 0] + high[:, 1]}

    def best(self) -> Float[Tensor, "m p"]:
        """The map from text to the expected picture; no other guess has less error."""
        within = self.text.T @ self.text + self.noise * torch.eye(self.text.shape[1])
        return torch.linalg.solve(within, self._across())

    def ceiling(self) -> float:
        """Share of the pictures' variance that the text can tell, at best."""
        return ((self.best() * self._across()).sum() / self.picture.shape[1]).item()

    def _across(self) -> Float[Tensor, "m p"]:
        shared = self.shared
        return self.text[:shared].T @ self.picture[:shared]


def world(
    seed: int,
    *,
    shared: int = 4,
    own: int = 4,
    width: int = 24,
    noise: float | int = 0.2,
) -> World:
    """A world of this seed.

    Args:
        seed: of the two maps.
        shared: causes that show in both modalities, two or more.
        own: causes of each modality alone.
        width: attributes of each modality.
        noise: share of an attribute's variance that is noise.

    Raises:
        ValueError: fewer shared causes than classes need, or noise outside 0 to 1.
    """
    check_number("shared", shared, 2, whole=True)
    check_number("noise", noise, 0, 1)
    g, maps = generator(seed), []
    for _ in range(2):
        map = torch.randn(shared + own, width, generator=g)
        maps.append(map / map.norm(dim=0) * (1 - noise) ** 0.5)
    return World(*maps, shared, noise)


def thirds(things: Things, seed: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """A batch of all things, the rows to learn from, and a third of them to ask.

    Vectors have mean 0 and variance 1 over the rows to learn from; `label` is the
    topic, `labeled` says whether there is one.
    """
    order = torch.randperm(len(things), generator=generator(seed))
    asked, seen = order.split([len(things) // 3, len(things) - len(things) // 3])
    batch = {"label": things.topic, "labeled": things.filed}
    for name in ("text", "picture"):
        x = getattr(things, name)
        batch[name] = (x - x[seen].mean(0)) / x[seen].std(0)
    return batch, seen, asked


def told(said: Float[Tensor, "n d"], true: Float[Tensor, "n d"]) -> float:
    """Share of the variance that is told: 1 is all, 0 as good as the mean.

    Raises:
        ValueError: unequal numbers of rows, or nothing that varies.

    Example:
        >>> true = torch.tensor([[1.0], [-1.0]])
        >>> told(true / 2, true)
        0.75
    """
    check_same_length(said=said, true=true)
    spread = (true - true.mean(0)).square().sum()
    if not spread > 0:
        raise ValueError("true expected numbers that vary, got one value a column.")
    return 1 - ((said - true).square().sum() / spread).item()


def trained(
    model: Model,
    batches,
    *,
    before: int,
    steps: int,
    lr: float | int = 3e-3,
    seed: int = 0,
    softmax: bool = True,
) -> Model:
    """Layer by layer, then as a whole; in evaluation mode afterwards.

    Args:
        model: a stack with stages, the last of which trains all.
        batches: the batch of a step.
        before: updates of each earlier stage; 0 starts as a whole at once.
        steps: updates of the last stage.
        lr: peak learning rate of every stage.
        seed: of the noise.
        softmax: whether the stage before the last is trained, too.
    """
    last = len(model.STAGES) - 1
    for stage in range(last if softmax else last - 1):
        if before:
            train(model, batches, steps=before, stage=stage, lr=lr, seed=seed)
    train(model, batches, steps=steps, stage=last, lr=lr, seed=seed)
    return model.eval()
