"""Export what the demo of data2vec needs: three nets, some rows of each kind, colors.

Command: python recipes/data2vec_demo.py
Expected: a minute on one core; writes three nets, `facts.json` and `still.webp` to
`mmdl_lib/demos/data2vec/`. Run it again after each training of the three nets:
`tests/demos/test_data2vec.py` compares the files with the weights.
"""

import base64
import json
from pathlib import Path

import torch
from einops import rearrange
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mmdl_lib import demos
from mmdl_lib.core import generator
from mmdl_lib.data import shapes, sounds
from mmdl_lib.demos._export import network, pixels, webp, write
from mmdl_lib.demos._live.data2vec import KINDS, Sees, trained
from mmdl_lib.lab import three_senses as senses
from mmdl_lib.nn.mel import log_mel

OUT = demos.HERE / "data2vec"
SEED, MANY = 70_000, 512  # rows that no training and no probe has seen
EXAMPLES, MASKS, PARTS = 4, 5, 12
LETTERS = "mnlrstkp"  # one for each topic
RANGE = 2.2  # deviations from the mean to full color
NOTES = {
    "pictures": "One large plain thing on a plain ground, in 36 patches.",
    "texts": "A made language: each word has the letters of two of eight topics, and "
    "half of a text's words have that of its own topic. Vowels mean nothing.",
    "sounds": "A word of a made language, computed, spoken by no one. The net hears 49 "
    "frames; twelve parts can be hidden.",
}


def half(values: Tensor) -> str:
    """Numbers as base64 of 16 bits each."""
    return base64.b64encode(values.contiguous().half().numpy().tobytes()).decode()


def spelled() -> list[str]:
    """The words of the made texts by their numbers; the last is that of the mask."""
    found = ["", "", ""]
    for a, b in senses.PAIRS:
        found += [f"{LETTERS[a]}{vowel}{LETTERS[b]}u" for vowel in "aeio"]
    return [*found, "hidden"]


def stored(kind: str, world: senses.World) -> list[dict]:
    """The examples: a name, what the net reads, and of a sound what is seen of it."""
    if kind == "texts":
        rows = zip(world.batch["tokens"][:EXAMPLES].tolist(), world.label, strict=False)
        return [
            {"name": f"{i}: topic {LETTERS[k]}", "input": row}
            for i, (row, k) in enumerate(rows, 1)
        ]
    if kind == "pictures":
        names = [shapes.SHAPES[k] for k in world.label[:EXAMPLES]]
        image = world.batch["image"]
        return [
            {"name": f"{i}: {name}", "input": pixels(image[i - 1])}
            for i, name in enumerate(names, 1)
        ]
    said = sounds.load(n=MANY, seed=SEED)
    found = []
    for wave, text in zip(said.wave[:EXAMPLES], said.text, strict=False):
        raw = (wave * 32768).round().to(torch.int16).numpy().tobytes()
        bands = log_mel(wave[None], hop=160, bands=32)[0].T.flip(0)
        seen = ((bands - bands.min()) / (bands.max() - bands.min()) * 255).round()
        picture = base64.b64encode(seen.byte().numpy().tobytes()).decode()
        sound = base64.b64encode(raw).decode()
        found.append({"name": f"“{text}”", "input": sound, "picture": picture})
    return found


