"""FLAVA: one model for pictures, for texts, and for both, with five losses.

**Paper** Singh, Hu, Goswami, Couairon, Galuba, Rohrbach, Kiela, "FLAVA: A Foundational
Language And Vision Alignment Model", CVPR 2022, arXiv 2112.04482.

**Book** `sec-vokenization`, under `sec-flava`

**Symbols**
- `states_image (b, n+1, d)` = h_I, [CLS_I] and the patches after the image encoder;
  `states_text (b, t, d)` = h_T, [CLS_T] and the words after the text encoder
- `both (b, 2+n+t, d)` = h_M: [CLS_M], then h_I and h_T, each through its projection
- `log_scale ()` = log of the factor on the cosines, between 0 and log 100
- `codes (b, n)` = what a dVAE says stands at each patch, the target of MIM and MMM

**Start**
- Matrices and tables: normal, 0.02 at width 768, wider in narrow nets by the square
  root of 768 / width; biases, class tokens and the mask token at zero. `transformers`
  starts the places of patches at zero, too.

**Differs from the paper**
- Read in the code of `transformers`, not in the paper: the multimodal encoder has six
  blocks and gets the states before the last norm of the two encoders; heads for masked
  words and patches have one hidden layer and share no table; the learned scale ends at
  100; of 196 patches 75 are hidden, in rectangles of 16 and more.
- All five losses are added in each step. The original takes turns: a step sees pairs,
  or pictures alone, or texts alone.
- Half of the pairs, by a coin each, get another row's text for ITM; hidden words and
  patches of pairs count only where the text is the own one.
- No second kind of segments: `transformers` has a table for it and reads one row.

**Builds on** bert (`hide`), clip (`contrastive_loss`), data2vec (`blocks`).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_integers, check_mask
from mmdl_lib.core import Config, Model
from mmdl_lib.models.bert import SPECIAL, hide
from mmdl_lib.models.clip import contrastive_loss
from mmdl_lib.models.data2vec import blocks
from mmdl_lib.nn import LearnedPositions, Transformer


@dataclass(frozen=True, kw_only=True)
class FLAVAConfig(Config):
    """Hyperparameters; the defaults are those of the released model."""

    image_size: int = 224
    patch: int = 16
    vocab: int = 30_522
    positions: int = 512  # of words
    codes: int = 8192
    width: int = 768
    heads: int = 12
    depth_image: int = 12
    depth_text: int = 12
    depth_both: int = 6
    embed: int = 768  # of the common space of contrast
    epsilon: float = 1e-12  # of LayerNorm
    cls_token: int = 101  # these three are no words
    sep_token: int = 102
    mask_token: int = 103
    share: float = 75 / 196  # of the patches that are hidden
    least: int = 16  # patches of the smallest rectangle
    # weights of the losses; 0 leaves a loss out
    contrast: float = 1.0
    mmm: float = 1.0
    itm: float = 1.0
    mim: float = 1.0
    mlm: float = 1.0

    @property
    def grid(self) -> int:
        """Patches on a side."""
        return self.image_size // self.patch


class Pairing(NamedTuple):
    """Which text each picture gets.

    Attributes:
        text: number of the row whose text it is.
        match: 1 where that is its own, else 0.
    """

    text: Int[Tensor, " b"]
    match: Int[Tensor, " b"]


def pairing(
    b: int, *, generator: torch.Generator | None = None, device=None
) -> Pairing:
    """Half of the pictures, by a coin each, get the text of another row.

    Raises:
        ValueError: fewer than two rows.
    """
    if b < 2:
        raise ValueError(f"FLAVA expected two pairs or more, got {b}.")
    options = {"generator": generator, "device": device}
    moved = torch.randint(2, (b,), **options)
    by = torch.randint(1, b, (b,), **options)
    return Pairing((torch.arange(b, device=device) + moved * by) % b, 1 - moved)


def masked_loss(
    logits: Float[Tensor, "b n k"],
    target: Int[Tensor, "b n"],
    asked: Bool[Tensor, "b n"],
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats over the places that are asked; 0 without any."""
    each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    return (each * asked.flatten()).sum() / asked.sum().clamp(min=1)


