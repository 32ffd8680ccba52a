"""The live demo of the captioner: what comes next, and which object was looked at."""

import base64
import json

import numpy as np
import torch
import traitlets
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib import demos, pretrained
from mmdl_lib.data.shapes import to_float
from mmdl_lib.demos._widget import DemoWidget
from mmdl_lib.lab.captioning import crops
from mmdl_lib.models.captioner import RegionCaptioner


class Tell(nn.Module):
    """A captioner's logits behind one place of some beginnings, and its looks there.

    All beginnings are about one picture; what stands behind the place is padding.
    """

    NAMES = ("logits", "attention")

    def __init__(self, model: RegionCaptioner):
        super().__init__()
        self.model = model

    def forward(
        self,
        image: Float[Tensor, "1 3 32 32"],
        box: Float[Tensor, "1 n 4"],
        present: Bool[Tensor, "1 n"],
        tokens: Int[Tensor, "b t"],
        place: Int[Tensor, " 1"],
    ) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b layers heads n"]]:
        """Not `model.logits`, whose checks of numbers an export cannot follow."""
        model = self.model
        regions = crops(image, box) * present[..., None]
        values = model.encoded(model.project(regions), present).values
        mask = present.expand(len(tokens), -1)
        given = {"memory": values.expand(len(tokens), -1, -1)}
        x, looks = model.embedded(tokens), []
        for block in model.decoder.blocks:
            y = x + block.attention(block.norm1(x), causal=True)
            looks.append(block.cross.weights(block.norm_cross(y), mask, **given))
            x = block(x, causal=True, memory_mask=mask, **given)
        looks = torch.stack(looks, 1).index_select(3, place)[:, :, :, 0]
        return model.out(model.norm(x.index_select(1, place)))[:, 0], looks


class Widget(DemoWidget):
    """Make a scene; `{pixels, boxes, tokens}` is answered by `{logits, attention}`."""

    name = "captioner"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        file = demos.HERE / self.name / "facts.json"
        self._network = None
        super().__init__(facts=json.loads(file.read_text("utf-8")))

    def reply(self, message: dict) -> dict:
        """Both outputs of `Tell` behind the last tokens, as base64 of float32."""
        most = self.facts["most"]
        try:
            raw = base64.b64decode(message.get("pixels", ""), validate=True)
            image = torch.tensor(np.frombuffer(raw, np.uint8)).reshape(1, 3, 32, 32)
            box = torch.tensor(message.get("boxes"), dtype=torch.float32)
            n = len(box.reshape(-1, 4))
            tokens = torch.tensor(message.get("tokens"))
            if not 1 <= n <= most or tokens.ndim != 2 or tokens.is_floating_point():
                raise ValueError(f"{n} boxes and tokens of shape {[*tokens.shape]}")
            if not 1 <= tokens.shape[1] <= self.facts["length"]:
                raise ValueError(f"{tokens.shape[1]} tokens")
            if tokens.min() < 0 or tokens.max() >= len(self.facts["vocab"]):
                raise ValueError("an unknown token")
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"expected 3 x 32 x 32 bytes, one to {most} boxes and rows of tokens, "
                f"got {error}."
            ) from error
        if self._network is None:
            self._network = Tell(pretrained.load("captioner"))
        box = torch.cat([box, torch.zeros(most - n, 4)])[None]
        present = torch.arange(most)[None] < n
        place = torch.tensor([tokens.shape[1] - 1])
        found = self._network(to_float(image), box, present, tokens, place)
        packed = (base64.b64encode(x.numpy().tobytes()).decode() for x in found)
        return dict(zip(Tell.NAMES, packed, strict=True))
