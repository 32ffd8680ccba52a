"""One image tower, six tasks: those that CLIP is compared with, and changes of it.

Each gives the same table, `scores(image, tokens, mask)` of each picture for each name;
`tokens` are those of names that end in color and shape, such as "a red star".
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdl_lib.core import Model
from mmdl_lib.models.clip import CLIP, ResNetTower, contrastive_loss


class BagOfWords(Model):
    """Predict which words the caption has (softmax over words, Joulin et al. 2016)."""

    def __init__(self, config):
        super().__init__(config)
        self.vision = ResNetTower(config)
        self.words = nn.Linear(config.embed, config.vocab)

    def loss(self, batch, *, phase="main", generator=None):
        present = torch.zeros(len(batch["image"]), self.config.vocab)
        present.scatter_(1, batch["tokens"], 1.0)
        present[:, :3] = 0  # padding, start and end are no words
        scores = self.words(self.vision(batch["image"])).log_softmax(-1)
        return {"loss": -((scores * present).sum(1) / present.sum(1)).mean()}

    def scores(self, image: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        words = self.words(self.vision(image)).log_softmax(-1)
        # the last two words before the end token are color and shape
        end = mask.sum(1, keepdim=True) - 1
        color, shape = tokens.gather(1, torch.cat([end - 2, end - 1], 1)).T
        return words[:, color] + words[:, shape]


class Captioner(Model):
    """Predict the caption word by word, with the picture in the start token's place."""

    def __init__(self, config):
        super().__init__(config)
        towers = CLIP(config)
        self.vision, self.text = towers.vision, towers.text
        self.bridge = nn.Linear(config.embed, config.text_width)

    def log_likelihood(self, image, tokens, mask):
        x = (
            self.text.tokens(tokens[:, :-1])
            + self.text.positions[: tokens.shape[1] - 1]
        )
        x = torch.cat([self.bridge(image)[:, None] + x[:, :1], x[:, 1:]], 1)
        hidden = self.text.norm(self.text.transformer(x, causal=True))
        scores = (hidden @ self.text.tokens.weight.T).log_softmax(-1)
        picked = scores.gather(2, tokens[:, 1:, None]).squeeze(2)
        return (picked * mask[:, 1:]).sum(1)

    def loss(self, batch, *, phase="main", generator=None):
        features = self.vision(batch["image"])
        total = self.log_likelihood(features, batch["tokens"], batch["mask"])
        return {"loss": -total.mean() / batch["mask"].sum(1).float().mean()}

    def scores(self, image: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        n, k = len(image), len(tokens)
        features = self.vision(image).repeat_interleave(k, 0)
        total = self.log_likelihood(features, tokens.repeat(n, 1), mask.repeat(n, 1))
        return total.view(n, k)


class Contrastive(CLIP):
    """CLIP as it is, with the score table that the others also give."""

    def scores(self, image: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        text = self.encode_text(tokens, mask)
        return self.encode_image(image) @ text.T


class Grouped(Contrastive):
    """CLIP whose pairs meet only those of their own group of the batch."""

    group = 16

    def loss(self, batch, *, phase="main", generator=None):
        out = self(batch["image"], batch["tokens"], batch["mask"])
        groups = zip(
            out.image.split(self.group), out.text.split(self.group), strict=True
        )
        each = [contrastive_loss(self.logit_scale * i @ t.T)["loss"] for i, t in groups]
        return {"loss": torch.stack(each).mean()}


class HardNegatives(Contrastive):
    """CLIP whose pictures also choose against the foil of every caption (NegCLIP)."""

    def loss(self, batch, *, phase="main", generator=None):
        out = self(batch["image"], batch["tokens"], batch["mask"])
        foils = self.encode_text(batch["foil"], batch["foil_mask"])
        more = self.logit_scale * out.image @ foils.T
        target = torch.arange(len(more), device=more.device)
        rows = F.cross_entropy(torch.cat([out.logits, more], 1), target)
        return {"loss": (rows + F.cross_entropy(out.logits.T, target)) / 2}


class Classifier(Model):
    """The same image tower with a supervised head over the 64 names."""

    def __init__(self, config, classes: int = 64):
        super().__init__(config)
        self.vision = ResNetTower(config)
        self.head = nn.Linear(config.embed, classes)

    def loss(self, batch, *, phase="main", generator=None):
        scores = self.head(self.vision(batch["image"]))
        return {"loss": F.cross_entropy(scores, batch["label"])}

    def scores(self, image: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.head(self.vision(image))
