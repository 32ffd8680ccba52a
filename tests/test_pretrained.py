"""The shipped weights do what results/clip.json says they do."""

import pytest
import torch
from safetensors.torch import save_file

from mmdl_lib import pretrained
from mmdl_lib.data import shapes
from mmdl_lib.record import results

RESULT = results("clip")["shapes"]


@torch.no_grad()
@pytest.mark.parametrize("pairs", ["seen", "held_out"])
def test_zero_shot_accuracy_on_new_pictures_equals_the_recorded_one(pairs):
    model, tokenizer = pretrained.clip()
    mode = "exclude" if pairs == "seen" else "only"
    scenes = shapes.sample(1000, seed=77, objects=1, held_out=mode)
    names = [f"a {c} {s}" for c in shapes.COLORS for s in shapes.SHAPES]
    names = [name.replace("a o", "an o") for name in names]
    text = model.encode_text(*tokenizer(names))
    image = model.encode_image(shapes.to_float(scenes.render()))
    truth = 8 * scenes.color[:, 0] + scenes.shape[:, 0]
    accuracy = ((image @ text.T).argmax(1) == truth).float().mean().item()
    # three standard errors of the difference of two samples of 1,000 and 2,000
    assert accuracy == pytest.approx(RESULT["zero_shot"][pairs], abs=0.06)


def test_missing_weights_name_the_recipe(tmp_path):
    with pytest.raises(FileNotFoundError, match="python recipes/clip.py"):
        pretrained.clip(tmp_path / "none.safetensors")


def test_damaged_and_foreign_weights_are_named_in_one_sentence(tmp_path):
    damaged, foreign = tmp_path / "damaged", tmp_path / "foreign"
    whole = (pretrained.WEIGHTS / "clip.safetensors").read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    save_file({"x": torch.zeros(1)}, foreign)
    for path in (damaged, foreign):
        with pytest.raises(ValueError, match="damaged or foreign"):
            pretrained.clip(path)


def test_missing_results_name_the_recipe():
    with pytest.raises(FileNotFoundError, match="python recipes/none.py"):
        results("none")
