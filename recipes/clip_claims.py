"""Small controlled versions of what the CLIP paper claims, each with several seeds.

Command: python recipes/clip_claims.py            (all groups)
         python recipes/clip_claims.py batch      (or objectives, shift, vit; summary
                                                   writes the table of claims anew)
Expected: about an hour on two cores for all groups and four seeds; the numbers stand
in results/clip_claims.json and are shown as they came, whether or not they agree.

All runs see pictures of one or two objects, 32 x 32, and are asked for the name of a
single object among the 64 color x shape names (56 of them occur in training).
"""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib.core import Model, generator
from mmdl_lib.data import shapes
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.inside.grad_cam import grad_cam
from mmdl_lib.models.clip import CLIP, ResNetConfig, ResNetTower, ViTConfig
from mmdl_lib.record import interval
from mmdl_lib.train import fit

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "results/clip_claims.json"
TRAIN, PICTURES, EVERY, SEEDS = 20_000, 64_000, 8_000, 4
MIXED, SHIFTED = ("default", "night", "noisy"), ("outline", "gradient", "checker")
TOKENIZER = WordTokenizer(shapes.caption_words(), length=32)
CONFIG = replace(
    CLIP.PRESETS["tiny"],
    vision=ResNetConfig(blocks=(1, 1, 1), width=12, heads=8),
    vocab=TOKENIZER.vocab,
    context=32,
)
TEMPLATES = {
    "name": ["{}"],
    "a name": ["a {}"],
    "a photo of a name": ["a photo of a {}"],
    "ensemble": ["a {}", "a photo of a {}"]
    + [f"a {size} {{}}" for size in shapes.SIZES]
    + [f"there is a {size} {{}}" for size in shapes.SIZES]
    + [
        f"a picture with a {size} {texture} {{}}"
        for size in shapes.SIZES
        for texture in shapes.TEXTURES
    ],
}


def names(template: str) -> list[str]:
    """The 64 class names in a template, with the right article."""
    said = [template.format(f"{c} {s}") for c in shapes.COLORS for s in shapes.SHAPES]
    return [text.replace("a orange", "an orange") for text in said]


class BagOfWords(Model):
    """Predict which words the caption has (softmax over words, Joulin et al. 2016)."""

    def __init__(self, config):
        super().__init__(config)
        self.vision = ResNetTower(config)
        self.words = nn.Linear(config.embed, config.vocab)

    def loss(self, batch, *, phase="main", generator=None):
        present = torch.zeros(len(batch["image"]), self.config.vocab)
        present.scatter_(1, batch["tokens"], 1.0)
        present[:, :3] = 0  # padding, start and end are no words
        scores = self.words(self.vision(batch["image"])).log_softmax(-1)
        return {"loss": -((scores * present).sum(1) / present.sum(1)).mean()}

    def scores(self, image):
        tokens, mask = TOKENIZER(names("a {}"))
        words = self.words(self.vision(image)).log_softmax(-1)
        # the last two words before the end token are color and shape
        return words[:, tokens[:, 2]] + words[:, tokens[:, 3]]


class Captioner(Model):
    """Predict the caption word by word, with the picture in the start token's place."""

    def __init__(self, config):
        super().__init__(config)
        towers = CLIP(config)
        self.vision, self.text = towers.vision, towers.text
        self.bridge = nn.Linear(config.embed, config.text_width)

    def log_likelihood(self, image, tokens, mask):
        x = (
            self.text.tokens(tokens[:, :-1])
            + self.text.positions[: tokens.shape[1] - 1]
        )
        x = torch.cat([self.bridge(image)[:, None] + x[:, :1], x[:, 1:]], 1)
        hidden = self.text.norm(self.text.transformer(x, causal=True))
        scores = (hidden @ self.text.tokens.weight.T).log_softmax(-1)
        picked = scores.gather(2, tokens[:, 1:, None]).squeeze(2)
        return (picked * mask[:, 1:]).sum(1)

    def loss(self, batch, *, phase="main", generator=None):
        features = self.vision(batch["image"])
        total = self.log_likelihood(features, batch["tokens"], batch["mask"])
        return {"loss": -total.mean() / batch["mask"].sum(1).float().mean()}

    def scores(self, image):
        tokens, mask = TOKENIZER(names("a {}"))
        n, k = len(image), len(tokens)
        features = self.vision(image).repeat_interleave(k, 0)
        total = self.log_likelihood(features, tokens.repeat(n, 1), mask.repeat(n, 1))
        return total.view(n, k)


class Contrastive(CLIP):
    """CLIP as it is, with the score table that the others also give."""

    def scores(self, image):
        text = self.encode_text(*TOKENIZER(names("a {}")))
        return self.encode_image(image) @ text.T


