import math

import pytest
import torch

from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import drawn_clipart as dc
from mmdl_lib.record import results
from tests.lab.making import recipe


def real():
    return to_float(dc.world("test"))


def test_drawings_are_those_of_the_vqvae_of_the_chapter(monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS", raising=False)
    shipped = results("vae")["real"]
    counts = [len(dc.world(split)) for split in ("train", "test")]
    assert counts == [shipped["train"], shipped["test"]]


def test_a_copy_has_no_error_and_all_edges_and_gray_has_none():
    assert dc.measured(real()) == {"error": 0.0, "sharpness": 1.0}
    gray = dc.measured(torch.zeros_like(real()))
    assert gray["sharpness"] == 0
    assert gray["error"] == pytest.approx(real().square().mean().item())
    half = dc.measured(real() / 2)
    assert half["sharpness"] == pytest.approx(0.25)
    assert half["error"] == pytest.approx(gray["error"] / 4)


def test_decibels_count_the_whole_range_as_the_peak():
    assert dc.psnr(4.0) == 0  # black for white
    assert dc.psnr(0.4) == pytest.approx(10)
    assert dc.psnr(0.0) == math.inf


def test_the_shown_drawings_come_back_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(dc, "FOLDER", tmp_path / "made")
    dc.save("vae", real())
    assert dc.shown("vae").equal(dc.world("test")[list(dc.PICKED)])
    for call in (dc.shown, lambda kind: dc.save(kind, real())):
        with pytest.raises(ValueError, match="kind expected"):
            call("gan")
    with pytest.raises(ValueError, match="run `python recipes/vae_real.py`"):
        dc.shown("dvae")


@pytest.mark.parametrize("kind", dc.FILES)
def test_the_book_has_the_shown_drawings_of_each(kind):
    image = dc.shown(kind)
    assert image.shape == (len(dc.PICKED), 3, 32, 32)
    assert (dc.FOLDER / dc.FILES[kind]).stat().st_size < 20_000
    # near the drawings: no other ones, and in the same order
    true = real()[list(dc.PICKED)]
    far = (to_float(image)[:, None] - true).square().flatten(2).mean(2)
    assert far.argmin(1).tolist() == list(range(len(dc.PICKED)))


@pytest.mark.parametrize("name", dc.FILES)
def test_a_model_of_the_recipe_runs_and_leaves_the_shown_drawings(name, monkeypatch):
    monkeypatch.setenv("MMDL_SMOKE", "1")
    before = (dc.FOLDER / dc.FILES[name]).read_bytes()
    made = recipe("vae_real")
    made.STEPS.update({"vae": 2, "vqvae": 2, "vqgan": 2, "dvae": (2, 2)})
    assert made.LAB.run([f"{name}:0"], debug=True) == 0
    found = results("vae_real")[name]["0"]
    assert {"error", "sharpness", "bits", "minutes", "params"} <= set(found)
    prices = {"vqvae": 256 * 8, "vqgan": 16 * 8, "dvae": 64 * 8}
    assert found["bits"] == prices.get(name, found["bits"]) > 0
    assert ("used" in found) == (name in prices)
    assert (dc.FOLDER / dc.FILES[name]).read_bytes() == before


def test_tables_show_each_training_in_the_order_of_seeds():
    rows = dc.table(
        {kind: {"10": ran(0.2), "2": ran(0.4)} for kind in dc.NAMES},
        ran(0.04) | {"used": 7},
    )
    assert [row["training"] for row in rows[:3]] == [
        "VQ-VAE of the chapter",
        "VAE, seed 2",
        "VAE, seed 10",
    ]
    assert len(rows) == 9
    assert [row["PSNR (dB)"] for row in rows[:3]] == [20.0, 10.0, 13.0]
    assert [row["codes used"] for row in rows[:2]] == [7, "-"]


def ran(error):
    return {"error": error, "sharpness": 0.5, "bits": 511.6}


def test_all_that_the_recipe_measures_is_stored(monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS", raising=False)
    whole = results("vae_real")
    assert set(whole) == {*dc.FILES, "stamps"}
    assert len({tuple(sorted(whole[kind])) for kind in dc.FILES}) == 1
    digest = recipe("vae_real").LAB.digest
    stamps = [stamp["recipe"] for kind in dc.FILES for stamp in whole["stamps"][kind]]
    assert set(stamps) == {digest}