class FLAVAOutput(NamedTuple):
    """States after the last norms; of `both` [CLS_M], [CLS_I], patches, words."""

    image: Float[Tensor, "b n d"]
    text: Float[Tensor, "b t d"]
    both: Float[Tensor, "b m d"]


class ImageEncoder(nn.Module):
    """A ViT with a mask token; its last norm stands apart."""

    def __init__(self, config: FLAVAConfig):
        super().__init__()
        width, self.patch = config.width, config.patch
        self.projection = nn.Linear(3 * config.patch**2, width)
        self.class_token = nn.Parameter(torch.zeros(width))
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.positions = LearnedPositions(config.grid**2 + 1, width)
        self.transformer = Transformer(width, config.depth_image, config.heads)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, image: Float[Tensor, "b 3 h w"], hidden: Bool[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b m d"]:
        """States before the norm; patches that are `hidden` enter as the mask token."""
        pattern = "b c (h p) (w q) -> b (h w) (c p q)"
        x = self.projection(rearrange(image, pattern, p=self.patch, q=self.patch))
        if hidden is not None:
            x = torch.where(hidden[..., None], self.mask_token.to(x), x)
        x = torch.cat([self.class_token.to(x).expand(len(x), 1, -1), x], 1)
        return self.transformer(x + self.positions(x.shape[1]))


class TextEncoder(nn.Module):
    """The same blocks for words: unlike BERT's, their norms stand in front."""

    def __init__(self, config: FLAVAConfig):
        super().__init__()
        width = config.width
        self.tokens = nn.Embedding(config.vocab, width)
        self.positions = LearnedPositions(config.positions, width)
        self.norm_embedded = nn.LayerNorm(width)
        self.transformer = Transformer(width, config.depth_text, config.heads)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t d"]:
        """States before the last norm."""
        x = self.tokens(tokens) + self.positions(tokens.shape[1])
        return self.transformer(self.norm_embedded(x), mask)


class BothEncoder(nn.Module):
    """A third Transformer reads the states of both, behind a class token of its own."""

    def __init__(self, config: FLAVAConfig):
        super().__init__()
        width = config.width
        self.from_image, self.from_text = (nn.Linear(width, width) for _ in range(2))
        self.class_token = nn.Parameter(torch.zeros(width))
        self.transformer = Transformer(width, config.depth_both, config.heads)
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        states_image: Float[Tensor, "b n d"],
        states_text: Float[Tensor, "b t d"],
        mask: Bool[Tensor, "b t"],
    ) -> Float[Tensor, "b m d"]:
        """[CLS_M], picture and text; no place sees the padding of the text."""
        x = [self.from_image(states_image), self.from_text(states_text)]
        x = torch.cat([self.class_token.to(x[0]).expand(len(mask), 1, -1), *x], 1)
        real = mask.new_ones(len(mask), 1 + states_image.shape[1])
        return self.norm(self.transformer(x, torch.cat([real, mask], 1)))


def _head(config: FLAVAConfig, classes: int) -> nn.Sequential:
    """Which word, or which code, stands here."""
    width = config.width
    hidden = [nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width)]
    return nn.Sequential(*hidden, nn.Linear(width, classes))