class Classifier(Model):
    """The same image tower with a supervised head over the 64 names."""

    def __init__(self, config):
        super().__init__(config)
        self.vision = ResNetTower(config)
        self.head = nn.Linear(config.embed, 64)

    def loss(self, batch, *, phase="main", generator=None):
        return {"loss": F.cross_entropy(self.scores(batch["image"]), batch["label"])}

    def scores(self, image):
        return self.head(self.vision(image))


def pool(seed, *, styles=("default",), objects=(1, 2)):
    """`TRAIN` pictures, five tokenized captions each, labels of the first objects."""
    scenes = shapes.sample(TRAIN, seed=seed, objects=objects)
    image = torch.empty(TRAIN, 3, 32, 32, dtype=torch.uint8)
    for i, style in enumerate(styles):
        # styles take turns, so that any run of rows has all of them
        image[i :: len(styles)] = replace(
            scenes[i :: len(styles)], style=style
        ).render()
    texts = [TOKENIZER(list(c)) for c in zip(*shapes.captions(scenes), strict=True)]
    return image, texts, 8 * scenes.color[:, 0] + scenes.shape[:, 0]


def batches_of(data, size, seed):
    image, texts, label = data

    def batches(step):
        g = generator(1_000_003 * seed + step)
        rows = torch.randint(TRAIN, (size,), generator=g)
        tokens, mask = texts[torch.randint(5, (), generator=g)]
        picture = shapes.to_float(image[rows])
        out = {"image": picture, "tokens": tokens[rows], "mask": mask[rows]}
        return out | {"label": label[rows]}

    return batches


def tests(seed):
    """400 single objects of seen pairs, in the training style and each shifted one."""
    scenes = shapes.sample(400, seed=90_000 + seed, objects=1)
    truth = 8 * scenes.color[:, 0] + scenes.shape[:, 0]
    styles = ("default", *SHIFTED)
    images = {s: shapes.to_float(replace(scenes, style=s).render()) for s in styles}
    return images, truth


@torch.no_grad()
def accuracies(model, data, images, truth):
    """Accuracy by style; running statistics lag in training and are measured anew."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    for i in range(4):
        model.vision(shapes.to_float(data[0][500 * i : 500 * (i + 1)]))
    model.eval()
    out = {}
    for style, image in images.items():
        scores = torch.cat([model.scores(part) for part in image.split(100)])
        out[style] = (scores.argmax(1) == truth).float().mean().item()
    for norm in norms:
        norm.momentum = 0.1
    model.train()
    return out


def watched(kind, config, *, seed, data, size=256, lr=2e-3):
    """Train for `PICTURES` pictures; accuracy by style along the way."""
    images, truth = tests(seed)
    every = EVERY // size
    curve = []

    class Watched(kind):
        def after_step(self, step, *, phase="main"):
            super().after_step(step, phase=phase)
            if (step + 1) % every == 0:
                seen = (step + 1) * size
                curve.append({"pictures": seen} | accuracies(self, data, images, truth))

    torch.manual_seed(seed)
    model = Watched(config)
    fit(model, batches_of(data, size, seed), steps=PICTURES // size, lr=lr)
    accuracies(model, data, images, truth)
    return model.eval(), curve


@torch.no_grad()
def prompts(model, seed):
    """Accuracy of each template, and of their mean direction, by style."""
    images, truth = tests(seed)
    out = {}
    for label, templates in TEMPLATES.items():
        each = torch.stack([model.encode_text(*TOKENIZER(names(t))) for t in templates])
        text = F.normalize(each.mean(0), dim=-1)
        out[label] = {
            style: ((model.encode_image(x) @ text.T).argmax(1) == truth)
            .float()
            .mean()
            .item()
            for style, x in images.items()
        }
    return out


@torch.no_grad()
def foils(model, seed):
    """Share of pictures nearer to the true caption than to its foil."""
    scenes, out = shapes.sample(2000, seed=80_000 + seed, objects=2), {}
    for phenomenon in ("attribute", "relation", "noun"):
        rows, true, false = zip(*shapes.foils(scenes, phenomenon), strict=True)
        image = model.encode_image(shapes.to_float(scenes[list(rows)].render()))
        near, far = (model.encode_text(*TOKENIZER(list(t))) for t in (true, false))
        right = (image * near).sum(1) > (image * far).sum(1)
        out[phenomenon] = right.float().mean().item()
    return out


def pointing(model, layer, seed):
    """Share of Grad-CAM's mass on the named object, of what lies on the two objects."""
    scenes = shapes.sample(400, seed=70_000 + seed, objects=2)
    image = shapes.to_float(scenes.render())
    first = [f"a {shapes.COLORS[c]} {shapes.SHAPES[s]}" for c, s in _first(scenes)]
    text = [t.replace("a o", "an o") for t in first]
    tokens, mask = TOKENIZER(text)
    cam = grad_cam(
        layer,
        lambda: (model.encode_image(image) * model.encode_text(tokens, mask)).sum(1),
    )
    cam = F.interpolate(cam[:, None], size=(32, 32), mode="bilinear")
    mass = (cam * scenes.instance_masks()[:, :2]).sum((2, 3))
    used = mass.sum(1) > 0
    return {
        "share": (mass[used, 0] / mass[used].sum(1)).mean().item(),
        "used": used.float().mean().item(),
    }


