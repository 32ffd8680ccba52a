"""Generated birds with attributes, captions and species, in the spirit of CUB-200-2011.

A species is a set of six attributes: the colors of body, wings, belly, crown and beak,
and the size. Birds of one species differ in place, direction, posture and ground. Ten
captions name two to four attributes each. No two species have all attributes equal, and
the species of the test set are not in the training set, as when text-to-image models
are tried on CUB: a model has to put known attributes together anew.

Equal arguments give equal bytes: only operations that IEEE 754 rounds exactly.
"""

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from mmdl_lib.borders import check_choice, check_number

COLORS = ("red", "orange", "yellow", "green", "blue", "brown", "black", "white")
SIZES = ("small", "medium", "large")
PARTS = ("body", "wing", "belly", "crown", "beak")
ATTRIBUTES = (*PARTS, "size")
BEAKS = ("orange", "yellow", "black")
SPECIES, TRAIN = 120, 90  # species in all, and those of the training set
SPLITS = {"train": (0, TRAIN), "test": (TRAIN, SPECIES), "all": (0, SPECIES)}
RGB = torch.tensor(
    [(200, 35, 35), (240, 130, 25), (245, 210, 40), (60, 150, 60)]
    + [(50, 90, 205), (125, 80, 45), (35, 35, 40), (245, 245, 245)],
    device="cpu",
)
SCALE = (0.72, 0.88, 1.05)  # of SIZES
GROUNDS = torch.tensor(
    [(170, 205, 225), (190, 215, 180), (205, 200, 190)], device="cpu"
)
EYE, LEG = (15, 15, 15), (110, 90, 70)
CHUNK = 256
TEMPLATES = (
    "a {size} {body} bird",
    "this bird has a {belly} belly and a {beak} beak",
    "a bird with {wing} wings and a {crown} crown",
    "a {size} bird with a {beak} beak and a {belly} belly",
    "this {body} bird has {wing} wings",
    "the bird is {size} and has a {crown} crown",
    "a {body} bird with a {belly} belly and {wing} wings",
    "this {size} bird has a {crown} crown, {wing} wings and a {beak} beak",
    "a bird with a {body} body, a {belly} belly and a {crown} crown",
    "a {size} {body} bird with a {crown} crown and a {beak} beak",
)


