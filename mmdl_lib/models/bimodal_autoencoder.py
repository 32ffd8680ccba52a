"""Bimodal autoencoder: attributes of words and of pictures share one code.

**Paper** Silberer, Lapata, "Learning Grounded Meaning Representations with
Autoencoders", ACL 2014, doi 10.3115/v1/P14-1068.

**Book** `sec-bimodal_autoencoder`

**Symbols**
- `text (b, m)` = x of the words, `picture (b, p)` = x of the pictures, one row a thing
- `DenoisingAutoencoder.weight, .into, .out` = W, b, b' of one layer
- `encode_pair (b, c)` = the bimodal code, the representation of the thing
- `scores (b, k)` = what the softmax is taken of
- `mask` = v, the chance of an input to be set to 0; `whole` = the chance of a row to
  lose one of its two modalities
- `delta_r, delta_c` = weights of reconstruction and classification; `decay` = lambda

**Start**
- W uniform within sqrt(6 / (inputs + outputs)), biases zero; the softmax as PyTorch.

**Differs from the paper**
- One hidden layer for each modality; numbers are inputs of any size with mean 0, so
  outputs are linear and errors squared.
- W is tied: the decoder uses its transpose.
- `whole` hides a modality; `mask` alone is masking noise of single inputs.
- A thing may lack its label; it is then only reconstructed.
- The paper's sizes and rates were not at hand: none of our presets claims them.

**Builds on** nothing.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdl_lib.borders import (
    check_flags,
    check_labels,
    check_number,
    check_numbers,
    check_same_length,
)
from mmdl_lib.core import Config, Model


@dataclass(frozen=True, kw_only=True)
class BimodalAutoencoderConfig(Config):
    """Hyperparameters; the defaults are for words and pictures of emoji."""

    text: int = 50
    picture: int = 50
    text_hidden: int = 40
    picture_hidden: int = 40
    code: int = 40
    classes: int = 4
    unit: Literal["sigmoid", "linear"] = "sigmoid"
    mask: float = 0.2  # v
    whole: float = 0.0
    delta_r: float = 1.0
    delta_c: float = 1.0
    decay: float = 1e-5  # lambda


def masked(
    x: Float[Tensor, "b d"], rate: float | int, *, generator=None
) -> Float[Tensor, "b d"]:
    """Masking noise: each number becomes 0 with chance `rate`; the rest stays as it is.

    Unlike dropout, what is left is not made larger.
    """
    # no rand_like, which knows no generator
    draws = torch.rand(x.shape, generator=generator, device=x.device)
    return x * (draws >= rate)


def hidden_modality(
    n: int, rate: float | int, *, generator=None, device=None
) -> Bool[Tensor, "n 2"]:
    """Which modality stays, text and picture: a row loses one with chance `rate`."""
    draws = torch.rand(n, generator=generator, device=device)
    # below half of the rate the text goes, in the next half the picture
    return torch.stack([draws >= rate / 2, (draws < rate / 2) | (draws >= rate)], 1)


class DenoisingAutoencoder(nn.Module):
    """One layer, tied: reconstruct the clean input from a masked one.

    Args:
        inputs, units: numbers before and after.
        unit: "sigmoid" or "linear", of the code.
        outward: the same for what is reconstructed.
    """

    def __init__(self, inputs: int, units: int, unit: str, outward: str = "linear"):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(units, inputs))
        self.into = nn.Parameter(torch.zeros(units))
        self.out = nn.Parameter(torch.zeros(inputs))
        self.unit, self.outward = unit, outward
        nn.init.xavier_uniform_(self.weight)

    def encode(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """y = s(W x + b): the code."""
        return _through(F.linear(x, self.weight, self.into), self.unit)

    def decode(self, y: Float[Tensor, "b c"]) -> Float[Tensor, "b d"]:
        """x^ = s'(W^T y + b'): the input that the code stands for."""
        return _through(F.linear(y, self.weight.T, self.out), self.outward)

    def loss(
        self, x: Float[Tensor, "b d"], noisy: Float[Tensor, "b d"]
    ) -> Float[Tensor, " b"]:
        """Squared error of each row, a mean over its numbers; the target is clean."""
        return (self.decode(self.encode(noisy)) - x).square().mean(1)


def _through(x: Tensor, unit: str) -> Tensor:
    return x.sigmoid() if unit == "sigmoid" else x


class BimodalAutoencoder(Model):
    """Two denoising autoencoders, one on top of both, and a softmax.

    Example:
        >>> model = BimodalAutoencoder.from_preset("tiny")
        >>> batch = BimodalAutoencoder.example_batch(model.config, 3)
        >>> model.encode_pair(batch["text"], batch["picture"]).shape
        torch.Size([3, 32])
    """

    PRESETS = {
        "tiny": BimodalAutoencoderConfig(
            **{"text": 6, "picture": 8, "text_hidden": 48, "picture_hidden": 48},
            **{"code": 32, "classes": 3},
        ),
        "things": BimodalAutoencoderConfig(mask=0.2, whole=0.5),
    }
    STAGES = (("unimodal",), ("bimodal",), ("softmax",), ("main",))
    LEARNED = {"unimodal": 0.95, "bimodal": 0.9, "softmax": 0.98, "main": 0.95}

    def __init__(self, config: BimodalAutoencoderConfig):
        super().__init__(config)
        c = config
        for name in ("mask", "whole", "delta_r", "delta_c"):
            check_number(name, getattr(c, name), 0, 1)
        check_number("decay", c.decay, 0)
        if c.delta_r == c.delta_c == 0:
            raise ValueError("delta_r and delta_c expected one above 0, got two zeros.")
        self.text = DenoisingAutoencoder(c.text, c.text_hidden, c.unit)
        self.picture = DenoisingAutoencoder(c.picture, c.picture_hidden, c.unit)
        inside = c.text_hidden + c.picture_hidden
        self.joint = DenoisingAutoencoder(inside, c.code, c.unit, outward=c.unit)
        self.classify = nn.Linear(c.code, c.classes)

    def learners(self, phase: str = "main") -> list[nn.Module]:
        """What a phase trains: a layer, the softmax, or all together."""
        return {
            "unimodal": [self.text, self.picture],
            "bimodal": [self.joint],
            "softmax": [self.classify],
            "main": [self],
        }[phase]

    def encode_pair(
        self, text: Float[Tensor, "b m"], picture: Float[Tensor, "b p"]
    ) -> Float[Tensor, "b c"]:
        """The code of things of which both is known; no noise, in any mode.

        Raises:
            ValueError: no finite floats, other widths, unequal numbers of rows.
        """
        check_pair(text, picture, self.config)
        return self._code(text, picture)

    def encode_text(self, text: Float[Tensor, "b m"]) -> Float[Tensor, "b c"]:
        """The code of things without a picture, which counts as zeros.

        Raises:
            ValueError: no finite floats, or another width.
        """
        picture = text.new_zeros(len(text), self.config.picture)
        return self.encode_pair(text, picture)

    def encode_picture(self, picture: Float[Tensor, "b p"]) -> Float[Tensor, "b c"]:
        """The code of things without a word, which counts as zeros.

        Raises:
            ValueError: no finite floats, or another width.
        """
        text = picture.new_zeros(len(picture), self.config.text)
        return self.encode_pair(text, picture)

    def _code(self, text: Tensor, picture: Tensor) -> Tensor:
        inside = [self.text.encode(text), self.picture.encode(picture)]
        return self.joint.encode(torch.cat(inside, 1))

    def decode(self, code: Float[Tensor, "b c"]) -> tuple[Tensor, Tensor]:
        """Text (b, m) and picture (b, p) that a code stands for.

        Raises:
            ValueError: no finite floats, or another width.
        """
        check_numbers("code", code, "b c")
        check_width("code", code, self.config.code)
        inside = self.joint.decode(code)
        one, two = inside.split(
            [self.config.text_hidden, self.config.picture_hidden], 1
        )
        return self.text.decode(one), self.picture.decode(two)

    def scores(self, code: Float[Tensor, "b c"]) -> Float[Tensor, "b k"]:
        """What the softmax over the classes is taken of."""
        return self.classify(code)

    def noisy(self, text: Tensor, picture: Tensor, *, generator=None) -> tuple:
        """A pair as training sees it: single numbers masked, then one modality."""
        c = self.config
        pair = [masked(x, c.mask, generator=generator) for x in (text, picture)]
        where = {"generator": generator, "device": text.device}
        stays = hidden_modality(len(text), c.whole, **where)
        return pair[0] * stays[:, :1], pair[1] * stays[:, 1:]

    def loss(self, batch, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Of `main`: mean(delta_r L_r + delta_c L_c) + lambda R; each layer's own
        before. `labeled` (b,) bool says which labels count; without it all do."""
        text, picture = both(batch)
        check_pair(text, picture, self.config)
        if phase == "unimodal":
            rows = self._unimodal(text, picture, generator)
        elif phase == "bimodal":
            # the layers below stand still, and what they say of clean inputs is clean
            inside = self.text.encode(text), self.picture.encode(picture)
            noise = self.noisy(*inside, generator=generator)
            rows = self.joint.loss(torch.cat(inside, 1), torch.cat(noise, 1))
        elif phase == "softmax":
            rows = self._named(self._code(text, picture), batch)
        else:
            return self._main(batch, generator)
        return {"loss": rows.mean() + self.penalty(phase)}

    def _unimodal(self, text: Tensor, picture: Tensor, generator) -> Tensor:
        rates = {"rate": self.config.mask, "generator": generator}
        one = self.text.loss(text, masked(text, **rates))
        return one + self.picture.loss(picture, masked(picture, **rates))

    def _main(self, batch: dict, generator) -> dict[str, Tensor]:
        c, text, picture = self.config, batch["text"], batch["picture"]
        code = self._code(*self.noisy(text, picture, generator=generator))
        said = torch.cat(self.decode(code), 1)
        wrong = (said - torch.cat([text, picture], 1)).square().mean(1)  # L_r
        named = self._named(code, batch)  # L_c
        total = (c.delta_r * wrong + c.delta_c * named).mean() + self.penalty("main")
        return {"loss": total, "reconstruct": wrong.mean(), "classify": named.mean()}

    def _named(self, code: Tensor, batch: dict) -> Float[Tensor, " b"]:
        """Cross-entropy of each row, in nats; 0 where it has no label that counts."""
        label, labeled = batch["label"], batch.get("labeled")
        check_labels("label", label, self.config.classes)
        check_same_length(label=label, text=batch["text"])
        rows = F.cross_entropy(self.scores(code), label, reduction="none")
        if labeled is None:
            return rows
        check_flags("labeled", labeled, label.shape)
        return rows * labeled

    def penalty(self, phase: str) -> Tensor:
        """lambda R: the sum of squares of the weights that a phase trains."""
        weights = [p for p in self.trainable(phase) if p.ndim == 2]
        return self.config.decay * sum(w.square().sum() for w in weights)

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random numbers and labels."""
        return {
            "text": torch.randn(n, config.text, generator=generator),
            "picture": torch.randn(n, config.picture, generator=generator),
            "label": torch.randint(config.classes, (n,), generator=generator),
        }


def both(batch: dict) -> tuple[Tensor, Tensor]:
    """Text and picture of a batch.

    Raises:
        ValueError: one is missing: what is not there cannot be a target.
    """
    missing = [name for name in ("text", "picture") if name not in batch]
    if missing:
        raise ValueError(
            f"a batch to learn from expected text and picture, got no "
            f"{' and no '.join(missing)}: encode_text and encode_picture need one."
        )
    return batch["text"], batch["picture"]


def check_width(name: str, x: Tensor, width: int) -> None:
    """Check the number of columns.

    Raises:
        ValueError: another one.
    """
    if x.shape[1] != width:
        raise ValueError(f"{name} expected {width} numbers a row, got {x.shape[1]}.")


def check_pair(text: Tensor, picture: Tensor, config: BimodalAutoencoderConfig) -> None:
    """Check that rows are pairs.

    Raises:
        ValueError: no finite floats, other widths, unequal numbers of rows.
    """
    for name, x in (("text", text), ("picture", picture)):
        check_numbers(name, x, "b d")
        check_width(name, x, getattr(config, name))
    if len(text) != len(picture):
        raise ValueError(
            f"text and picture expected as many rows each, as row i is one thing, got "
            f"{len(text)} and {len(picture)}."
        )
    if not len(text):
        raise ValueError("text and picture expected at least one row, got none.")
