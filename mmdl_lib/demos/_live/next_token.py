"""The live demo of GPT: logits of what may come next."""

import base64
import json

import torch
import traitlets
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmdl_lib import demos, pretrained
from mmdl_lib.demos._widget import DemoWidget
from mmdl_lib.models.gpt import GPT


class Next(nn.Module):
    """A GPT's logits behind one place of each row; what stands behind it is padding."""

    def __init__(self, gpt: GPT):
        super().__init__()
        self.gpt = gpt

    def forward(
        self, tokens: Int[Tensor, "b t"], place: Int[Tensor, " b"]
    ) -> Float[Tensor, "b k"]:
        """Not `gpt.logits`, whose check of the numbers an export cannot follow."""
        x = self.gpt.hidden(tokens)
        place = place[:, None, None].expand(-1, 1, x.shape[-1])
        return self.gpt.head(x.gather(1, place)[:, 0])


class Widget(DemoWidget):
    """Choose the next piece; `{tokens}` is answered by `{logits}` as base64."""

    name = "next_token"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        file = demos.HERE / self.name / "facts.json"
        self._gpt = None
        super().__init__(facts=json.loads(file.read_text("utf-8")))

    def reply(self, message: dict) -> dict:
        """Logits of the piece that follows these tokens, float32."""
        try:
            tokens = torch.tensor([message.get("tokens")])
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"expected a list of tokens, got {error}.") from error
        if self._gpt is None:
            self._gpt = pretrained.load("gpt", "verses")
        found = self._gpt.logits(tokens)[0, -1]
        return {"logits": base64.b64encode(found.numpy().tobytes()).decode()}
