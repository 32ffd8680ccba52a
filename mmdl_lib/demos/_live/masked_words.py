"""The live demo of BERT: what two nets expect at hidden places."""

import base64
import json

import torch
import torch.nn.functional as F
import traitlets
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib import demos, pretrained
from mmdl_lib.demos._widget import DemoWidget
from mmdl_lib.lab import masks
from mmdl_lib.lab.masks import Masked


def trained(name: str, kind: str) -> Masked:
    """One of the two small nets that come with the book, with its mask."""
    weights = pretrained.load("bert", name)[0]
    net = Masked(weights.config)
    net.load_state_dict(weights.state_dict())
    net.kind = kind
    return net.eval()


class Fill(nn.Module):
    """Logits of both nets for each place of verses, some of whose words are hidden.

    BERT reads [MASK] at the hidden places. GPT has never seen that token: before the
    place that it is asked for, a hidden word is [UNK] to it, a word it does not know.
    """

    def __init__(self):
        super().__init__()
        self.bert = trained("verses", "full")
        self.gpt = trained("verses_causal", "causal")

    def forward(
        self, tokens: Int[Tensor, "b t"], hidden: Bool[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b t k"], Float[Tensor, "b t k"]]:
        """BERT's and GPT's; GPT's for a place are those behind the one before it."""
        x = self.bert.hidden(
            tokens.masked_fill(hidden, masks.MASK), tokens != masks.PAD
        )
        past = self.gpt.hidden(tokens.masked_fill(hidden, masks.UNK))
        # nothing stands before the first place, which is never asked for
        past = F.pad(past[:, :-1], (0, 0, 1, 0))
        return self.bert.guess(x), self.gpt.guess(past)


class Widget(DemoWidget):
    """Hide words; `{tokens, hidden}` is answered by `{bert, gpt}` as base64."""

    name = "masked_words"
    facts = traitlets.Dict().tag(sync=True)

    def __init__(self):
        file = demos.HERE / self.name / "facts.json"
        self._nets = None
        super().__init__(facts=json.loads(file.read_text("utf-8")))

    def reply(self, message: dict) -> dict:
        """Logits of both nets for each place, float32."""
        length, size = masks.LENGTH, len(self.facts["vocab"])
        tokens, hidden = message.get("tokens"), message.get("hidden")
        for name, row, most in (("tokens", tokens, size - 1), ("hidden", hidden, 1)):
            good = isinstance(row, list) and len(row) == length
            if not good or not all(isinstance(i, int) and 0 <= i <= most for i in row):
                raise ValueError(
                    f"{name} expected {length} numbers from 0 to {most}, got {row!r}."
                )
        if self._nets is None:
            self._nets = Fill()
        found = self._nets(torch.tensor([tokens]), torch.tensor([hidden]).bool())
        packed = (base64.b64encode(x[0].numpy().tobytes()).decode() for x in found)
        return dict(zip(("bert", "gpt"), packed, strict=True))