def layout(kind: str, n: int) -> dict:
    """Where the places stand, and which of them each cell of the reader covers."""
    if kind == "pictures":
        side = round(n**0.5)
        cells = [[i, i + 1] for i in range(n)]
        return {"grid": [side, side], "first": 0, "cells": cells, "columns": side}
    if kind == "texts":  # the first and the last token frame the text
        cells = [[i, i + 1] for i in range(1, n - 1)]
        return {"grid": [2, (n - 2) // 2], "first": 1, "cells": cells, "columns": 8}
    edge = [round(i * n / PARTS) for i in range(PARTS + 1)]
    cells = [list(pair) for pair in zip(edge, edge[1:], strict=False)]
    return {"grid": [1, n], "first": 0, "cells": cells, "columns": PARTS}


def masks(sees: Sees, batch: dict, cells: list) -> list[list[int]]:
    """Cells that a mask of training hides, at least by half."""
    row = {name: value[:MASKS] for name, value in batch.items()}
    hidden = sees.model.hide(row, generator=generator(SEED)).float()
    return [
        [i for i, (a, b) in enumerate(cells) if one[a:b].mean() >= 0.5]
        for one in hidden
    ]


def directions(target: Tensor) -> tuple[Tensor, Tensor]:
    """Center (d) and three main directions (3, d), scaled to half a range of color."""
    center = target.mean(0)
    _, size, rows = torch.linalg.svd(target - center, full_matrices=False)
    deviation = size[:3] / len(target) ** 0.5
    return center, rows[:3] / (2 * RANGE * deviation[:, None])


def share(sees: Sees, batch: dict, target: Tensor, mean: Tensor) -> float:
    """Of how hidden targets differ from their place's mean: what is expected."""
    hidden = sees.model.hide(batch, generator=generator(SEED + 1))[..., None]
    missed = (sees.model(batch, hidden[..., 0]) - target).square() * hidden
    return 1 - (missed.sum() / ((target - mean).square() * hidden).sum()).item()


def facts_of(kind: str, sees: Sees) -> dict:
    """Everything of one kind but the net."""
    world = senses.WORLDS[kind](MANY, SEED)
    batch = senses.rows(world, torch.arange(MANY))
    target = sees.model.targets(batch)
    mean, shown = target.mean(0), layout(kind, target.shape[1])
    inner = target[:, shown["first"] : target.shape[1] - shown["first"]]
    center, axes = directions(rearrange(inner, "b n d -> (b n) d"))
    whole = 100 * share(sees, batch, target, mean)
    x = next(iter(batch.values()))
    facts = {"places": target.shape[1], "width": target.shape[2]} | shown
    facts |= {"mean": half(mean), "center": half(center), "axes": half(axes)}
    facts |= {"shape": list(x.shape[1:]), "examples": stored(kind, world)}
    facts |= {"masks": masks(sees, batch, shown["cells"]), "whole": round(whole)}
    facts["note"] = (
        f"{NOTES[kind]} Usual is the mean of {MANY} new ones; over all of them, "
        f"hidden as in training, the student explains {whole:.0f}\u00a0%."
    )
    if kind == "texts":
        facts["words"] = spelled()
    if kind == "sounds":
        facts |= {"hop": 320, "seen": [32, 100]}
    return facts


def export(sees: Sees, batch: dict) -> bytes:
    """`x` and `hidden (1, n)` to `target (1, n, d)` and `prediction (1, n, d)`."""
    x = next(iter(batch.values()))[:1]
    hidden = torch.zeros(1, sees.model.targets(sees.batch(x)).shape[1]).bool()
    return network(sees, (x, hidden), ["x", "hidden"], ["target", "prediction"])


def colored(facts: dict, vectors: Tensor) -> Tensor:
    """(rows, columns, 3) bytes, as the page colors them."""
    raw = {name: base64.b64decode(facts[name]) for name in ("center", "axes")}
    center, axes = (
        torch.frombuffer(bytearray(x), dtype=torch.float16) for x in raw.values()
    )
    found = 0.5 + (vectors - center.float()) @ axes.float().view(3, -1).T
    rows, columns = facts["grid"]
    shown = found[facts["first"] : facts["first"] + rows * columns].clamp(0, 1)
    return (255 * shown).round().byte().view(rows, columns, 3)


def still(sees: Sees, facts: dict) -> bytes:
    """The first picture: what the student gets, the target, what is expected."""
    world = senses.WORLDS["pictures"](MANY, SEED)
    x = senses.rows(world, torch.arange(1))["image"]
    hidden = torch.zeros(1, facts["places"]).bool()
    hidden[0, facts["masks"][0]] = True
    target, said = (colored(facts, y[0]) for y in sees(x, hidden))
    given = world.batch["image"][0].permute(1, 2, 0).clone()
    away = hidden.view(*facts["grid"])
    given[away.repeat_interleave(4, 0).repeat_interleave(4, 1)] = 140
    said[~away] = 255
    image = Image.new("RGB", (660, 250), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(17)
    parts = {"the student gets": given, "the teacher says": target}
    parts["the student expects"] = said
    for i, (words, part) in enumerate(parts.items()):
        sheet = Image.fromarray(part.numpy()).resize((204, 204), 0)
        image.paste(sheet, (10 + 218 * i, 36))
        pen.rectangle((9 + 218 * i, 35, 214 + 218 * i, 240), outline="#888")
        pen.text((10 + 218 * i, 8), words, "#444", font)
    return webp(image, quality=90)


@torch.no_grad()
def main(out: Path = OUT, nets: dict[str, Sees] | None = None) -> None:
    """Write the files; of the trained nets, unless others are given."""
    nets = nets or {kind: trained(kind) for kind in KINDS}
    facts = {kind: facts_of(kind, sees) for kind, sees in nets.items()}
    for kind, sees in nets.items():
        world = senses.WORLDS[kind](MANY, SEED)
        batch = senses.rows(world, torch.arange(2))
        write(out / f"{kind}.onnx", export(sees, batch))
    write(out / "facts.json", json.dumps(facts, ensure_ascii=False).encode())
    write(out / "still.webp", still(nets["pictures"], facts["pictures"]))


if __name__ == "__main__":
    main()
