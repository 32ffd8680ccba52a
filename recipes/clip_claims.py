"""Small controlled versions of what the CLIP paper claims, each with several seeds.

Command: python recipes/clip_claims.py            (all that is missing, then the claims)
         python recipes/clip_claims.py batch      (or objectives, shift, vit, summary)
Expected: about an hour on two cores for four seeds; the numbers stand in
results/clip_claims.json and are shown as they came, whether or not they agree.

All runs see pictures of one or two objects, 32 x 32, and are asked for the name of a
single object among the 64 color x shape names (56 of them occur in training).
"""

from dataclasses import replace
from functools import cache, partial

import torch
import torch.nn.functional as F

from mmdl_lib import lab
from mmdl_lib.data import shapes
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.inside.grad_cam import grad_cam
from mmdl_lib.lab.captioned import captioned, foil_accuracy
from mmdl_lib.lab.tasks import BagOfWords, Captioner, Classifier, Contrastive
from mmdl_lib.models.clip import CLIP, ResNetConfig, ViTConfig

TRAIN, PICTURES, EVERY = 20_000, 64_000, 8_000
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


NAMES = TOKENIZER(names("a {}"))


@cache
def pool(seed, *, styles=("default",), objects=(1, 2)):
    """Pictures, five tokenized captions each, labels of the first objects."""
    scenes = shapes.sample(lab.short(TRAIN, least=2000), seed=seed, objects=objects)
    image = torch.empty(len(scenes), 3, 32, 32, dtype=torch.uint8)
    for i, style in enumerate(styles):
        # styles take turns, so that any run of rows has all of them
        part = slice(i, None, len(styles))
        image[part] = replace(scenes[part], style=style).render()
    texts = [TOKENIZER(list(c)) for c in zip(*shapes.captions(scenes), strict=True)]
    label = 8 * scenes.color[:, 0] + scenes.shape[:, 0]
    return {"image": image, "texts": texts, "label": label}


@cache
def tests(seed):
    """400 single objects of seen pairs, in the training style and each shifted one."""
    scenes = shapes.sample(400, seed=90_000 + seed, objects=1)
    truth = 8 * scenes.color[:, 0] + scenes.shape[:, 0]
    styles = ("default", *SHIFTED)
    images = {s: shapes.to_float(replace(scenes, style=s).render()) for s in styles}
    return images, truth


@torch.no_grad()
def accuracies(model, image, seed):
    """Accuracy by style; running statistics lag in training and are measured anew."""
    parts = shapes.to_float(image[:2000]).split(500)
    lab.recalibrate(model, parts, model.vision)
    images, truth = tests(seed)
    found = {}
    for style, x in images.items():
        scores = torch.cat([model.scores(part, *NAMES) for part in x.split(100)])
        found[style] = (scores.argmax(1) == truth).double().mean().item()
    return found


