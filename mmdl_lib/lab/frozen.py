"""The world of the chapter on Imagen: words that no picture explains, and a reader.

Every color has three names. Two of them stand in captions; the third never does. But
all three stand in sentences without pictures, which say what is red, scarlet or
crimson: blood, cherries, tomatoes. A reader that has learned from such sentences can
know that crimson is a red. Whoever learns from captions only cannot.
"""

from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes, to_float
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab import one_object as oo
from mmdl_lib.lab import runs
from mmdl_lib.lab.engine import short
from mmdl_lib.lab.few_objects import held
from mmdl_lib.models.bert import BERT, BERTConfig
from mmdl_lib.models.dvae import DVAE
from mmdl_lib.models.imagen import Imagen
from mmdl_lib.models.parti import Parti
from mmdl_lib.models.vit_vqgan import ViTVQGAN
from mmdl_lib.train import History

# of each color: two names of captions, one of sentences only; four things of that color
NAMES = {
    "red": ("red", "scarlet", "crimson"),
    "green": ("green", "emerald", "jade"),
    "blue": ("blue", "azure", "sapphire"),
    "yellow": ("yellow", "lemon", "golden"),
    "orange": ("orange", "tangerine", "amber"),
    "purple": ("purple", "violet", "mauve"),
    "pink": ("pink", "rose", "blush"),
    "cyan": ("cyan", "turquoise", "aqua"),
}
THINGS = {
    "red": ("blood", "ketchup", "ruby", "rust"),
    "green": ("grass", "spinach", "moss", "ivy"),
    "blue": ("ink", "denim", "cobalt", "indigo"),
    "yellow": ("butter", "straw", "mustard", "honey"),
    "orange": ("carrot", "pumpkin", "salmon", "lava"),
    "purple": ("grape", "plum", "lavender", "lilac"),
    "pink": ("bubblegum", "ham", "flamingo", "candy"),
    "cyan": ("ice", "mint", "lagoon", "glacier"),
}
LENGTH, WIDTH = 6, 64
SPECIALS = {"cls_token": 1, "sep_token": 2, "mask_token": 3}


def vocabulary() -> list[str]:
    """A blank for hidden words, then every word of captions and sentences."""
    words = {"a", "an", "is", "as", "looks", "the", "like", *shapes.SHAPES}
    for one in (NAMES, THINGS):
        words |= {word for group in one.values() for word in group}
    return ["blank", *sorted(words)]


def tokenizer() -> WordTokenizer:
    """Captions and sentences to numbers, framed by a begin and an end."""
    return WordTokenizer(vocabulary(), length=LENGTH)


def captions(scenes: Scenes, which: Int[Tensor, " b"]) -> list[str]:
    """Such as "a scarlet star"; `which` of a color's three names."""
    out = []
    for (thing,), k in zip(scenes.things(), which.tolist(), strict=True):
        out.append(f"a {NAMES[thing.color][k]} {thing.shape}")
    return out


def sentences() -> list[str]:
    """All that the reader can read: what has which color, in four wordings."""
    out = []
    for color, names in NAMES.items():
        for name in names:
            out += [f"a {name} {shape}" for shape in shapes.SHAPES]
            for thing in THINGS[color]:
                out += [f"{thing} is {name}", f"{thing} looks {name}"]
                out += [f"{name} as {thing}", f"the {name} {thing}"]
    return out


def reader(
    seed: int,
    *,
    steps: int,
    lr: float = 4e-3,
    width: int = WIDTH,
    depth: int = 2,
    heads: int = 4,
) -> BERT:
    """A small BERT after so many steps on sentences; frozen.

    Args:
        seed: of weights and batches.
        steps: of 64 sentences, one word of each hidden; none: it has read
            nothing.
        lr: rate.
        width, depth, heads: its size.
    """
    torch.manual_seed(seed)
    sizes = {"width": width, "depth": depth, "heads": heads, "positions": LENGTH}
    count = tokenizer().vocab
    model = Reader(BERTConfig(vocab=count, dropout=0.0, **sizes, **SPECIALS))
    if steps:
        tokens, mask = tokenizer()(sentences())
        batches = runs.rows(64, seed, tokens=tokens, mask=mask)
        runs.train(model, batches, steps=steps, lr=lr, seed=seed)
    return model.eval().requires_grad_(False)


