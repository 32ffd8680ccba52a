"""Bag of visual words, joined with words of a text and mixed by an SVD.

**Paper** Bruni, Tran and Baroni, "Multimodal Distributional Semantics", JAIR 2014, doi
10.1613/jair.4135. Visual words: Sivic and Zisserman, "Video Google: A Text Retrieval
Approach to Object Matching in Videos", ICCV 2003, doi 10.1109/ICCV.2003.1238663. The
descriptors: Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV
2004, doi 10.1023/B:VISI.0000029664.99615.94.

**Book** `sec-concat_fusion`

**Symbols**
- `descriptors (r, 128)`: SIFT of r places of a picture
- `centers (k, 128)`: visual words, means of clusters of descriptors
- `text (n, c)`, `image (n, k)`: counts of a word's neighbors and of the visual words
  in its pictures; PPMI weighs both
- `U, S, V` of the joined table; `vectors` = U S^p, `axes` = V

**Start** `k_means`: centers far apart, drawn by k-means++. A fresh `VisualWords` has
small random centers.

**Differs from the paper**
- Visual words are counted over the whole picture; the paper counts in 16 cells, too.
- PPMI on both sides; the paper weighs by local mutual information, PMI times a count.
- Sparse keypoints instead of a dense grid: drawings are mostly flat.

**Builds on** `concat_fusion`, `ppmi`.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_number, check_numbers
from mmdl_lib.core import Config, Model
from mmdl_lib.models.concat_fusion import fuse
from mmdl_lib.models.ppmi import shifted_ppmi


@dataclass(frozen=True, kw_only=True)
class VisualWordsConfig(Config):
    """How many visual words, and how long a descriptor is."""

    words: int
    width: int = 128


def sift(image: Tensor) -> Float[Tensor, "r 128"]:
    """SIFT descriptors of a picture's keypoints, by scikit-image; none in a flat one.

    Each is a histogram of gradients by place and direction, relative to the keypoint's
    own scale and direction; all are nearly of length one, large entries cut at 255/512.

    Args:
        image: bytes (3, h, w), such as a row of `data.clipart.load().image`.

    Raises:
        ValueError: no picture of bytes.
        ModuleNotFoundError: scikit-image is missing.
    """
    good = isinstance(image, Tensor) and image.dtype == torch.uint8
    if not good or image.ndim != 3 or len(image) != 3:
        got = getattr(image, "dtype", type(image).__name__)
        got = f"{got} of shape {tuple(getattr(image, 'shape', ()))}"
        raise ValueError(f"image expected bytes of shape (3, h, w), got {got}.")
    try:
        from skimage.color import rgb2gray
        from skimage.feature import SIFT
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected the package scikit-image for SIFT: `pip install scikit-image`."
        ) from error
    gray = rgb2gray(image.permute(1, 2, 0).numpy())
    found = SIFT(upsampling=1)
    try:
        found.detect_and_extract(gray)
    except RuntimeError:  # its way to say that there is no keypoint
        return torch.zeros(0, 128)
    return torch.from_numpy(found.descriptors).float() / 512


def k_means(
    descriptors: Float[Tensor, "r d"],
    k: int,
    *,
    rounds: int = 30,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "k d"]:
    """Visual words: the means of k clusters (Lloyd's rounds from k-means++).

    Raises:
        ValueError: fewer different descriptors than words, or no finite numbers.
    """
    check_numbers("descriptors", descriptors, "r d")
    check_number("rounds", rounds, 1, whole=True)
    check_number("k", k, 1, len(descriptors), whole=True)
    if len(descriptors.unique(dim=0)) < k:
        raise ValueError(f"expected {k} different descriptors or more, got fewer.")
    centers = _far_apart(descriptors, k, generator)
    for _ in range(rounds):
        moved = lloyd(descriptors, centers)
        if torch.equal(moved, centers):
            break
        centers = moved
    return centers


def lloyd(
    descriptors: Float[Tensor, "r d"], centers: Float[Tensor, "k d"]
) -> Float[Tensor, "k d"]:
    """One round: each descriptor to its nearest center, each center to its mean.

    A center without descriptors stays where it is.
    """
    owner = nearest_center(descriptors, centers)
    count = torch.bincount(owner, minlength=len(centers))[:, None]
    total = torch.zeros_like(centers).index_add_(0, owner, descriptors)
    return torch.where(count > 0, total / count.clamp(min=1), centers)


def nearest_center(
    descriptors: Float[Tensor, "r d"], centers: Float[Tensor, "k d"]
) -> Int[Tensor, " r"]:
    """The number of the visual word of each descriptor."""
    check_numbers("descriptors", descriptors, "r d")
    # |x - c|^2 without |x|^2, which is the same for all centers
    distance = centers.square().sum(1) - 2 * descriptors @ centers.T
    return distance.argmin(1)


def bag(
    descriptors: Float[Tensor, "r d"], centers: Float[Tensor, "k d"]
) -> Float[Tensor, " k"]:
    """How often each visual word stands in a picture; where, is forgotten.

    Example:
        >>> bag(torch.tensor([[0.1], [9.0], [8.0]]), torch.tensor([[0.0], [9.0]]))
        tensor([1., 2.])
    """
    if len(descriptors) == 0:
        return torch.zeros(len(centers))
    owner = nearest_center(descriptors, centers)
    return torch.bincount(owner, minlength=len(centers)).float()


class VisualWords(Model):
    """A vocabulary of visual words: the centers of clusters, as a net would keep them.

    Its loss is what Lloyd's rounds make small, too: a step against the gradient with
    rate r / (2 count of the word) puts a center on the mean of its descriptors.
    """

    LEARNED: ClassVar = {"main": 0.9}  # 40 small steps; rounds would do it in one
    PRESETS: ClassVar = {
        "tiny": VisualWordsConfig(words=4, width=8),
        "clipart": VisualWordsConfig(words=200),
    }

    def __init__(self, config: VisualWordsConfig):
        super().__init__(config)
        k, d = config.words, config.width
        self.centers = nn.Parameter(torch.rand(k, d) / d**0.5)

    @classmethod
    def of(cls, centers: Float[Tensor, "k d"]) -> "VisualWords":
        """A vocabulary with these centers, such as those of `k_means`."""
        k, d = centers.shape
        made = cls(VisualWordsConfig(words=k, width=d))
        made.centers.data.copy_(centers)
        return made

    def bag(self, descriptors: Float[Tensor, "r d"]) -> Float[Tensor, " k"]:
        """How often each of its words stands in a picture."""
        return bag(descriptors, self.centers.detach())

    def loss(self, batch, *, phase="main", generator=None):
        x = batch["descriptors"]
        chosen = self.centers[nearest_center(x, self.centers)]
        # sum over r of |x_r - c(x_r)|^2, as a mean
        return {"loss": (x - chosen).square().sum(1).mean()}

    @classmethod
    def example_batch(cls, config, n, *, generator=None):
        drawn = torch.rand(n, config.width, generator=generator)
        return {"descriptors": F.normalize(drawn, dim=1)}


@dataclass(frozen=True)
class BoVWSVD:
    """Words in the directions of most weight of a joined table.

    Attributes:
        vectors: U S^p, one row a word.
        axes: V, one column a direction; the rows of text come first.
        strength: singular values, largest first.
        root: p.
    """

    vectors: Float[Tensor, "n w"]
    axes: Float[Tensor, "e w"]
    strength: Float[Tensor, " w"]
    root: float | int = 1

    @classmethod
    def fit(
        cls,
        text: Float[Tensor, "n c"],
        image: Float[Tensor, "n k"],
        width: int,
        *,
        gamma: float | int = 0.5,
        root: float | int = 1,
    ) -> "BoVWSVD":
        """PPMI of both counts, unit parts side by side, then the best of a rank.

        Args:
            text: how often each word has each neighbor.
            image: how often each word's pictures have each visual word.
            width: directions that are kept.
            gamma: weight of the text.
            root: p of U S^p; 1 keeps the inner products of words.

        Raises:
            ValueError: what `shifted_ppmi` or `fuse` refuses, such as a word without
                any neighbor above chance, or more directions than there are.
        """
        return cls.mix(fuse(shifted_ppmi(text), shifted_ppmi(image), gamma), width,
                       root=root)  # fmt: skip

    @classmethod
    def mix(
        cls, joined: Float[Tensor, "n e"], width: int, *, root: float | int = 1
    ) -> "BoVWSVD":
        """The same for a table that is joined already, such as one with GloVe.

        Raises:
            ValueError: no table of finite numbers, or too many directions.
        """
        check_numbers("joined", joined, "n e")
        check_number("width", width, 1, min(joined.shape), whole=True)
        check_number("root", root, 0, 1)
        u, s, v = torch.linalg.svd(joined, full_matrices=False)
        u, s, v = u[:, :width], s[:width], v[:width].T
        return cls(u * s**root, v, s, root)

    def place(self, joined: Float[Tensor, "m e"]) -> Float[Tensor, "m w"]:
        """Vectors of words that were not there when the directions were found.

        Raises:
            ValueError: rows of another length.
        """
        check_numbers("joined", joined, "m e")
        if joined.shape[1] != len(self.axes):
            raise ValueError(
                f"joined expected rows of {len(self.axes)} numbers, got "
                f"{joined.shape[1]}."
            )
        # x V = u S for the words of the fit
        return joined @ self.axes * self.strength ** (self.root - 1)

    def rebuilt(self) -> Float[Tensor, "n e"]:
        """The joined table as these directions have it."""
        return self.vectors * self.strength ** (1 - self.root) @ self.axes.T


def _far_apart(descriptors: Tensor, k: int, generator) -> Tensor:
    """k-means++: the next center is drawn by its squared distance to those before."""
    first = torch.randint(len(descriptors), (1,), generator=generator)
    centers = descriptors[first]
    distance = (descriptors - centers).square().sum(1)
    while len(centers) < k:
        chosen = descriptors[torch.multinomial(distance, 1, generator=generator)]
        centers = torch.cat([centers, chosen])
        distance = distance.minimum((descriptors - chosen).square().sum(1))
    return centers
