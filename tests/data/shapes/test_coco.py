"""The COCO export: pycocotools reads it, and finds the masks, boxes and captions."""

import contextlib
import io
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes.coco import png, run_lengths


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    scenes = shapes.sample(20, seed=3)
    path = shapes.to_coco(
        scenes, tmp_path_factory.mktemp("coco") / "new", resolution=48
    )
    return scenes, path


def quiet(function, *args):
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args)


def as_tensor(image):
    return (
        torch.tensor(list(image.tobytes())).view(*image.size[::-1], 3).permute(2, 0, 1)
    )


def test_masks_boxes_areas_and_categories_come_back(exported):
    scenes, path = exported
    coco, masks = quiet(COCO, str(path)), scenes.instance_masks(48)
    assert sorted(coco.getImgIds()) == list(range(1, 21))
    assert len(coco.getAnnIds()) == int(scenes.present.sum())
    for i in range(20):
        rows = coco.loadAnns(coco.getAnnIds(imgIds=i + 1))
        for k, (row, thing) in enumerate(zip(rows, scenes.things()[i], strict=True)):
            mask = torch.from_numpy(coco.annToMask(row)).bool()
            assert torch.equal(mask, masks[i, k])
            code = coco.annToRLE(row)
            assert row["area"] == coco_mask.area(code)
            assert row["bbox"] == coco_mask.toBbox(code).tolist()
            assert coco.loadCats(row["category_id"])[0]["name"] == thing.shape
            assert row["iscrowd"] == 0


def test_the_masks_as_detections_score_an_average_precision_of_one(exported):
    _, path = exported
    coco = quiet(COCO, str(path))
    found = [
        {k: row[k] for k in ("image_id", "category_id")}
        | {"score": 1.0, "segmentation": coco_mask.encode(coco.annToMask(row))}
        for row in coco.loadAnns(coco.getAnnIds())
    ]
    judge = COCOeval(coco, quiet(coco.loadRes, found), "segm")
    for step in (judge.evaluate, judge.accumulate, judge.summarize):
        quiet(step)
    assert judge.stats[0] == pytest.approx(1)


def test_the_picture_files_are_the_pictures(exported):
    scenes, path = exported
    for i, picture in enumerate(scenes.render(48), 1):
        with Image.open(path.parents[1] / "images" / f"{i:06d}.png") as image:
            assert torch.equal(as_tensor(image), picture.long())


def test_the_captions_come_back_five_a_picture(exported):
    scenes, path = exported
    coco = quiet(COCO, str(path.with_name("captions.json")))
    for i, texts in enumerate(shapes.captions(scenes), 1):
        rows = coco.loadAnns(coco.getAnnIds(imgIds=i))
        assert [row["caption"] for row in rows] == texts


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**20))
def test_run_lengths_and_pngs_survive_a_round_trip(height, width, seed):
    g = torch.Generator().manual_seed(seed)
    mask = torch.rand(height, width, generator=g) < 0.5
    code = {"size": [height, width], "counts": run_lengths(mask)}
    code = coco_mask.frPyObjects(code, height, width)
    assert torch.equal(torch.from_numpy(coco_mask.decode(code)).bool(), mask)
    image = torch.randint(256, (3, height, width), generator=g).to(torch.uint8)
    with Image.open(io.BytesIO(png(image))) as opened:
        assert torch.equal(as_tensor(opened), image.long())


def test_writing_again_writes_over(tmp_path):
    shapes.to_coco(shapes.sample(3, seed=0), tmp_path)
    path = shapes.to_coco(shapes.sample(2, seed=1), str(tmp_path))
    assert len(json.loads(path.read_text())["images"]) == 2


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OSError):
        shapes.to_coco(shapes.sample(1, seed=0), tmp_path / "taken")