class Reader(BERT):
    """BERT that always hides a chosen word, one of a sentence."""

    PRESETS = {}

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Nats of a hidden word."""
        tokens, mask = batch["tokens"], batch["mask"]
        order = torch.rand(tokens.shape, generator=generator, device=tokens.device)
        order = order.masked_fill(~self.words(tokens, mask), 2.0)
        place = order.argmin(1, keepdim=True)
        read = tokens.scatter(1, place, self.config.mask_token)
        x = self.hidden(read, mask).take_along_dim(place[..., None], 1)[:, 0]
        target = tokens.gather(1, place)[:, 0]
        return {"loss": nn.functional.cross_entropy(self.guess(x), target)}


@torch.no_grad()
def read(
    model: nn.Module, texts: list[str]
) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, "b t"]]:
    """What the frozen reader says of texts."""
    tokens, mask = tokenizer()(texts)
    return model.hidden(tokens, mask), mask


def near(model: nn.Module) -> float:
    """Share of the colors whose third name the reader puts next to their first two,
    among the middles of the eight pairs, by the cosine within "a ... star"."""
    texts = [f"a {name} star" for group in NAMES.values() for name in group]
    hidden = read(model, texts)[0][:, 2].reshape(len(NAMES), 3, -1)
    known, new = hidden[:, :2].mean(1), hidden[:, 2]
    cosine = nn.functional.normalize(new, dim=1)
    cosine = cosine @ nn.functional.normalize(known, dim=1).T
    return (cosine.argmax(1) == torch.arange(len(NAMES))).float().mean().item()


def pictures(n: int, *, seed: int) -> Scenes:
    """Scenes of one large plain object."""
    return oo.sample(short(n, least=100), seed=seed)


def learned(
    seed: int,
    scenes: Scenes,
    model: nn.Module,
    *,
    steps: int,
    preset: str = "large-object",
    lr: float = 2e-3,
    **changes,
) -> tuple[Imagen, History]:
    """An Imagen of one object, trained on scenes and what the frozen reader says.

    Args:
        seed: of weights, captions and batches.
        scenes: what it learns from.
        model: the reader.
        steps: of 32 rows.
        preset: of `Imagen`; an upsampler learns from means over 2 x 2 pixels.
        lr: rate.
        changes: in its config.
    """
    config = Imagen.PRESETS[preset]
    config = type(config)(**{**vars(config), **changes})
    which = torch.randint(2, (len(scenes),), generator=generator(seed))
    words, mask = read(model, captions(scenes, which))
    image = rendered(scenes, config.image_size)
    torch.manual_seed(seed)
    net = Imagen(config).to(memory_format=torch.channels_last)
    change = partial(smaller, side=config.low) if config.low else None
    batches = runs.rows(32, seed, change=change, image=image, words=words, mask=mask)
    options = {"schedule": held, "weight_decay": 0.01, "ema": 0.995, "lr": lr}
    history = runs.train(net, batches, steps=steps, seed=seed, **options)
    net.load_state_dict(history.average)
    return net.to(memory_format=torch.contiguous_format).eval(), history


def rendered(scenes: Scenes, side: int) -> Float[Tensor, "b 3 h w"]:
    """Pictures in [-1, 1]; small ones are means over the pixels of larger ones."""
    image = to_float(scenes.render(max(side, oo.SIDE)))
    return nn.functional.interpolate(image, (side, side), mode="area")


def smaller(batch: dict, _=None, *, side: int) -> dict:
    """A batch with its pictures made smaller, as `low`."""
    low = nn.functional.interpolate(batch["image"], (side, side), mode="area")
    return batch | {"low": low}


def asked(n: int, *, seed: int) -> Scenes:
    """Scenes to ask for."""
    return oo.sample(short(n, least=8), seed=seed)


def drawn(
    net: Imagen,
    model: nn.Module,
    texts: list[str],
    *,
    generator: torch.Generator | None = None,
    **how,
) -> Float[Tensor, "b 3 h w"]:
    """One picture for each text, in [-1, 1]; `how` goes to `Imagen.sample`."""
    words, mask = read(model, texts)
    return net.sample(words, mask, generator=generator, **how).clamp(-1, 1)


def right(image: Float[Tensor, "b 3 h w"], scenes: Scenes) -> dict[str, float]:
    """Shares of the pictures with one object of the asked color and shape, or color."""
    size = oo.SIDE * 2
    image = nn.functional.interpolate(image, (size, size), mode="nearest")
    both, color = oo.right(image, scenes)
    return {"right": both.mean().item(), "color": color.mean().item()}


def hue(image: Float[Tensor, "b 3 h w"]) -> Int[Tensor, " b"]:
    """Which of the eight colors each picture has on the whole, of whatever shape.

    Gray counts for nothing, and a strong color for more than a weak one.
    """
    away = image - image.mean(1, keepdim=True)
    strong = away.square().sum(1, keepdim=True)
    whole = (away * strong).sum((2, 3))
    hues = shapes.RGB.float()
    hues = hues - hues.mean(1, keepdim=True)
    cosine = nn.functional.normalize(whole, dim=1)
    return (cosine @ nn.functional.normalize(hues, dim=1).T).argmax(1)


def hue_right(image: Float[Tensor, "b 3 h w"], scenes: Scenes) -> float:
    """Share of the pictures whose `hue` is the asked color."""
    return (hue(image) == scenes.color[:, 0]).float().mean().item()


def parti(
    seed: int,
    scenes: Scenes,
    *,
    steps: int,
    model: DVAE | ViTVQGAN,
    lr: float = 2e-3,
    **changes,
) -> tuple[Parti, History]:
    """A Parti, trained on captions and the codes of scenes.

    Args:
        seed: of weights and batches.
        scenes: what it learns from.
        steps: of 32 rows.
        model: whose codes it learns.
        lr: rate.
        changes: in its config.
    """
    torch.manual_seed(seed)
    tokens, mask = oo.tokenizer()(oo.texts(scenes))
    config = Parti.PRESETS["large-object"]
    net = Parti(type(config)(**{**vars(config), **changes}))
    codes = oo.encoded(model, scenes.render(oo.SIDE))
    batches = runs.rows(32, seed, tokens=tokens, mask=mask, codes=codes)
    history = runs.train(
        net, batches, steps=steps, lr=lr, seed=seed, schedule=held, ema=0.99
    )
    net.load_state_dict(history.average)
    return net.eval(), history


@torch.no_grad()
def nats(
    net: Parti, scenes: Scenes, model: DVAE | ViTVQGAN, *, shuffled: bool = False
) -> float:
    """What a code of new pictures costs; `shuffled`: with captions of others."""
    tokens, mask = oo.tokenizer()(oo.texts(scenes))
    if shuffled:
        tokens, mask = tokens.roll(1, 0), mask.roll(1, 0)
    codes = oo.encoded(model, scenes.render(oo.SIDE))
    found = net.scores(tokens, mask, codes)
    return nn.functional.cross_entropy(found.mT, codes).item()
