"""Train the tiny CLIP of each world and measure what it knows.

Command: python recipes/clip.py                   (both worlds)
         python recipes/clip.py shapes --fresh    (or emoji)
Expected: about 5 minutes for each world on two cores. On shapes, zero-shot accuracy of
64 color x shape names above 0.90; on emoji, retrieval of held-out concepts several
times above chance. The measured values stand in results/clip.json.
"""

import time
from dataclasses import replace

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.core import generator
from mmdl_lib.data import emoji, shapes
from mmdl_lib.data.text import WORD, WordTokenizer
from mmdl_lib.lab.captioned import captioned, foil_accuracy, retrieval
from mmdl_lib.models.clip import CLIP

TRAIN, BATCH = 30_000, 256


class Recorded(CLIP):
    """CLIP that notes its learned factor after each step."""

    def __init__(self, config):
        super().__init__(config)
        self.scales = []

    def after_step(self, step, *, phase="main"):
        super().after_step(step, phase=phase)
        self.scales.append(self.logit_scale.item())


def shapes_batches(tokenizer, *, seed):
    """Pictures of one or two objects, with a random caption."""
    scenes = shapes.sample(lab.short(TRAIN, least=1000), seed=seed, objects=(1, 2))
    columns = zip(*shapes.captions(scenes), strict=True)
    texts = [tokenizer(list(column)) for column in columns]
    return captioned(BATCH, seed, image=scenes.render(), texts=texts)


def train(tokenizer, batches, *, steps, lr=1e-3):
    """A trained model in eval mode, and what its training recorded."""
    torch.manual_seed(0)
    config = replace(
        CLIP.PRESETS["tiny"], vocab=tokenizer.vocab, context=tokenizer.length
    )
    model, began = Recorded(config), time.perf_counter()
    history = lab.train(model, batches, steps=steps, lr=lr, weight_decay=0.1)
    record = {
        "steps": steps,
        "batch": BATCH,
        "seconds": round(time.perf_counter() - began),
        "params": sum(p.numel() for p in model.parameters()),
        "loss": [round(x, 4) for x in history.losses["loss"][::20]],
        "logit_scale": [round(x, 4) for x in model.scales[::20]],
    }
    return model.eval(), record


@torch.no_grad()
def zero_shot(model, tokenizer, scenes):
    """Share of one-object pictures whose color and shape name wins among all 64."""
    pairs = [(c, s) for c in shapes.COLORS for s in shapes.SHAPES]
    names = [f"{'an' if c[0] == 'o' else 'a'} {c} {s}" for c, s in pairs]
    text = model.encode_text(*tokenizer(names))
    image = model.encode_image(shapes.to_float(scenes.render()))
    truth = 8 * scenes.color[:, 0] + scenes.shape[:, 0]
    return ((image @ text.T).argmax(1) == truth).float().mean().item()


def train_shapes():
    tokenizer = WordTokenizer(shapes.caption_words(), length=32)
    model, record = train(tokenizer, shapes_batches(tokenizer, seed=0), steps=1000)
    test = {"objects": 1, "seed": 10_001}
    seen = shapes.sample(2000, held_out="exclude", **test)
    unseen = shapes.sample(2000, held_out="only", **test)
    pairs = shapes.sample(3000, objects=2, seed=10_002)
    record["zero_shot"] = {
        "seen": zero_shot(model, tokenizer, seen),
        "held_out": zero_shot(model, tokenizer, unseen),
    }
    record["zero_shot_by_style"] = {
        style: zero_shot(model, tokenizer, replace(seen, style=style))
        for style in shapes.STYLES
    }
    record["foils"] = {}
    for kind in ("attribute", "relation", "noun"):
        accuracy, count = foil_accuracy(model, tokenizer, pairs, kind)
        record["foils"][kind] = {"accuracy": accuracy, "pairs": count}
    lab.save_weights(model, "clip", words=tokenizer.words)
    return record


def moved(image, g):
    """Pictures shifted, scaled and tinted a little; the ground stays white."""
    n = len(image)
    scale = 0.9 + 0.35 * torch.rand(n, generator=g)
    shift = 0.3 * torch.rand(n, 2, generator=g) - 0.15
    turn = torch.zeros(n, 2, 3)
    turn[:, 0, 0] = turn[:, 1, 1] = scale
    turn[:, :, 2] = shift
    grid = F.affine_grid(turn, list(image.shape), align_corners=False)
    # zero outside is white: the picture is turned into ink on nothing first
    ink = F.grid_sample(1 - image, grid, align_corners=False)
    tint = 0.8 + 0.4 * torch.rand(n, 3, 1, 1, generator=g)
    return (1 - ink * tint).clamp(-1, 1)


def known(caption, words):
    """The caption without words that were never trained; "emoji" where none is left."""
    kept = [word for word in WORD.findall(caption.lower()) if word in words]
    return " ".join(kept) or "emoji"


def emoji_batches(found, tokenizer):
    pixels = shapes.to_float(found.image)
    tokens, mask = tokenizer([names["en"] for names in found.names])

    def batches(step):
        g = generator(step)
        rows = torch.randperm(len(pixels), generator=g)[:BATCH]
        picture = moved(pixels[rows], g)
        return {"image": picture, "tokens": tokens[rows], "mask": mask[rows]}

    return batches


@torch.no_grad()
def similarities(model, tokenizer, found):
    """Pictures (rows) against English names (columns)."""
    words = set(tokenizer.words)
    text = [known(names["en"], words) for names in found.names]
    image = model.encode_image(shapes.to_float(found.image))
    return image @ model.encode_text(*tokenizer(text)).T


def train_emoji():
    seen, unseen = emoji.load("train"), emoji.load("test")
    words = {w for names in seen.names for w in WORD.findall(names["en"].lower())}
    tokenizer = WordTokenizer(sorted({*words, "emoji"}), length=24)
    model, record = train(tokenizer, emoji_batches(seen, tokenizer), steps=800)
    table = similarities(model, tokenizer, unseen)
    asked = [WORD.findall(names["en"].lower()) for names in unseen.names]
    record |= {
        "concepts": {"train": len(seen.char), "test": len(unseen.char)},
        "all_words_known": sum(words.issuperset(a) for a in asked) / len(asked),
        "picture_to_name": retrieval(table),
        "name_to_picture": retrieval(table.T),
        "chance": {f"R@{k}": k / len(unseen.char) for k in (1, 5, 10)},
        "by_style": {},
    }
    for style in emoji.styles():
        drawn = emoji.load("train", style=style)
        record["by_style"][style] = retrieval(similarities(model, tokenizer, drawn))
        record["by_style"][style]["pictures"] = len(drawn.char)
    lab.save_weights(model, "clip", "emoji", words=tokenizer.words)
    return record


LAB = lab.Lab("clip", groups={}, once={"shapes": train_shapes, "emoji": train_emoji})

if __name__ == "__main__":
    LAB.main()