def watched(kind, seed, data, *, config=CONFIG, size=256, lr=2e-3):
    """Train for `PICTURES` pictures; accuracy by style along the way."""
    curve, every = [], lab.short(EVERY // size, least=1)

    class Watched(kind):
        def after_step(self, step, *, phase="main"):
            super().after_step(step, phase=phase)
            if (step + 1) % every == 0:
                seen = {"pictures": (step + 1) * size}
                curve.append(seen | accuracies(self, data["image"], seed))
                self.train()

    torch.manual_seed(seed)
    model = Watched(config)
    lab.train(model, captioned(size, seed, **data), steps=PICTURES // size, lr=lr)
    accuracies(model, data["image"], seed)
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


def foils(model, seed):
    """Share of pictures nearer to the true caption than to its foil."""
    scenes = shapes.sample(2000, seed=80_000 + seed, objects=2)
    kinds = ("attribute", "relation", "noun")
    return {k: foil_accuracy(model, TOKENIZER, scenes, k)[0] for k in kinds}


def pointing(model, layer, seed, grid=None):
    """Share of Grad-CAM's mass on the named object, of what lies on the two objects."""
    scenes = shapes.sample(400, seed=70_000 + seed, objects=2)
    image = shapes.to_float(scenes.render())
    every = names("a {}")
    label = 8 * scenes.color[:, 0] + scenes.shape[:, 0]
    tokens, mask = TOKENIZER([every[i] for i in label.tolist()])
    cam = grad_cam(
        layer,
        lambda: (model.encode_image(image) * model.encode_text(tokens, mask)).sum(1),
        grid=grid,
    )
    cam = F.interpolate(cam[:, None], size=(32, 32), mode="bilinear")
    mass = (cam * scenes.instance_masks()[:, :2]).sum((2, 3))
    used = mass.sum(1) > 0
    return {
        "share": (mass[used, 0] / mass[used].sum(1)).mean().item(),
        "used": used.float().mean().item(),
    }


def learned(seed, *, kind, size=256, **options):
    """The curve of a training."""
    return watched(kind, seed, pool(seed, **options), size=size)[1]


def objectives(seed):
    """CLIP, what it knows of prompts, foils and places, and two other tasks."""
    model, curve = watched(Contrastive, seed, pool(seed))
    out = {"contrastive": curve, "prompts": prompts(model, seed)}
    out |= {"foils": foils(model, seed), "logit_scale": model.logit_scale.item()}
    # the last map is 2 x 2 for pictures this small; the one before it is 4 x 4
    out["pointing"] = pointing(model, model.vision.stages[1], seed)
    out["words"] = learned(seed, kind=BagOfWords)
    return out | {"caption": learned(seed, kind=Captioner)}


def vit(seed):
    config = replace(CONFIG, vision=ViTConfig(patch=4, width=96, depth=3, heads=4))
    model, curve = watched(Contrastive, seed, pool(seed), config=config)
    layer = model.vision.transformer.blocks[-2]
    return {"curve": curve, "pointing": pointing(model, layer, seed, (8, 8))}


GROUPS = {
    "objectives": objectives,
    "batch": {str(n): partial(learned, kind=Contrastive, size=n) for n in (16, 64)},
    "shift": {
        "supervised": partial(learned, kind=Classifier, objects=1),
        "supervised, three styles": partial(
            learned, kind=Classifier, objects=1, styles=MIXED
        ),
        "CLIP, three styles": partial(learned, kind=Contrastive, styles=MIXED),
    },
    "vit": vit,
}
LEVEL = 0.4  # low enough that every run reaches it


def mean_of(run, group, arm):
    """Mean over the checkpoints: the area under the learning curve."""
    curve = run[group][arm]
    return sum(point["default"] for point in curve) / len(curve)


def equal_steps(run):
    """What batches of 64 reach in as many steps as batches of 256."""
    curve = run["batch"]["64"]
    return curve[len(curve) // 4 - 1]["default"]


def prompt(run, name):
    return sum(run["objectives"]["prompts"][name].values()) / (1 + len(SHIFTED))


def matched(run, group, arm):
    """Shifted accuracy where the accuracy without shift first reaches the level."""
    point = next((p for p in run[group][arm] if p["default"] >= LEVEL), None)
    if point is None:
        raise KeyError("a run that reaches the level")
    return sum(point[style] for style in SHIFTED) / len(SHIFTED)


QUANTITIES = {
    f"mean of {arm}": partial(mean_of, group=group, arm=arm)
    for group, arms in (
        ("objectives", ("contrastive", "words", "caption")),
        ("batch", ("16", "64")),
    )
    for arm in arms
}
QUANTITIES |= {name: partial(prompt, name=name) for name in TEMPLATES}
QUANTITIES |= {
    f"{said} where matched": partial(matched, group=group, arm=arm)
    for said, group, arm in (
        ("CLIP", "objectives", "contrastive"),
        ("supervised", "shift", "supervised"),
        ("three styles", "shift", "supervised, three styles"),
    )
}
QUANTITIES["equal steps of 64"] = equal_steps
CLAIMS = lab.read_claims(__file__, **QUANTITIES)
LAB = lab.Lab("clip_claims", groups=GROUPS, claims=CLAIMS)

if __name__ == "__main__":
    LAB.main()
