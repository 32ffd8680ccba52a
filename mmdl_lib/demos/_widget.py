"""The live form of the demos: the page's module, answered by the kernel."""

import base64
import json
import re

import anywidget
import numpy as np
import torch
import traitlets

from mmdl_lib import demos, pretrained

IMPORT = re.compile(r'^import \{[^}]*\} from "\./common\.js";$', re.M)


def module(name: str) -> str:
    """A demo's module and what it imports as one text: a widget has no neighbors."""
    own, shared = (
        (demos.HERE / f"{n}.js").read_text("utf-8") for n in (name, "common")
    )
    shared = re.sub(r"^export ", "", shared, flags=re.M)
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


def _features(facts: dict) -> torch.Tensor:
    """Picture features of a gallery, (n, d), of length one; taken out of `facts`."""
    raw = np.frombuffer(base64.b64decode(facts.pop("features")), "<f4")
    return torch.tensor(raw).reshape(-1, facts["width"])
