"""The frame of section 3.2: prompts say what is scored; scores, rows, the table."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mmdl_lib import viz
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.metrics.faithfulness import faithfulness


@pytest.fixture(scope="module")
def asked():
    return t2i.prompts()


@pytest.fixture(scope="module")
def drawn(asked):
    return t2i.score(asked.scenes.render())


def scored(scenes):
    """Without the distances, which take longer."""
    image = scenes.render()
    found = faithfulness(image, t2i.prompts().scenes)
    return found, t2i.sized(image, t2i.prompts().scenes)


def test_there_are_500_prompts_and_always_the_same(asked):
    assert len(asked.text) == len(asked.scenes) == 500 == t2i.PROMPTS
    t2i.prompts.cache_clear()
    assert t2i.prompts().text == asked.text
    assert asked.text[0] == "a medium orange ring"
    assert set(asked.scenes.count.tolist()) == {1, 2, 3}


def test_a_prompt_names_every_object_and_the_place_of_the_first_two(asked):
    for text, things in zip(asked.text, asked.scenes.things(), strict=True):
        for t in things:
            assert f"{t.size} {t.color} {t.shape}" in text
        said = [r for r in shapes.RELATIONS if f" {r} " in text]
        assert len(said) == (len(things) > 1)
        if said:
            first, _, second = text.partition(f" {said[0]} ")
            a, b = things[:2]
            assert first.endswith(a.shape) and second.endswith(f"{b.color} {b.shape}")
            ahead = {"left of": a.x < b.x, "right of": a.x > b.x}
            ahead |= {"above": a.y < b.y, "below": a.y > b.y}
            assert ahead[said[0]]
        assert text.count(" and ") == max(0, len(things) - 2)


def test_no_held_out_pair_is_asked_for(asked):
    pairs = {(t.color, t.shape) for row in asked.scenes.things() for t in row}
    assert not pairs & set(shapes.HELD_OUT) and len(pairs) == 56


def test_every_prompt_can_be_read_and_a_bad_one_is_named(asked):
    tokenizer = t2i.tokenizer()
    tokenizer(asked.text)
    with pytest.raises(ValueError, match="got 'purpel'; the nearest .* 'purple'"):
        tokenizer(["a small purpel star"])
    with pytest.raises(ValueError, match="expected a caption with words, got ''"):
        tokenizer([""])


def test_the_real_pictures_are_the_ceiling(drawn):
    assert min(drawn[:6]) > 0.99
    assert 0.3 < drawn.fid < 1.2 and min(drawn.precision, drawn.recall) > 0.9
    assert "resnet_shapes" in drawn.features and "32 x 32" in drawn.features


def test_pictures_of_other_prompts_keep_fid_and_lose_the_rest(drawn):
    found = t2i.score(t2i.sample(500, seed=0).render())
    assert found.exact < 0.02 and found.relation < 0.02 and found.size < 0.05
    assert abs(found.fid - drawn.fid) < 0.8


def test_few_pictures_again_and_again_keep_precision_and_lose_recall(asked):
    found = t2i.score(asked.scenes.render()[:10].repeat(50, 1, 1, 1))
    assert found.precision > 0.8 and found.recall < 0.05 and found.fid > 10


@pytest.mark.parametrize(
    ("field", "lost"),
    [
        ("color", {"color", "size"}),
        ("shape", {"shape", "size"}),
        ("size", {"size"}),
        ("count", {"count", "color", "shape", "size"}),
    ],
)
def test_a_fault_shows_in_its_own_measure(asked, field, lost):
    value = getattr(asked.scenes, field)
    new = (
        1 + 0 * value if field == "count" else (value + 1) % (3 + 5 * (field != "size"))
    )
    changed = replace(asked.scenes, **{field: new})
    if field == "size":  # larger ones would not fit
        changed = replace(changed, size=0 * value)
    found, size = scored(changed)
    shares = {"color": found.color, "shape": found.shape, "size": size}
    shares |= {"count": found.count}
    assert {k for k, v in shares.items() if v < 0.9} == lost


def test_mirrored_pictures_lose_relations_and_nothing_else(asked):
    image = asked.scenes.render().flip(3)
    found = faithfulness(image, asked.scenes)
    assert found.relation < 0.7 and found.exact < 0.8
    assert found.count > 0.98 and found.color > 0.98


def test_bytes_and_floats_and_small_sizes_are_scored_alike(asked, drawn):
    image = asked.scenes.render()
    assert t2i.score(to_float(image)) == drawn
    large = t2i.score(image.repeat_interleave(2, 2).repeat_interleave(2, 3))
    assert large == drawn


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (torch.zeros(499, 3, 32, 32), "pictures expected 500, one for each .* got 499"),
        (torch.zeros(500, 3, 32, 16), "pictures expected shape"),
        (torch.zeros(500, 1, 32, 32), "pictures expected shape"),
        (torch.full((500, 3, 32, 32), 3.0), "pictures expected .*-1"),
        (torch.zeros(0, 3, 32, 32), "pictures expected shape .*at least one"),
    ],
)
def test_other_pictures_are_refused_in_one_sentence(image, sentence):
    with pytest.raises(ValueError, match=sentence):
        t2i.score(image)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MMDL_RESULTS", str(tmp_path))
    return tmp_path


def test_rows_are_written_read_and_sorted(place, drawn):
    worse = drawn._replace(exact=0.5, fid=3.0)
    t2i.keep("gan", "GAN", {0: worse, 1: worse._replace(exact=0.7)}, parameters=9)
    t2i.keep("dalle", "DALL-E", {0: drawn}, seconds=0.2, note="best of 8 by CLIP")
    assert (place / "text_to_image/gan.json").exists()
    first, second = t2i.rows()
    assert (first["name"], second["name"]) == ("DALL-E", "GAN")
    assert second["exact"] == pytest.approx((0.6, 0.5, 0.7))
    assert second["seeds"] == 2 and second["slug"] == "gan"
    table = t2i.table()
    assert table[1]["exact"] == 0.6 and table[1]["parameters"] == 9
    assert table[0]["drawn by"] == "DALL-E" and table[0]["minutes"] is None


def test_the_figure_marks_the_rows_of_one_chapter(place, drawn):
    worse = drawn._replace(exact=0.5)
    t2i.keep("gan", "GAN", {0: worse, 1: worse._replace(exact=0.7004)})
    t2i.keep("dalle", "DALL-E", {0: drawn._replace(exact=0.9)})
    t2i.keep("dalle", "best", {0: drawn._replace(exact=0.3)}, merge=True)
    found = t2i.shares("dalle")
    # all rows in the order of the table, whoever asks
    assert [*found["values"]] == [*t2i.shares("gan")["values"]]
    assert [*found["values"]] == ["DALL-E", "GAN", "best"]
    assert found["values"]["GAN"] == (0.6, 0.5, 0.7)
    assert found["marked"] == ["DALL-E", "best"] and "this chapter" in found["title"]
    alt = "DALL-E 0.900; GAN 0.600 (0.500 to 0.700); best 0.300. Marked: DALL-E; best."
    assert found["alt"].endswith(alt)
    assert "GAN" in viz.shares(**found).body
    whole = t2i.shares()
    assert whole["marked"] == [] and not {"bold", "Marked"} & set(str(whole).split())
    assert [*t2i.shares(found=t2i.rows()[:1])["values"]] == ["DALL-E"]
    with pytest.raises(ValueError, match=r"one of \['dalle', 'gan'\], got 'glide'"):
        t2i.shares("glide")


def test_every_chapter_of_the_table_has_its_figure(monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS", raising=False)
    slugs = {path.stem for path in t2i.folder().glob("*.json")}
    root = Path(__file__).resolve().parents[2] / "notebooks/ch3_2_text_to_image"
    for slug in slugs - {"image_measures"}:  # its rows are ceiling and floors
        pages = [p.read_text("utf-8") for p in root.glob(f"{slug}*.ipynb")]
        call = f'viz.shares(**t2i.shares(\\"{slug}\\"))'
        assert sum(page.count(call) for page in pages) == 1, slug


def test_seeds_that_are_measured_side_by_side_all_stay(place, drawn):
    for seed in range(3):
        worse = drawn._replace(exact=seed / 10)
        t2i.keep("gan", "GAN", {seed: worse}, merge=True)
    assert t2i.rows()[0]["exact"] == pytest.approx((0.1, 0, 0.2))
    with pytest.raises(ValueError, match="one kind of features"):
        t2i.keep("gan", "GAN", {3: drawn._replace(features="CLIP")}, merge=True)
    t2i.keep("gan", "GAN", {5: drawn})
    assert t2i.rows()[0]["seeds"] == 1


def test_a_row_without_name_or_of_two_kinds_of_features_is_refused(place, drawn):
    with pytest.raises(ValueError, match="a row expected a name and scores"):
        t2i.keep("gan", " ", {0: drawn})
    with pytest.raises(ValueError, match="a row expected a name and scores"):
        t2i.keep("gan", "GAN", {})
    other = drawn._replace(features="Inception")
    with pytest.raises(ValueError, match="scores expected one kind of features"):
        t2i.keep("gan", "GAN", {0: drawn, 1: other})


def test_the_rows_of_the_book_are_complete(monkeypatch):
    monkeypatch.delenv("MMDL_RESULTS", raising=False)
    for path in t2i.folder().glob("*.json"):
        for row in json.loads(path.read_text()).values():
            assert row["seeds"] and {"note", "features", "minutes"} <= set(row)
            for seed in row["seeds"].values():
                assert {*seed} == {*t2i.Scores._fields} - {"features"}