def _first(scenes):
    return zip(scenes.color[:, 0].tolist(), scenes.shape[:, 0].tolist(), strict=True)


def objectives(seed):
    data, out = pool(seed), {}
    kinds = {"contrastive": Contrastive, "words": BagOfWords, "caption": Captioner}
    for name, kind in kinds.items():
        model, out[name] = watched(kind, CONFIG, seed=seed, data=data)
        if kind is Contrastive:
            out |= {"prompts": prompts(model, seed), "foils": foils(model, seed)}
            # the last map is 2 x 2 for pictures this small; the one before it is 4 x 4
            out["pointing"] = pointing(model, model.vision.stages[1], seed)
            out["logit_scale"] = model.logit_scale.item()
    return out


def batch(seed):
    data = pool(seed)
    return {
        str(n): watched(Contrastive, CONFIG, seed=seed, data=data, size=n)[1]
        for n in (16, 64)
    }


def shift(seed):
    single, mixed_single = (
        pool(seed, styles=styles, objects=1) for styles in (("default",), MIXED)
    )
    mixed = pool(seed, styles=MIXED)
    arms = {
        "supervised": (Classifier, single),
        "supervised, three styles": (Classifier, mixed_single),
        "CLIP, three styles": (Contrastive, mixed),
    }
    return {
        name: watched(kind, CONFIG, seed=seed, data=data)[1]
        for name, (kind, data) in arms.items()
    }


def vit(seed):
    config = replace(CONFIG, vision=ViTConfig(patch=4, width=96, depth=3, heads=4))
    model, curve = watched(Contrastive, config, seed=seed, data=pool(seed))
    layer = model.vision.transformer.blocks[-2]
    return {"curve": curve, "pointing": pointing(model, layer, seed)}


GROUPS = {"objectives": objectives, "batch": batch, "shift": shift, "vit": vit}


def merge(group, seed, result):
    """Add one run to the file; two processes may take turns."""
    whole = json.loads(OUT.read_text()) if OUT.exists() else {}
    whole.setdefault(group, {})[str(seed)] = result
    part = OUT.with_name(OUT.name + f".{os.getpid()}.part")
    part.write_text(json.dumps(whole, indent=None, separators=(",", ":")) + "\n")
    os.replace(part, OUT)


def final(run, style="default"):
    return run[-1][style]


def mean_accuracy(run):
    """Mean over the checkpoints: the area under the learning curve."""
    return sum(point["default"] for point in run) / len(run)


def shifted(point):
    return sum(point[style] for style in SHIFTED) / len(SHIFTED)


def matched(run, level):
    """Shifted accuracy where the accuracy without shift first reaches a level."""
    return next((shifted(p) for p in run if p["default"] >= level), None)


def row(name, claim, paper, values, note, *, holds=None):
    """A claim's record; without `holds` it holds if the interval is above zero."""
    mean, low, high = (round(x, 4) for x in interval(values))
    return {
        "id": f"clip-{name}",
        "claim": claim,
        "paper": paper,
        "ours": mean,
        "low": low,
        "high": high,
        "seeds": len(values),
        "holds": low > 0 if holds is None else holds(mean, low, high),
        "note": note,
    }


