import numpy as np
import pytest
import torch

from mmdl_lib.data.fashion import CLASSES
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import drawn_fashion as df
from mmdl_lib.record import results
from tests.data.test_fashion import put
from tests.lab.making import recipe


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A world of ten gray levels, each a kind: a bar at a place of its own."""
    random = np.random.default_rng(0)
    for split, count in {"train": 400, "test": 200}.items():
        label = np.arange(count, dtype=np.uint8) % 10
        image = random.integers(40, size=(count, 28, 28), dtype=np.uint8)
        for row, kind in enumerate(label):
            image[row, 2 * kind + 2 : 2 * kind + 5] = 255
        put(tmp_path, split, image, label)
    monkeypatch.setenv("MMDL_FASHION", str(tmp_path))
    for part, value in {"STEPS": 100, "BATCH": 64, "DRAWN": 100}.items():
        monkeypatch.setattr(df, part, value)
    forget()
    yield tmp_path
    forget()


def forget():
    df.world.cache_clear()
    df.namer.cache_clear()


def of(kind, count=30):
    image, label = df.world("test")
    row = (label == kind).nonzero()[:, 0]
    return to_float(image[row.repeat(count)[:count]])


def test_kinds_are_counted_and_one_that_is_rare_is_not_found(made):
    image, label = df.world("test")
    with torch.no_grad():  # also where the convnet that names is trained only now
        all_kinds = df.kinds(to_float(image))
    assert all_kinds.found == 10 and all_kinds.sure > 0.8
    assert sum(all_kinds.share) == pytest.approx(1)
    assert df.kinds(of(3)).share == [float(k == 3) for k in range(10)]
    assert df.kinds(torch.cat([of(3, 150), of(5, 1), of(6, 2)])).found == 2


def test_real_pictures_are_near_and_repeated_or_strange_ones_are_told(made):
    real = df.measured(to_float(df.world("test")[0][100:]))
    one, noise = df.measured(of(3, 100)), df.baseline()["pixels"]
    assert real["fid"] < one["fid"] and real["fid"] < noise["fid"]
    assert real["recall"] > 0.9 > 0.3 > one["recall"]
    assert one["found"] == 1 and real["found"] == 10
    assert df.baseline()["right"] > 0.95


def test_the_nearest_training_picture_is_found_with_its_distance(made):
    known = to_float(df.world("train")[0])
    far, row = df.nearest(known[[7, 300]])
    assert row.tolist() == [7, 300] and far.tolist() == pytest.approx([0, 0], abs=0.1)
    far, row = df.nearest(known[[7]] + 20 / 127.5)
    assert row.tolist() == [7] and far.item() == pytest.approx(20, abs=0.1)


def test_the_convnet_that_names_is_the_same_every_time(made):
    first, state = df.namer().name.weight.clone(), torch.get_rng_state()
    forget()
    torch.manual_seed(5)
    assert df.namer().name.weight.equal(first)
    torch.set_rng_state(state)


def test_pictures_come_back_as_they_were_saved_over_the_nearest(made, monkeypatch):
    monkeypatch.setattr(df, "FOLDER", made / "draws")
    known, row = df.world("train")[0], [7, 300, 12]
    df.save("gan", to_float(known[row]) + 0.01)
    drawn, near = df.shown("gan")
    assert drawn.shape == (3, 3, 28, 28) and near[:, 0].equal(known[row, 0])
    assert (drawn[:, 2].int() - known[row, 0].int()).abs().amax() <= 2
    with pytest.raises(ValueError, match="kind expected"):
        df.save("vae", to_float(known[row]))
    with pytest.raises(ValueError, match="missing or damaged file: run"):
        df.shown("dcgan")


@pytest.mark.parametrize("kind", df.FILES)
def test_the_book_has_the_first_draws_of_each(kind):
    count = 2 * len(CLASSES) if kind == "real" else df.SHOWN
    assert df.shown(kind).shape == (2, count, 3, 28, 28)
    assert (df.FOLDER / df.FILES[kind]).stat().st_size < 40_000


@pytest.mark.parametrize("name", ["gan", "dcgan"])
def test_a_model_of_the_recipe_runs_and_leaves_the_shown_pictures(
    name, made, monkeypatch
):
    monkeypatch.setenv("MMDL_SMOKE", "1")
    before = (df.FOLDER / df.FILES[name]).read_bytes()
    shapes, measured = [], df.measured
    monkeypatch.setattr(
        df, "measured", lambda x: shapes.append(tuple(x.shape)) or measured(x)
    )
    assert recipe("fashion_gans").LAB.run([f"{name}:0"], debug=True) == 0
    assert shapes == [(40, 1, 28, 28)]  # without margins, whatever the net draws
    found = results("fashion_gans")[name]["0"]
    assert {"found", "sure", "fid", "recall", "distance", "minutes"} <= set(found)
    assert (df.FOLDER / df.FILES[name]).read_bytes() == before


def test_all_that_the_recipe_measures_is_stored(monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS")
    whole = results("fashion_gans")
    assert set(whole) == {"gan", "dcgan", "real", "stamps"}
    assert "0" in whole["gan"] and {*whole["gan"]} == {*whole["dcgan"]}


def test_tables_show_means_over_the_trainings():
    kept = {"found": 9, "sure": 0.5, "fid": 30.4, "precision": 0.25, "recall": 0.5}
    kept |= {"distance": 40.0, "share": [0.1] * 10}
    other = kept | {"found": 10, "recall": 0.25, "share": [0.3] + [0.7 / 9] * 9}
    found = {"real": {"real": kept, "pixels": other}, "gan": {"0": kept, "1": other}}
    rows = df.table(found, {"gan": "GAN"})
    names = [row["2,000 pictures"] for row in rows]
    assert names == ["real pictures", "each pixel by itself", "GAN"]
    assert rows[2]["kinds"] == 9.5 and rows[2]["recall"] == 0.38
    assert [row["FID"] for row in rows] == [30] * 3
    assert [row["most frequent"] for row in rows] == [0.1, 0.3, 0.2]
    assert [row["rarest kind"] for row in rows] == [0.1, 0.08, 0.09]
