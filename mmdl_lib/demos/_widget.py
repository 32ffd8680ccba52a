"""The live form of the demos: the page's module, answered by the kernel."""

import base64
import json
import re
from pathlib import Path

import anywidget
import numpy as np
import torch
import traitlets

from mmdl_lib import demos, pretrained
from mmdl_lib.data.shapes import to_float

IMPORT = re.compile(r'^import \{[^}]*\}\s+from "(\.[^"]+)";$', re.M)


def module(path: Path) -> str:
    """A module and what it imports as one text: a widget has no neighbors."""
    found = {}

    def gather(file: Path) -> None:
        text = file.read_text("utf-8")
        for name in IMPORT.findall(text):
            if (file.parent / name).resolve() not in found:
                gather((file.parent / name).resolve())
        found[file.resolve()] = IMPORT.sub("", text)

    gather(path)
    return "\n".join(found.values())


class DemoWidget(anywidget.AnyWidget):
    """A message with an `id` is answered by what `reply` gives, or by an `error`.

    A demo sets `name`, that of its folder.
    """

    name = ""
    title = traitlets.Unicode().tag(sync=True)

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if cls.name and not hasattr(cls, "_esm"):
            cls._esm = module(demos.HERE / cls.name / "demo.js")

    def __init__(self, **values):
        super().__init__(title=demos.about(self.name)["title"], **values)
        self.on_msg(lambda _, content, buffers: self.send(self.answer(content)))

    @classmethod
    def page(cls) -> tuple[list[Path], dict]:
        """What a page loads, and what its demo is told."""
        folder = demos.HERE / cls.name
        return [folder / "model.onnx", folder / "facts.json"], {}

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


class PictureWidget(DemoWidget):
    """`{pixels}`, pictures of bytes as base64, is answered by `{outputs}`.

    A demo sets `slug`, that of the model, and `network`, which is given the model.
    """

    slug = ""
    network: type[torch.nn.Module]
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        file = demos.HERE / self.name / "facts.json"
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
