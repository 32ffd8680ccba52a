"""What pictures add to sentences, and whether they need a space of their own.

Command: python recipes/grounded_space.py              (all that is missing)
         python recipes/grounded_space.py stories:0    (one group, one seed)
         python recipes/grounded_space.py summary      (the claims)
Expected: about 45 minutes on a quiet core, four for each seed of the stories. Writes
grounded_space_stories, _text and _straight (weights of seed 0) and
results/grounded_space.json; claims in recipes/grounded_space.toml.
"""

from dataclasses import replace
from functools import partial

import torch

from mmdl_lib import lab
from mmdl_lib.lab import stories, titles
from mmdl_lib.models.grounded_space import GroundedSpace, StraightGrounding

STEPS = 4000  # of the made world


def story(seed: int, *, kind=GroundedSpace, save: str = "", **weights) -> dict:
    """An encoder of the stories, measured on new ones; weights kept for the page."""
    told = stories.told(lab.short(8000, least=200), seed=1000 * seed)
    about, facts = stories.pictured(lab.short(600, least=70), seed=1000 * seed + 1)
    config = replace(kind.PRESETS["stories"], **weights)
    torch.manual_seed(seed)  # arms of one seed start with equal encoders
    model = kind(config)
    batches = stories.batches(told, about, facts, seed=seed)
    history = lab.train(model, batches, steps=STEPS, lr=3e-3)
    if save and seed == 0:
        words = stories.tokenizer().words
        lab.save_weights(model, "grounded_space", save, words=words)
    return stories.measured(model, seed) | {
        "curve": lab.means(history.losses["text"], lab.short(100, least=1))
    }


def title(seed: int, *, kind=GroundedSpace, **weights) -> dict:
    """An encoder of clip art's titles, asked about kinds of things not trained on."""
    torch.manual_seed(seed)
    model = titles.model(kind, **weights)
    batches = titles.batches(seed)
    lab.train(model, batches, steps=titles.STEPS, lr=3e-3)
    return titles.measured(model, seed)


TEXT, BOTH = {"cluster": 0, "perceptual": 0}, {"cluster": 1, "perceptual": 1}
LAB = lab.Lab(
    "grounded_space",
    groups={
        "stories": {
            "text": partial(story, save="text", **TEXT),
            "both": partial(story, save="stories", **BOTH),
            "straight": partial(story, kind=StraightGrounding, save="straight", **BOTH),
            "cluster": partial(story, cluster=1, perceptual=0),
            "perceptual": partial(story, cluster=0, perceptual=1),
        },
        "titles": {
            "text": partial(title, **TEXT),
            "both": partial(title, **BOTH),
            "straight": partial(title, kind=StraightGrounding, **BOTH),
        },
    },
    claims=lab.read_claims(__file__),
    least=6,
)

if __name__ == "__main__":
    LAB.main()