class FLAVA(Model):
    """Three encoders; contrast and MMM and ITM on pairs, MIM and MLM on the rest.

    Example:
        >>> model = FLAVA.from_preset("tiny").eval()
        >>> batch = FLAVA.example_batch(model.config, 3)
        >>> out = model(batch["image"], batch["tokens"], batch["mask"])
        >>> [tuple(states.shape) for states in out]
        [(3, 17, 48), (3, 12, 48), (3, 30, 48)]
    """

    PRESETS = {
        "tiny": FLAVAConfig(
            image_size=16, patch=4, vocab=60, positions=16, codes=32, width=48,
            heads=4, depth_image=2, depth_text=2, depth_both=1, embed=48, least=2,
            cls_token=2, sep_token=3, mask_token=4,
        ),
        "base": FLAVAConfig(),
    }  # fmt: skip
    LEARNED = {"main": 0.8}

    def __init__(self, config: FLAVAConfig):
        super().__init__(config)
        width = config.width
        self.image, self.text = ImageEncoder(config), TextEncoder(config)
        self.both = BothEncoder(config)
        self.project_image = nn.Linear(width, config.embed)
        self.project_text = nn.Linear(width, config.embed)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.mim, self.mmm_image = (_head(config, config.codes) for _ in range(2))
        self.mlm, self.mmm_text = (_head(config, config.vocab) for _ in range(2))
        pool = [nn.Linear(width, width), nn.Tanh()]
        self.itm = nn.Sequential(*pool, nn.Linear(width, 2))
        std = 0.02 * (768 / width) ** 0.5
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = config.epsilon
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=std)

    def forward(self, image: Tensor, tokens: Tensor, mask: Tensor) -> FLAVAOutput:
        """States of pictures, of texts, and of each picture with its text."""
        seen, read = self.image(image), self.text(tokens, mask)
        both = self.both(seen, read, mask)
        return FLAVAOutput(self.image.norm(seen), self.text.norm(read), both)

    def encode_image(self, image: Tensor) -> Float[Tensor, "b d"]:
        """[CLS_I] in the common space, of length one; ValueError: wrong pictures."""
        self._check_image(image)
        return self._image_feature(self.image(image))

    def encode_text(
        self, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b d"]:
        """[CLS_T] in the common space, of length one.

        Raises:
            ValueError: unknown tokens, too many, or a mask that is no beginning.
        """
        self._check_text(tokens, mask)
        return self._text_feature(self.text(tokens, mask))

    def encode_pair(
        self, image: Tensor, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b d"]:
        """[CLS_M] of each picture with its text; errors as above."""
        self._check_image(image)
        self._check_text(tokens, mask)
        return self.both(self.image(image), self.text(tokens, mask), mask)[:, 0]

    def match(
        self, image: Tensor, tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, " b"]:
        """Log-odds that a text belongs to the picture of its row; errors as above."""
        logits = self.itm(self.encode_pair(image, tokens, mask))
        return logits[:, 1] - logits[:, 0]

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """The five losses of a step, weighted and added.

        Args:
            batch: pairs as `image`, `codes (b, n)`, `tokens`, `mask`; pictures without
                text as `picture`, `picture_codes`; texts without picture as `text`,
                `text_mask`. What no loss with a weight needs may be missing.
            generator: of all that is hidden or exchanged.

        Raises:
            ValueError: a single pair, unknown words or codes, wrong pictures.
        """
        terms, config = {}, self.config
        self._check_image(batch["image"])
        self._check_text(batch["tokens"], batch["mask"])
        if config.contrast:
            terms["contrast"] = self._contrast(batch)
        if config.mmm or config.itm:
            terms |= self._pairs(batch, generator)
        if config.mim:
            terms["mim"] = self._pictures(batch, generator)
        if config.mlm:
            terms["mlm"] = self._texts(batch, generator)
        total = sum(getattr(config, name) * x for name, x in terms.items())
        return {"loss": total} | terms

    def _contrast(self, batch: dict) -> Tensor:
        """Pictures and captions find each other; nothing is hidden."""
        image = self._image_feature(self.image(batch["image"]))
        text = self._text_feature(self.text(batch["tokens"], batch["mask"]))
        scale = self.log_scale.clamp(0, math.log(100)).exp()
        return contrastive_loss(scale * image @ text.T)["loss"]

    def _pairs(self, batch: dict, generator) -> dict[str, Tensor]:
        """MMM and ITM: hide parts of both, and exchange half of the texts."""
        image, codes, mask = batch["image"], batch["codes"], batch["mask"]
        hidden = self.hide_patches(len(image), image.device, generator)
        read, chosen = self._hide_words(batch["tokens"], mask, generator)
        row, match = pairing(len(image), generator=generator, device=image.device)
        states = self.text(read, mask)[row]
        both = self.both(self.image(image, hidden), states, mask[row])
        logits, own = self.itm(both[:, 0]), match.bool()[:, None]
        # 0 is [CLS_M] and 1 is [CLS_I]
        _, patches, words = both.split([2, hidden.shape[1], mask.shape[1]], 1)
        check_integers("codes", codes, 0, self.config.codes - 1)
        seen = masked_loss(self.mmm_image(patches), codes, hidden & own)
        asked, target = chosen[row] & own, batch["tokens"][row]
        said = masked_loss(self.mmm_text(words), target, asked)
        return {"itm": F.cross_entropy(logits, match), "mmm": seen + said}

    def _pictures(self, batch: dict, generator) -> Tensor:
        """MIM: which codes stand at the hidden patches of a picture without text?"""
        image, codes = batch["picture"], batch["picture_codes"]
        self._check_image(image)
        check_integers("picture_codes", codes, 0, self.config.codes - 1)
        hidden = self.hide_patches(len(image), image.device, generator)
        states = self.image.norm(self.image(image, hidden))[:, 1:]
        return masked_loss(self.mim(states), codes, hidden)

    def _texts(self, batch: dict, generator) -> Tensor:
        """MLM: which words are hidden in a text without picture?"""
        text, mask = batch["text"], batch["text_mask"]
        self._check_text(text, mask)
        read, chosen = self._hide_words(text, mask, generator)
        states = self.text.norm(self.text(read, mask))
        return masked_loss(self.mlm(states), text, chosen)

    def hide_patches(self, b: int, device, generator) -> Bool[Tensor, "b n"]:
        """Rectangles of patches, as BEiT hides them."""
        grid = self.config.grid
        real = torch.ones(b, grid**2, dtype=torch.bool, device=device)
        how = {"share": self.config.share, "least": self.config.least}
        return blocks(real, (grid, grid), **how, generator=generator)

    def _hide_words(self, tokens, mask, generator):
        special = (tokens == self.config.cls_token) | (tokens == self.config.sep_token)
        names = {"vocab": self.config.vocab, "mask_token": self.config.mask_token}
        return hide(tokens, mask & ~special, **names, generator=generator)

    def _image_feature(self, states: Tensor) -> Float[Tensor, "b d"]:
        return F.normalize(self.project_image(self.image.norm(states)[:, 0]), dim=1)

    def _text_feature(self, states: Tensor) -> Float[Tensor, "b d"]:
        return F.normalize(self.project_text(self.text.norm(states)[:, 0]), dim=1)

    def _check_image(self, image: Tensor) -> None:
        check_image(image)
        side = self.config.image_size
        if image.shape[1:] != (3, side, side):
            wanted = f"(b, 3, {side}, {side})"
            raise ValueError(f"image expected shape {wanted}, got {image.shape}.")

    def _check_text(self, tokens: Tensor, mask: Tensor) -> None:
        check_integers("tokens", tokens, 0, self.config.vocab - 1)
        check_mask(mask, shape=tokens.shape)

    @classmethod
    def example_batch(cls, config: FLAVAConfig, n: int, *, generator=None) -> dict:
        """Random pairs, as many pictures without text, and texts without picture."""
        g, batch = {"generator": generator}, {}
        for image, codes in (("image", "codes"), ("picture", "picture_codes")):
            size = (n, 3, config.image_size, config.image_size)
            batch[image] = 2 * torch.rand(size, **g) - 1
            batch[codes] = torch.randint(config.codes, (n, config.grid**2), **g)
        most = min(12, config.positions)
        place = torch.arange(most)
        for tokens, mask in (("tokens", "mask"), ("text", "text_mask")):
            length = torch.randint(6, most + 1, (n, 1), **g)
            ids = torch.randint(SPECIAL, config.vocab, (n, most), **g)
            ids[:, 0] = config.cls_token
            ids = torch.where(place == length - 1, config.sep_token, ids)
            batch[mask] = place < length
            batch[tokens] = torch.where(batch[mask], ids, 0)
        return batch
