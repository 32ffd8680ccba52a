"""Things with a name, a picture and a place in text: what does each know of the others?

Words are the single-word names of emoji that GloVe, the Lancaster norms and WordNet
know. Colors are measured on OpenMoji's drawings; the picture that stands for a thing is
another artist's (Noto), seen by EfficientNet-Lite0, which was trained on photographs.
"""

import zlib
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import dictionary, emoji, words

FOLDS, MEASURED = 20, 16  # of all words; the last four are for pilots, seeds 100 to 103
WIDTH = 50  # numbers of every vector, as GloVe has
TOPICS = {  # of WordNet, and what we call them
    "noun.animal": "animal",
    "noun.food": "food or plant",
    "noun.plant": "food or plant",
    "noun.artifact": "artifact",
    "noun.person": "person",
}
ALPHAS = np.logspace(-1, 4, 11)


@dataclass(frozen=True)
class Things:
    """Row i of each belongs to `name[i]`.

    Attributes:
        name: the words.
        text: GloVe's vectors.
        picture: features of another artist's picture.
        color: lightness, red against green, yellow against blue (CIELAB), of the mean
            color of what is drawn.
        senses: strength of `words.SENSES`, as people rate it.
        topic: one of the values of `TOPICS`, or empty.
    """

    name: np.ndarray
    text: np.ndarray
    picture: np.ndarray
    color: np.ndarray
    senses: np.ndarray
    topic: np.ndarray

    def __len__(self) -> int:
        return len(self.name)

    def __getitem__(self, rows) -> "Things":
        return Things(*(getattr(self, field.name)[rows] for field in fields(self)))


def fold(word: str) -> int:
    """Which twentieth of all words a word belongs to; always the same one."""
    return zlib.crc32(word.encode()) % FOLDS


def part(seed: int) -> int:
    """The fold of a seed: 0 to 15 are measured, 100 to 103 are pilots.

    Raises:
        ValueError: another seed.
    """
    if seed not in range(MEASURED) and seed - 100 not in range(FOLDS - MEASURED):
        raise ValueError(f"seed expected 0 to 15, or 100 to 103, got {seed}.")
    return seed if seed < MEASURED else seed - 100 + MEASURED


def mean_color(image: UInt8[Tensor, "n 3 s s"]) -> Float[np.ndarray, "n 3"]:
    """CIELAB of the mean color of what is drawn; nearly white ground is left out."""
    from skimage.color import rgb2lab

    pixels = image.float() / 255
    drawn = (pixels.amin(1, keepdim=True) < 0.97).float()
    sums = (pixels * drawn).sum((2, 3)) / drawn.sum((2, 3)).clamp(min=1)
    return rgb2lab(sums.numpy()[:, None])[:, 0]


def things(root=dictionary.ROOT, *, style: str = "noto") -> Things:
    """All things of the chapter.

    Args:
        root: the folder with WordNet's files.
        style: whose pictures stand for the things.

    Raises:
        FileNotFoundError: WordNet, or the weights of EfficientNet, are not installed.
        ValueError: the style is not installed.
    """
    topics = dictionary.wordnet(root).kind
    glove, senses = words.glove(), words.senses()
    drawn, other = emoji.load(), emoji.load(style=style, size=128)
    row, place = {}, {code: i for i, code in enumerate(other.code)}
    for i, (code, name) in enumerate(zip(drawn.code, drawn.names, strict=True)):
        word = name["en"]
        known = word in glove and word in senses and topics.get(word)
        if known and code in place:
            row[word] = (i, place[code])
    ours, theirs = (list(rows) for rows in zip(*row.values(), strict=True))
    name = list(row)
    return Things(
        np.array(name),
        glove.unit()[name].numpy(),
        _seen(other.image[theirs]),
        mean_color(drawn.image[ours]),
        senses[name].numpy(),
        np.array([TOPICS.get(topics[word], "") for word in name]),
    )


@torch.no_grad()
def _seen(image: UInt8[Tensor, "n 3 s s"]) -> Float[np.ndarray, "n d"]:
    """Mean of EfficientNet-Lite0's last map."""
    model = pretrained.load("efficientnet", "imagenet").eval()
    pages = (image.float() / 127.5 - 1).split(32)
    found = torch.cat([model.encode_image(page) for page in pages])
    return torch.nn.functional.normalize(found, dim=1).numpy()


def told(x, y, seen: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """What a ridge regression on some rows says of others.

    `x` is reduced to `WIDTH` directions of the rows it was told of; how much it is held
    back is chosen among these rows, each left out once, for each column of `y`.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    width = min(WIDTH, x.shape[1], len(seen) - 1)
    axes = PCA(width, svd_solver="full").fit(x[seen])
    spread = axes.transform(x[seen]).std()
    scale = StandardScaler().fit(y[seen])
    ridge = RidgeCV(ALPHAS, alpha_per_target=y.shape[1] > 1)
    ridge.fit(axes.transform(x[seen]) / spread, scale.transform(y[seen]))
    said = ridge.predict(axes.transform(x[asked]) / spread).reshape(len(asked), -1)
    return scale.inverse_transform(said)


def correlation(said: np.ndarray, true: np.ndarray) -> float:
    """Mean over the columns of Pearson's correlation over the rows."""
    a, b = said - said.mean(0), true - true.mean(0)
    norm = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return float(((a * b).sum(0) / np.where(norm > 0, norm, 1)).mean())


def matched(said: np.ndarray, true: np.ndarray) -> float:
    """How often, of two things, each is matched to its own picture; chance is 0.5.

    A pair is right where the two right cosines together exceed the two wrong ones.
    """
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (said, true)]
    cosine = unit[0] @ unit[1].T
    own = np.diag(cosine)
    gain = own[:, None] + own - cosine - cosine.T
    pairs = gain[np.triu_indices(len(own), 1)]
    return float((pairs > 0).mean() + (pairs == 0).mean() / 2)


def some(rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n of the rows by chance."""
    order = torch.randperm(len(rows), generator=generator(seed))[:n].numpy()
    return rows[order]
