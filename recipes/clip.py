"""Train the tiny CLIP of each world and measure what it knows.

Command: python recipes/clip.py            (both worlds)
         python recipes/clip.py shapes     (or emoji)
Expected: about 5 minutes for each world on two cores. On shapes, zero-shot accuracy of
64 color x shape names above 0.90; on emoji, retrieval of held-out concepts several
times above chance. The measured values stand in results/clip.json.
"""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from mmdl_lib import pretrained
from mmdl_lib.core import generator
from mmdl_lib.data import emoji, shapes
from mmdl_lib.data.text import WORD, WordTokenizer
from mmdl_lib.models.clip import CLIP
from mmdl_lib.train import fit

ROOT = Path(__file__).resolve().parents[1]
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
    """`batches(step)` over pictures of one or two objects, with a random caption."""
    scenes = shapes.sample(TRAIN, seed=seed, objects=(1, 2))
    image = scenes.render()
    texts = [
        tokenizer(list(column)) for column in zip(*shapes.captions(scenes), strict=True)
    ]

    def batches(step):
        g = generator(1_000_003 * seed + step)
        rows = torch.randint(TRAIN, (BATCH,), generator=g)
        tokens, mask = texts[torch.randint(5, (), generator=g)]
        picture = shapes.to_float(image[rows])
        return {"image": picture, "tokens": tokens[rows], "mask": mask[rows]}

    return batches


def train(tokenizer, batches, *, steps, lr=1e-3):
    """A trained model in eval mode, and what its training recorded."""
    torch.manual_seed(0)
    config = replace(
        CLIP.PRESETS["tiny"], vocab=tokenizer.vocab, context=tokenizer.length
    )
    model, began = Recorded(config), time.perf_counter()
    history = fit(model, batches, steps=steps, lr=lr, weight_decay=0.1)
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


@torch.no_grad()
def foil_accuracy(model, tokenizer, scenes, phenomenon):
    """Share of pictures that lie nearer to the true caption than to its foil."""
    rows, true, false = zip(*shapes.foils(scenes, phenomenon), strict=True)
    image = model.encode_image(shapes.to_float(scenes[list(rows)].render()))
    near, far = (model.encode_text(*tokenizer(list(t))) for t in (true, false))
    right = (image * near).sum(1) > (image * far).sum(1)
    return {"accuracy": right.float().mean().item(), "pairs": len(rows)}


@torch.no_grad()
def recall(similarity):
    """Recall at 1, 5 and 10 of the diagonal, by row; and the median rank, from 1."""
    own = similarity.diagonal()[:, None]
    # ties count against the model
    rank = (similarity >= own).sum(1)
    result = {f"R@{k}": (rank <= k).float().mean().item() for k in (1, 5, 10)}
    return result | {"median_rank": rank.median().item()}


def train_shapes():
    tokenizer = WordTokenizer(shapes.caption_words(), length=32)
    model, record = train(tokenizer, shapes_batches(tokenizer, seed=0), steps=1000)
    test = {"objects": 1, "seed": 10_001}
    seen = shapes.sample(2000, held_out="exclude", **test)
    unseen = shapes.sample(2000, held_out="only", **test)
    pairs = shapes.sample(3000, objects=2, seed=10_002)
    kinds = ("attribute", "relation", "noun")
    record["zero_shot"] = {
        "seen": zero_shot(model, tokenizer, seen),
        "held_out": zero_shot(model, tokenizer, unseen),
    }
    record["zero_shot_by_style"] = {
        style: zero_shot(model, tokenizer, replace(seen, style=style))
        for style in shapes.STYLES
    }
    record["foils"] = {k: foil_accuracy(model, tokenizer, pairs, k) for k in kinds}
    return model, tokenizer, record


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
        "picture_to_name": recall(table),
        "name_to_picture": recall(table.T),
        "chance": {f"R@{k}": k / len(unseen.char) for k in (1, 5, 10)},
        "by_style": {},
    }
    for style in emoji.styles():
        drawn = emoji.load("train", style=style)
        record["by_style"][style] = recall(similarities(model, tokenizer, drawn))
        record["by_style"][style]["pictures"] = len(drawn.char)
    return model, tokenizer, record


def write(path, save):
    """Beside the file first, then renamed: nobody reads half of it."""
    temporary = path.with_name(path.name + ".part")
    save(temporary)
    os.replace(temporary, path)


def main():
    file = ROOT / "results/clip.json"
    for world in sys.argv[1:] or ("shapes", "emoji"):
        make = {"shapes": train_shapes, "emoji": train_emoji}[world]
        model, tokenizer, record = make()
        pretrained.save(model, "clip", world, words=tokenizer.words)
        whole = json.loads(file.read_text()) if file.exists() else {}
        whole[world] = record
        text = json.dumps(whole, indent=1) + "\n"
        write(file, lambda path, t=text: path.write_text(t))
        print({k: v for k, v in record.items() if k not in ("loss", "logit_scale")})


if __name__ == "__main__":
    main()