def learning_rows(one, batch):
    learn = {
        arm: [mean_accuracy(run[arm]) for run in one]
        for arm in ("contrastive", "words", "caption")
    }
    less = lambda a, b: [x - y for x, y in zip(a, b, strict=True)]  # noqa: E731
    large = [mean_accuracy(run["contrastive"]) for run in one]
    small = [mean_accuracy(run["16"]) for run in batch]
    note = "Difference of accuracy, mean over the training, at equal pictures."
    return [
        row(
            "contrast-words",
            "The contrastive task learns faster than a bag of words.",
            "4 times the efficiency (Figure 2)",
            less(learn["contrastive"], learn["words"]),
            note,
        ),
        row(
            "contrast-caption",
            "The contrastive task learns faster than captioning.",
            "about 12 times the efficiency (Figure 2)",
            less(learn["contrastive"], learn["caption"]),
            note,
        ),
        row(
            "words-caption",
            "A bag of words learns faster than captioning.",
            "3 times the efficiency (Figure 2)",
            less(learn["words"], learn["caption"]),
            note,
        ),
        row(
            "batch",
            "Batches of 256 learn better than batches of 16.",
            "",
            less(large, small),
            note,
        ),
        row(
            "batch-64",
            "Batches of 256 learn better than batches of 64.",
            "",
            less(large, [mean_accuracy(run["64"]) for run in batch]),
            note,
        ),
        row(
            "batch-steps",
            "At equal steps, batches of 256 learn better than batches of 64.",
            "",
            less(
                [final(run["contrastive"]) for run in one],
                [run["64"][len(run["64"]) // 4 - 1]["default"] for run in batch],
            ),
            "Difference of accuracy after 250 steps.",
        ),
    ]


def prompt_rows(one):
    def gain(more, less):
        styles = ("default", *SHIFTED)
        runs = [run["prompts"] for run in one]
        return [
            sum(run[more][s] - run[less][s] for s in styles) / len(styles)
            for run in runs
        ]

    return [
        row(
            "template",
            "A template beats the bare name.",
            "+1.3 points on ImageNet (section 3.1.4)",
            gain("a photo of a name", "name"),
            "Difference of accuracy, mean over four styles.",
        ),
        row(
            "ensemble",
            "An ensemble of templates beats one template.",
            "+3.5 points on ImageNet (section 3.1.4)",
            gain("ensemble", "a photo of a name"),
            "Difference of accuracy, mean over four styles.",
        ),
    ]


def shift_rows(one, shift, level):
    def gain(a, b):
        pairs = [(matched(x, level), matched(y, level)) for x, y in zip(a, b)]  # noqa: B905
        return [x - y for x, y in pairs if x is not None and y is not None]

    arms = {name: [run[name] for run in shift] for name in shift[0]}
    clip = [run["contrastive"] for run in one]
    note = (
        f"Difference of shifted accuracy where both first reach {level:.0%} unshifted."
    )
    return [
        row(
            "robust-language",
            "Language makes a model more robust than labels on the same pictures.",
            "72.3 against 32.6 % on ObjectNet (Figure 13), on other pictures",
            gain(clip, arms["supervised"]),
            note,
        ),
        row(
            "robust-data",
            "Varied pictures make a supervised model more robust.",
            "",
            gain(arms["supervised, three styles"], arms["supervised"]),
            note,
        ),
    ]


def look_rows(one, vit):
    near = "Share of pictures nearer to the caption than to its foil; chance is 0.5."
    rows = [
        row(
            f"foil-{kind}",
            f"Foils of the kind {kind} stay near chance.",
            "no number",
            [run["foils"][kind] for run in one],
            near,
            holds=lambda mean, low, high: high < 0.6,
        )
        for kind in ("attribute", "relation")
    ]
    pairs = zip(one, vit, strict=True)
    share = [a["pointing"]["share"] - b["pointing"]["share"] for a, b in pairs]
    text = "The ResNet tower localizes better than the ViT tower."
    note = "Difference of the share of Grad-CAM mass on the named object."
    return [*rows, row("localize", text, "shown by examples", share, note)]


LEVEL = 0.4  # low enough that every run reaches it


def summarize():
    """Write the claims into results/clip.json, where the pages find them."""
    whole = json.loads(OUT.read_text())
    one, batch, shift, vit = (list(whole[group].values()) for group in GROUPS)
    claims = learning_rows(one, batch) + prompt_rows(one)
    claims += shift_rows(one, shift, LEVEL) + look_rows(one, vit)
    file = ROOT / "results/clip.json"
    record = json.loads(file.read_text()) | {"claims": claims}
    part = file.with_name(file.name + ".part")
    part.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(part, file)


def main():
    torch.set_num_threads(1)
    for group in [g for g in sys.argv[1:] or GROUPS if g in GROUPS]:
        for seed in range(SEEDS):
            began = time.perf_counter()
            result = GROUPS[group](seed)
            merge(group, seed, _rounded(result))
            print(f"{group} {seed}: {time.perf_counter() - began:.0f} s", flush=True)
    if set(json.loads(OUT.read_text())) == set(GROUPS):
        summarize()


def _rounded(x):
    if isinstance(x, float):
        return round(x, 4)
    if isinstance(x, dict):
        return {k: _rounded(v) for k, v in x.items()}
    return [_rounded(v) for v in x] if isinstance(x, list) else x


if __name__ == "__main__":
    main()
