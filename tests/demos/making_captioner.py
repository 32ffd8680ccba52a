"""Scenes of the captioner's demo, as its page holds them and as the library does."""

import re
from dataclasses import replace

import torch

from mmdl_lib.data import shapes
from mmdl_lib.lab.captioning import crops


def scene(things):
    """Objects as the page holds them, as the library does."""
    n = len(things)
    found = shapes.sample(1, seed=0, objects=n, textures="solid")
    parts = {k: getattr(found, k).clone() for k in ("color", "shape", "size", "center")}
    for k, thing in enumerate(things):
        parts["color"][0, k] = shapes.COLORS.index(thing["color"])
        parts["shape"][0, k] = shapes.SHAPES.index(thing["shape"])
        parts["size"][0, k] = shapes.SIZES.index(thing["size"])
        parts["center"][0, k] = torch.tensor([thing["x"], thing["y"]])
    return replace(found, **parts)


def drawn_by_lot(n=60):
    """All shapes, colors and sizes at whole-numbered places, up to the edges."""
    scenes = shapes.sample(n, seed=5, held_out="include")
    out = []
    for things in scenes.things():
        keys = ("color", "shape", "size")
        row = [{k: getattr(t, k) for k in keys} for t in things]
        for thing, t in zip(row, things, strict=True):
            edge = {"small": 5, "medium": 6, "large": 8}[t.size]
            at = (min(32 - edge, max(edge, round(v))) for v in (t.x, t.y))
            thing |= dict(zip("xy", at, strict=True))
        out.append(row)
    return out


def known(things):
    """Picture, boxes and which of them are real."""
    one = scene(things)
    box = one.boxes() * one.present[..., None]
    return shapes.to_float(one.render()), box, one.present


def memory_of(model, things):
    image, box, present = known(things)
    return model.memory(crops(image, box) * present[..., None], present)


def both(model, things, rows):
    """Regions and mask, for several rows."""
    image, box, present = known(things)
    feature = crops(image, box) * present[..., None]
    return feature.expand(rows, -1, -1), present.expand(rows, -1)


def status(page):
    return page.get_by_role("status").inner_text()


def settle(page):
    """Waits until the last scene is told, or what is wrong with it."""
    page.locator("[aria-busy=false]").wait_for()


def said(page):
    return re.search("“(.*)”", status(page))[1]


def begin(page, i):
    page.get_by_role("group", name="Scenes to begin").locator("button").nth(i).click()
    settle(page)
