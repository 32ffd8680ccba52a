"""The demo of the captioner in a notebook: its kernel answers."""

import base64
import json

import numpy as np
import pytest
import torch

from mmdl_lib import demos, pretrained
from tests.demos.making_captioner import begin, both, said, scene, status


@pytest.fixture(scope="module")
def facts():
    return json.loads((demos.HERE / "captioner/facts.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def model():
    return pretrained.load("captioner")


def test_the_kernel_answers_the_same_numbers(model, facts):
    widget, things = demos.captioner(), facts["scenes"][2]
    one = scene(things)
    text = base64.b64encode(one.render()[0].numpy().tobytes()).decode()
    message = {"pixels": text, "boxes": one.boxes()[0, :3].tolist()}
    tokens = torch.tensor([[1, 5, 9], [1, 5, 30]])
    answer = widget.answer({"id": 7, "tokens": tokens.tolist()} | message)
    assert answer["id"] == 7
    with torch.no_grad():
        seen = model.memory(*both(model, things, 2))
        wanted = model.told(tokens, seen)[:, -1], model.looks(tokens, seen)[..., -1, :]
    for name, values in zip(("logits", "attention"), wanted, strict=True):
        got = torch.tensor(np.frombuffer(base64.b64decode(answer[name]), "<f4"))
        torch.testing.assert_close(got, values.flatten(), atol=1e-5, rtol=0)
    for wrong in (
        {"pixels": "AAAA"},
        {"boxes": []},
        {"boxes": 5 * [[0, 0, 1, 1]]},
        {"tokens": [[1], [1, 2]]},
        {"tokens": [[99]]},
        {"tokens": None},
    ):
        error = widget.answer({"id": 8, "tokens": [[1]]} | message | wrong)["error"]
        assert "expected 3 x 32 x 32 bytes, one to 4 boxes and rows" in error


def test_the_same_module_shows_what_the_kernel_answers(live):
    page, faults = live(demos.captioner(), ["facts"])
    page.get_by_text("Computed by the kernel (torch)").wait_for()
    begin(page, 4)
    assert "Computed by the kernel" in status(page)
    assert "red square" in said(page)
    assert faults == []
    page.close()


def test_what_the_kernel_complains_of_is_shown(live, monkeypatch):
    widget = demos.captioner()

    def complain(message):
        raise ValueError("expected a kernel with time, got none.")

    monkeypatch.setattr(widget, "reply", complain)
    page, _ = live(widget, ["facts"])
    page.get_by_text("Expected a kernel with time").wait_for()
    page.close()
