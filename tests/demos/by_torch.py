"""What the pages of the drawing demos draw, by torch; and what a page shows."""

import math

import torch
from einops import rearrange

from mmdl_lib.lab import few_objects as fo


def luck(seed, n):
    """mulberry32, as its author describes it, in whole numbers of Python."""
    out, a, cut = [], seed, 0xFFFFFFFF
    for _ in range(n):
        a = (a + 0x6D2B79F5) & cut
        t = ((a ^ (a >> 15)) * (a | 1)) & cut
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & cut)) & cut
        out.append((t ^ (t >> 14)) / 2**32)
    return out


def noise(seed):
    """The noise of a seed for GLIDE's picture: pairs by Box and Muller."""
    pairs = torch.tensor(luck(seed, 3 * 32 * 32), dtype=torch.double).view(-1, 2)
    far, angle = (-2 * (1 - pairs[:, 0]).log()).sqrt(), 2 * math.pi * pairs[:, 1]
    both = torch.stack([far * angle.cos(), far * angle.sin()], 1)
    return both.float().view(1, 3, 32, 32)


@torch.no_grad()
def drawn(glide, caption, seed, scale, **how):
    """All places of GLIDE's draw, as the page makes it: seen and believed."""
    tokens, mask = fo.tokenizer()([caption])
    places = []
    how |= {"steps": 20, "watch": lambda step, x, x0: places.append((x[0], x0[0]))}
    say = glide.guided(tokens, mask, scale)
    last = glide.diffusion.sample(say, noise(seed), **how)[0]
    return [*places, (last, last)]


def shown(x):
    """Bytes of a picture in [-1, 1]."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round()


def canvas(node):
    """What a canvas shows, as bytes (3, h, w)."""
    js = """canvas => { const {width, height} = canvas;
      return [...canvas.getContext("2d").getImageData(0, 0, width, height).data]; }"""
    raw = torch.tensor(node.evaluate(js))
    side = round((len(raw) / 4) ** 0.5)
    return rearrange(raw, "(h w c) -> c h w", c=4, h=side)[:3]


def pixels(page, name):
    """What the canvas of a name shows."""
    return canvas(page.get_by_role("img", name=name))


def status(page):
    """What a demo says."""
    return page.get_by_role("status").inner_text()
