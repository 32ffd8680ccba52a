"""The live demo of CLIP: a caption against a gallery of pictures."""

import base64
import json
from pathlib import Path

import numpy as np
import torch
import traitlets

from mmdl_lib import demos, pretrained
from mmdl_lib.demos._widget import DemoWidget


def titles() -> dict[str, str]:
    """The galleries that `recipes/clip_demo.py` has exported, and their titles."""
    known = demos.about("clip")["worlds"]
    return {w: known[w] for w in known if all(path.exists() for path in files(w))}


def files(world: str) -> list[Path]:
    """Network and gallery of a world."""
    return [demos.HERE / "clip" / f"{world}.{kind}" for kind in ("onnx", "json")]


def features(facts: dict) -> torch.Tensor:
    """Picture features of a gallery, (n, d), of length one; taken out of `facts`."""
    raw = np.frombuffer(base64.b64decode(facts.pop("features")), "<f4")
    return torch.tensor(raw).reshape(-1, facts["width"])


def scenes(facts: dict) -> torch.Tensor:
    """Features of all scenes of two objects, as bytes; taken out of `facts`."""
    raw = np.frombuffer(base64.b64decode(facts.pop("scenes", "")), "i1")
    return torch.tensor(raw).reshape(-1, facts["width"]) / 127


class Widget(DemoWidget):
    """Compare a caption with a gallery of pictures; `weights` is the gallery to begin
    with, "shapes" or "emoji".

    `{world, caption, scenes}` is answered by `{cosines, drawn}`: those of the gallery
    and of the scenes of two objects with these numbers.
    """

    name = "clip"
    worlds = traitlets.List().tag(sync=True)
    first = traitlets.Unicode().tag(sync=True)
    galleries = traitlets.Dict().tag(sync=True)

    def __init__(self, weights: str = "shapes"):
        worlds = titles()
        facts = {w: json.loads(files(w)[1].read_text("utf-8")) for w in worlds}
        self._features = {world: features(facts[world]) for world in worlds}
        self._scenes = {world: scenes(facts[world]) for world in worlds}
        self._models = {}
        super().__init__(galleries=facts, **self.page(weights)[1])

    @classmethod
    def page(cls, weights: str = "shapes") -> tuple[list[Path], dict]:
        known = demos.about("clip")["worlds"]
        if weights not in known:
            raise ValueError(f"expected {' or '.join(known)}, got {weights!r}.")
        worlds = [{"name": name, "title": title} for name, title in titles().items()]
        return files(weights), {"worlds": worlds, "first": weights}

    def reply(self, message: dict) -> dict:
        """Cosines of a caption with pictures of a world."""
        world = message.get("world")
        if world not in self._features:
            known = ", ".join(self._features)
            raise ValueError(f"expected one of {known}, got {world!r}.")
        if world not in self._models:
            self._models[world] = pretrained.load("clip", world)
        model, tokenizer = self._models[world]
        text = model.encode_text(*tokenizer([str(message.get("caption", ""))]))
        known, rows = self._scenes[world], message.get("scenes") or []
        if not all(isinstance(i, int) and 0 <= i < len(known) for i in rows):
            raise ValueError(f"expected scenes below {len(known)}, got {rows}.")
        drawn = known[rows] @ text[0] if rows else torch.zeros(0)
        cosines = self._features[world] @ text[0]
        return {"cosines": cosines.tolist(), "drawn": drawn.tolist()}
