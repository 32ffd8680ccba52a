"""The live form of the demo of CLIP: the page's module, answered by the kernel."""

import base64
import json

import anywidget
import numpy as np
import torch
import traitlets

from mmdl_lib import demos, pretrained


class ClipWidget(anywidget.AnyWidget):
    """Front end `clip.js`; a message `{id, world, caption}` is answered by
    `{id, cosines}` or `{id, error}`."""

    _esm = demos.HERE / "clip.js"
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
        self.on_msg(lambda _, content, buffers: self.send(self.answer(content)))

    @torch.no_grad()
    def answer(self, message: dict) -> dict:
        """Cosines of a caption with all pictures of a world, or what was wrong."""
        number, world = message.get("id"), message.get("world")
        if world not in self._features:
            known = ", ".join(self._features)
            return {"id": number, "error": f"expected one of {known}, got {world!r}."}
        try:
            if world not in self._models:
                self._models[world] = pretrained.load("clip", world)
            model, tokenizer = self._models[world]
            text = model.encode_text(*tokenizer([str(message.get("caption", ""))]))
        except (ValueError, FileNotFoundError) as error:
            return {"id": number, "error": str(error)}
        return {"id": number, "cosines": (self._features[world] @ text[0]).tolist()}


def _features(facts: dict) -> torch.Tensor:
    """Picture features of a gallery, (n, d), of length one; taken out of `facts`."""
    raw = np.frombuffer(base64.b64decode(facts.pop("features")), "<f4")
    return torch.tensor(raw).reshape(-1, facts["width"])
