"""The live form of the demos: the page's module, answered by the kernel."""

import base64
import json
import re

import anywidget
import numpy as np
import torch
import traitlets

from mmdl_lib import demos, pretrained
from mmdl_lib.data.shapes import to_float
from mmdl_lib.demos._networks import Look, Project

IMPORT = re.compile(r'^import \{[^}]*\} from "\./common\.js";$', re.M)


def module(name: str) -> str:
    """A demo's module and what it imports as one text: a widget has no neighbors."""
    own, shared = (
        (demos.HERE / f"{n}.js").read_text("utf-8") for n in (name, "common")
    )
    return IMPORT.sub(lambda _: shared, own, count=1)


class DemoWidget(anywidget.AnyWidget):
    """A message with an `id` is answered by what `reply` gives, or by an `error`."""

    def __init__(self, **values):
        super().__init__(**values)
        self.on_msg(lambda _, content, buffers: self.send(self.answer(content)))

    @torch.no_grad()
    def answer(self, message: dict) -> dict:
        """The answer to one message of the front end, or what was wrong with it."""
        try:
            return {"id": message.get("id"), **self.reply(message)}
        except (ValueError, FileNotFoundError) as error:
            return {"id": message.get("id"), "error": str(error)}

    def reply(self, message: dict) -> dict:
        """What a demo answers.

        Raises:
            ValueError: a message that it cannot answer.
            FileNotFoundError: its weights are not there.
        """
        raise NotImplementedError


class ClipWidget(DemoWidget):
    """`{world, caption}` is answered by `{cosines}`."""

    _esm = module("clip")
    worlds = traitlets.List().tag(sync=True)
    first = traitlets.Unicode().tag(sync=True)
    galleries = traitlets.Dict().tag(sync=True)

    def __init__(self, first: str, names: list[str]):
        facts = {w: json.loads(demos.files(w)[1].read_text("utf-8")) for w in names}
        self._features = {w: _features(f) for w, f in facts.items()}
        self._models = {}
        super().__init__(
            worlds=[{"name": w, "title": demos.WORLDS[w]} for w in names],
            first=first,
            galleries=facts,
        )

    def reply(self, message: dict) -> dict:
        """Cosines of a caption with all pictures of a world."""
        world = message.get("world")
        if world not in self._features:
            known = ", ".join(self._features)
            raise ValueError(f"expected one of {known}, got {world!r}.")
        if world not in self._models:
            self._models[world] = pretrained.load("clip", world)
        model, tokenizer = self._models[world]
        text = model.encode_text(*tokenizer([str(message.get("caption", ""))]))
        return {"cosines": (self._features[world] @ text[0]).tolist()}


class PictureWidget(DemoWidget):
    """`{pixels}`, pictures of bytes as base64, is answered by `{outputs}`."""

    demo = slug = ""
    network: type[torch.nn.Module]
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        file = demos.HERE / self.demo / "facts.json"
        self._network = None
        super().__init__(facts=json.loads(file.read_text("utf-8")))

    def reply(self, message: dict) -> dict:
        """Each output of the network as base64 of float32."""
        side = self.facts["size"]
        try:
            raw = base64.b64decode(message.get("pixels", ""), validate=True)
            image = torch.tensor(np.frombuffer(raw, np.uint8)).reshape(
                -1, 3, side, side
            )
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"expected 3 x {side} x {side} bytes a picture in base64, got {error}."
            ) from error
        if self._network is None:
            self._network = self.network(pretrained.load(self.slug))
        found = self._network(to_float(image))
        packed = (base64.b64encode(x.numpy().tobytes()).decode() for x in found)
        return {"outputs": dict(zip(self.network.NAMES, packed, strict=True))}


class AugmentWidget(PictureWidget):
    """Answered by the projections of SimCLR."""

    _esm = module("augment")
    demo, slug = "augment", "simclr"
    network = Project


class ViTWidget(PictureWidget):
    """Answered by logits, attention and rollout."""

    _esm = module("vit")
    demo = slug = "vit"
    network = Look


def _features(facts: dict) -> torch.Tensor:
    """Picture features of a gallery, (n, d), of length one; taken out of `facts`."""
    raw = np.frombuffer(base64.b64decode(facts.pop("features")), "<f4")
    return torch.tensor(raw).reshape(-1, facts["width"])
