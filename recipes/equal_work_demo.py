"""Draw what the demo of latent diffusion shows: pixels against latents at equal work.

Command: python recipes/equal_work_demo.py
Expected: two minutes on one core; trains the same net three times in latents and three
times in pixels, each pair for as much work; writes `tiles.bin`, `facts.json` and
`still.webp` to `mmdl_lib/demos/equal_work/`. Nobody else needs these nets: they are
not kept.
"""

import json

import torch
from PIL import Image, ImageDraw, ImageFont

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.data.shapes import to_float
from mmdl_lib.demos._export import enlarge, to_image, webp, write
from mmdl_lib.lab import latents as la
from mmdl_lib.lab import one_object as oo
from mmdl_lib.models.latent_diffusion import LatentDiffusion
from mmdl_lib.pretrained import small

OUT = demos.HERE / "equal_work"
CAPTIONS = ("a red star", "an orange square", "a green moon", "a blue ring")
CAPTIONS += ("a purple heart", "a yellow cross")
LATENT = (120, 240, 480)  # updates in latents
LOOKS, SHOWN = 20, (1, 4, 8, 12, 20)  # at a picture in sampling; those that are shown
SEED = 0


def work() -> dict:
    """Updates of both nets, and multiply-adds of a look at one picture."""
    cost = {"latents": la.cost(LatentDiffusion.from_preset(la.WEIGHTS))}
    cost["pixels"] = la.cost(la.pixels(0, "pixels"))
    share = cost["latents"] / cost["pixels"]
    updates = {"latents": list(LATENT), "pixels": [round(n * share) for n in LATENT]}
    return {"cost": cost, "updates": updates}


def trained(kind: str, steps: int):
    """A net of the chapter's kind, trained as there."""
    data = la.captioned(oo.sample(4000, seed=1000 + SEED))
    if kind == "pixels":
        model = la.pixels(SEED, kind)
    else:
        stage = small.load("latent_diffusion", la.WEIGHTS).first
        model = la.latent(SEED, stage, to_float(data["image"][: la.BATCH]))
    la.train(model, data, seed=SEED, steps=steps)
    return model


@torch.no_grad()
def beliefs(model) -> torch.Tensor:
    """The believed pictures at the looks that are shown, as bytes (looks, captions)."""
    seen, latent = [], isinstance(model, LatentDiffusion)
    process, tokens = model.diffusion, oo.tokenizer()(list(CAPTIONS))
    side = (12, 4, 4) if latent else (3, oo.SIDE, oo.SIDE)
    x = torch.randn(len(CAPTIONS), *side, generator=generator(SEED))
    how = {"watch": lambda step, x, x0: seen.append(x0)}
    how |= {"settle": lambda z0: z0} if latent else {}
    process.sample(model.guided(*tokens, 2), x, steps=LOOKS, **how)
    image = torch.stack([model.decode(x0) if latent else x0 for x0 in seen])
    image = image[[look - 1 for look in SHOWN]].clamp(-1, 1)
    return ((image + 1) * 127.5).round().to(torch.uint8)


def right(image: torch.Tensor) -> int:
    """How many of the pictures for all captions the fixed program reads right."""
    asked = oo.sample(1000, seed=5)
    row = torch.tensor([oo.texts(asked).index(text) for text in CAPTIONS])
    large = oo.larger(image.float() / 127.5 - 1)
    return int(oo.right(large, asked[row])[0].sum())


def facts(tiles: torch.Tensor) -> dict:
    """Captions, work, and how many of the last pictures are right: (kinds, works)."""
    found = [[right(image[-1]) for image in kind] for kind in tiles]
    known = {"captions": list(CAPTIONS), "shown": list(SHOWN), "size": oo.SIDE}
    return (
        known | work() | {"right": dict(zip(("latents", "pixels"), found, strict=True))}
    )


def still(tiles: torch.Tensor) -> Image.Image:
    """The last pictures for all captions after the most work, both kinds."""
    image = Image.new("RGB", (700, 268), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    for j, (kind, count) in enumerate(work()["updates"].items()):
        words = f"{kind}: {count[-1]} updates"
        pen.text((8, 6 + 132 * j), words, "black", font)
        for i in range(len(CAPTIONS)):
            tile = to_image(enlarge(tiles[j, -1, -1, i], 6))
            image.paste(tile, (8 + 116 * i, 30 + 132 * j))
    return image


def main() -> None:
    updates = work()["updates"]
    rows = [[beliefs(trained(kind, n)) for n in updates[kind]] for kind in updates]
    tiles = torch.stack([torch.stack(row) for row in rows])
    write(OUT / "tiles.bin", tiles.numpy().tobytes())
    write(OUT / "facts.json", json.dumps(facts(tiles)).encode())
    write(OUT / "still.webp", webp(still(tiles), quality=85))


if __name__ == "__main__":
    main()