@dataclass(frozen=True)
class Birds:
    """A batch of birds.

    Attributes:
        species: number of the species, 0 to 119.
        value: index of each of `ATTRIBUTES` in its list: `COLORS` or `SIZES`.
        place: center of the body in pixels of a 32 x 32 picture.
        left: whether the bird looks to the left.
        rise: how high the head is above the body, in body lengths.
        ground: which of three pale grounds, and its brightness, 0.9 to 1.
    """

    species: Int[Tensor, " b"]
    value: Int[Tensor, "b 6"]
    place: Float[Tensor, "b 2"]
    left: Int[Tensor, " b"]
    rise: Float[Tensor, " b"]
    ground: Float[Tensor, "b 2"]

    def __len__(self) -> int:
        return len(self.species)

    def __getitem__(self, index) -> "Birds":
        """Birds of a number, a slice, a list or a tensor of indices."""
        if isinstance(index, int):  # one bird is a batch of one
            index = [index]
        return self._each(lambda values: values[index])

    def to(self, device) -> "Birds":
        """The same birds on another device."""
        return self._each(lambda values: values.to(device))

    def _each(self, function) -> "Birds":
        parts = {f.name: function(getattr(self, f.name)) for f in fields(self)}
        return replace(self, **parts)

    def attributes(self) -> list[dict[str, str]]:
        """Each bird's attributes in words, such as {"body": "red", ...}."""
        return [
            {k: _names(k)[v] for k, v in zip(ATTRIBUTES, row, strict=True)}
            for row in self.value.tolist()
        ]

    def captions(self) -> list[list[str]]:
        """Ten captions for each bird; all are true, together they name everything."""
        return [
            [_articles(text.format(**words)) for text in TEMPLATES]
            for words in self.attributes()
        ]

    def render(self, resolution: int = 32) -> UInt8[Tensor, "b 3 h w"]:
        """Anti-aliased pictures; pixels 0 to 255.

        Raises:
            ValueError: a resolution below 16.
        """
        check_number("resolution", resolution, 16, whole=True)
        step = max(1, CHUNK * 32 * 32 // resolution**2)
        parts = [self[i : i + step] for i in range(0, len(self), step)]
        return torch.cat([_draw(part, resolution) for part in parts])


def sample(
    n: int,
    *,
    seed: int,
    split: str = "train",
    species: Int[Tensor, " n"] | None = None,
) -> Birds:
    """Exactly n birds; equal arguments give equal birds.

    Args:
        n: how many.
        seed: of species and poses.
        split: "train", "test" or "all"; the first two share no species.
        species: number of the species of each; by default drawn from the split.

    Raises:
        ValueError: no bird, an unknown split, or a species of another one.

    Example:
        >>> birds = sample(2, seed=0)
        >>> birds.render().shape, birds.captions()[0][0]
        (torch.Size([2, 3, 32, 32]), 'a small red bird')
    """
    check_number("n", n, 1, whole=True)
    check_number("seed", seed, -(2**63), 2**64 - 1, whole=True)
    check_choice("split", split, SPLITS)
    low, high = SPLITS[split]
    g = torch.Generator("cpu").manual_seed(seed)
    drawn = torch.randint(low, high, (n,), generator=g, device="cpu")
    u = torch.rand(n, 6, generator=g, dtype=torch.float32, device="cpu")
    if species is not None:
        drawn = torch.as_tensor(species, device="cpu")
        bad = drawn.shape != (n,) or drawn.is_floating_point()
        if bad or ((drawn < low) | (drawn >= high)).any():
            raise ValueError(
                f"species expected {n} whole numbers from {low} to {high - 1}, got "
                f"{drawn.tolist()!s:.60}."
            )
    kind = torch.floor(3 * u[:, 4])
    return Birds(
        species=drawn,
        value=species_table()[drawn],
        place=torch.stack([15.5 + 2 * (u[:, 0] - 0.5), 17 + 3 * u[:, 1] - 1.5], 1),
        left=(u[:, 2] < 0.5).long(),
        rise=0.55 + 0.25 * u[:, 3],
        ground=torch.stack([kind, 0.9 + 0.1 * u[:, 5]], 1),
    )


@lru_cache(maxsize=1)
def species_table() -> Int[Tensor, "k 6"]:
    """The attributes of all species, no two alike; belly and body differ in color."""
    g = torch.Generator("cpu").manual_seed(2011)
    rows, seen = [], set()
    while len(rows) < SPECIES:
        color = torch.randint(len(COLORS), (4,), generator=g, device="cpu").tolist()
        beak = COLORS.index(BEAKS[_below(len(BEAKS), g)])
        row = (*color, beak, _below(len(SIZES), g))
        if row not in seen and row[0] != row[2] and row[0] != row[1]:
            seen.add(row)
            rows.append(row)
    return torch.tensor(rows, device="cpu")


def caption_words() -> list[str]:
    """All words of the captions, sorted, for `mmdl_lib.data.text.WordTokenizer`."""
    known = {k: "" for k in ATTRIBUTES}
    glue = " ".join(t.format(**known) for t in TEMPLATES).replace(",", " ").split()
    return sorted({*glue, "an", *COLORS, *SIZES})


def _below(high: int, g: torch.Generator) -> int:
    return int(torch.randint(high, (), generator=g, device="cpu"))


def _names(attribute: str) -> tuple[str, ...]:
    return SIZES if attribute == "size" else COLORS


def _articles(text: str) -> str:
    return text.replace("a orange", "an orange")


# pixels


def _draw(birds: Birds, resolution: int) -> UInt8[Tensor, "b 3 h w"]:
    """Parts are laid over the ground one after the other."""
    device = birds.place.device
    step = (torch.arange(resolution, dtype=torch.float32, device=device) + 0.5) * (
        32 / resolution
    )
    # body lengths; a bird that looks to the left is mirrored
    unit = 8 * birds.place.new_tensor(SCALE)[birds.value[:, 5]][:, None, None]
    x = (step[None, None, :] - birds.place[:, 0, None, None]) / unit
    y = (step[None, :, None] - birds.place[:, 1, None, None]) / unit
    x = torch.where(birds.left[:, None, None] == 1, -x, x)
    pixel = 32 / resolution / unit  # width of a pixel in body lengths
    kind, light = birds.ground.unbind(1)
    tone = GROUNDS.to(device)[kind.long()] * light[:, None]
    image = tone[..., None, None].expand(-1, -1, resolution, resolution)
    for distance, color in _layers(birds, x, y):
        alpha = (0.5 - distance / pixel).clamp(0, 1)[:, None]
        image = image + (color[..., None, None] - image) * alpha
    return (image + 0.5).to(torch.uint8)


def _layers(birds: Birds, x: Tensor, y: Tensor):
    """Signed distance, in body lengths, and color of each part, from back to front."""
    rgb = RGB.to(x.device).to(torch.float32)
    colors = dict(zip(PARTS, rgb[birds.value[:, :5]].unbind(1), strict=True))
    fixed = {"eye": EYE, "leg": LEG}
    colors |= {k: rgb.new_tensor(v).expand(len(birds), 3) for k, v in fixed.items()}
    rise = birds.rise[:, None, None]
    hx, hy = x - 0.72, y + rise  # from the middle of the head
    head = (hx * hx + hy * hy).sqrt() - 0.42
    body = _oval(x, y, 0.95, 0.6)
    tail = torch.maximum(_oval(x + 1.25, y + 0.08, 0.55, 0.2), x + 0.6)
    legs = torch.minimum(_bar(x - 0.05, y - 0.75), _bar(x - 0.35, y - 0.75))
    beak = torch.maximum(
        (hy - 0.05).abs() - 0.3 * (0.8 - hx).clamp(min=0), (hx - 0.55).abs() - 0.25
    )
    yield tail, colors["wing"]
    yield legs, colors["leg"]
    yield beak, colors["beak"]
    yield body, colors["body"]
    yield torch.maximum(body, 0.15 - y), colors["belly"]
    yield head, colors["body"]
    yield torch.maximum(head, hy + 0.12), colors["crown"]
    yield _oval(x + 0.25, y + 0.12, 0.55, 0.27), colors["wing"]
    yield ((hx - 0.15) * (hx - 0.15) + hy * hy).sqrt() - 0.07, colors["eye"]


def _oval(x: Tensor, y: Tensor, wide: float, high: float) -> Tensor:
    """A close bound of the distance to an oval with these half axes."""
    u, v = x / wide, y / high
    return ((u * u + v * v).sqrt() - 1) * min(wide, high)


def _bar(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs() - 0.05, y.abs() - 0.3)
