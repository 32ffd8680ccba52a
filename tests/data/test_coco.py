"""Folders in the layout of COCO: read whole, lazily, refused with a clear sentence."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from mmdl_lib.data import shapes
from mmdl_lib.data.coco import open_coco
from mmdl_lib.metrics.iou import iou

SQUARE = [[2, 2, 8, 2, 8, 6, 2, 6]]  # 6 wide, 4 high


def crowd():
    """Run lengths of the lower half of a picture of 10 x 12."""
    mask = np.zeros((10, 12), np.uint8, order="F")
    mask[5:] = 1
    return mask


def compressed(mask):
    code = coco_mask.encode(mask)
    return {"size": code["size"], "counts": code["counts"].decode()}


def annotations():
    """Two pictures, ids with gaps: a polygon, a crowd, and a mask in two parts."""
    two_parts = SQUARE + [[9, 1, 11, 1, 11, 3, 9, 3]]
    rows = [
        {"id": 7, "file_name": "gray.jpg", "height": 10, "width": 12},
        {"id": 90, "file_name": "ink.jpg", "height": 10, "width": 12},
        {"id": 91, "file_name": "none.png", "height": 4, "width": 4},
    ]
    one = {"iscrowd": 0, "category_id": 3, "image_id": 7}
    return {
        "images": rows,
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "kite"}],
        "annotations": [
            one | {"id": 1, "bbox": [2, 2, 6, 4], "segmentation": SQUARE, "area": 24},
            {
                "id": 2,
                "image_id": 7,
                "category_id": 1,
                "bbox": [0, 5, 12, 5],
                "iscrowd": 1,
                "area": 60,
                "segmentation": compressed(crowd()),
            },
            one
            | {"id": 3, "image_id": 90, "bbox": [2, 1, 9, 5]}
            | {"segmentation": two_parts},
        ],
    }


def sentences():
    rows = [(7, "A kite over a crowd."), (7, " People and a kite. "), (91, "Nothing.")]
    return {"annotations": [{"image_id": i, "caption": text} for i, text in rows]}


@pytest.fixture
def folder(tmp_path):
    """The official layout, with a gray and a CMYK file."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "tiny2017").mkdir()
    write(tmp_path, "instances", annotations())
    write(tmp_path, "captions", sentences())
    place = tmp_path / "tiny2017"
    Image.new("L", (12, 10), 100).save(place / "gray.jpg", quality=100)
    Image.new("CMYK", (12, 10), (0, 255, 255, 0)).save(place / "ink.jpg", quality=100)
    Image.new("P", (4, 4)).save(place / "none.png")
    return tmp_path


def write(folder, kind, whole):
    path = folder / "annotations" / f"{kind}_tiny2017.json"
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


def changed(folder, part, i, **values):
    whole = annotations()
    whole[part][i] |= values
    write(folder, "instances", whole)
    return open_coco(folder, "tiny2017")


def test_an_example_has_corners_labels_crowds_and_captions(folder):
    coco = open_coco(folder, "tiny2017")
    assert len(coco) == 3 and coco.categories == ("person", "kite")
    one = coco[coco.place(7)]
    assert one.id == 7 and one.image.shape == (3, 10, 12)
    assert one.box.tolist() == [[2, 2, 8, 6], [0, 5, 12, 10]]
    assert one.label.tolist() == [1, 0]  # places in the file, not ids
    assert one.crowd.tolist() == [False, True] and one.area.tolist() == [24, 60]
    assert one.captions == ("A kite over a crowd.", "People and a kite.")
    # a crowd swallows what lies in it
    inside = torch.tensor([[1.0, 6, 4, 9]])
    assert iou(inside, one.box[1:], crowd=one.crowd[1:]).item() == 1


def test_gray_ink_and_palette_become_red_green_and_blue(folder):
    gray, ink, palette = (one.image for one in open_coco(folder, "tiny2017"))
    assert gray.shape == (3, 10, 12) and (gray == gray[:1]).all()
    assert (gray.int() - 100).abs().max() <= 2
    red, green, blue = ink.float().mean((1, 2))
    assert red > 200 and green < 60 and blue < 60  # no cyan, all magenta and yellow
    assert palette.shape == (3, 4, 4)


def test_a_picture_without_objects_or_captions_is_empty_and_no_error(folder):
    coco = open_coco(folder, "tiny2017")
    none = coco[2]
    assert none.box.shape == (0, 4) and none.label.dtype == torch.long
    assert none.crowd.dtype == torch.bool and coco.masks(2).shape == (0, 4, 4)
    assert coco[1].captions == () and none.captions == ("Nothing.",)


def test_polygons_parts_and_run_lengths_become_masks(folder):
    coco = open_coco(folder, "tiny2017")
    kite, people = coco.masks(0)
    assert torch.equal(people, torch.from_numpy(crowd()).bool())
    assert kite[2:6, 2:8].all() and kite.sum() == 24
    (parts,) = coco.masks(1)
    assert parts.sum() == 28 and parts[1, 9] and not parts[1, 8]


def test_the_area_of_a_box_stands_in_for_one_that_is_not_given(folder):
    assert open_coco(folder, "tiny2017")[1].area.tolist() == [45]


def test_our_own_export_comes_back(tmp_path):
    scenes = shapes.sample(12, seed=2)
    shapes.to_coco(scenes, tmp_path, resolution=48)
    coco, masks = open_coco(tmp_path), scenes.instance_masks(48)
    assert coco.categories == shapes.SHAPES
    for i, one in enumerate(coco):
        count = int(scenes.count[i])
        assert torch.equal(one.image, scenes.render(48)[i])
        assert one.label.tolist() == scenes.shape[i, :count].tolist()
        assert torch.equal(coco.masks(i), masks[i, :count])
        assert one.captions == tuple(shapes.captions(scenes)[i])
        assert one.area.tolist() == masks[i, :count].sum((1, 2)).tolist()


def test_statistics_count_what_is_no_crowd(folder):
    found = open_coco(folder, "tiny2017").statistics()
    assert found["instances"].tolist() == [1, 1, 0]
    assert found["categories"].tolist() == [1, 1, 0]
    assert found["per category"].tolist() == [0, 2]
    assert found["share"][0].item() == pytest.approx((24 / 120) ** 0.5)


def test_pictures_and_captions_are_not_read_before_they_are_asked_for(folder):
    (folder / "tiny2017" / "ink.jpg").unlink()
    (folder / "annotations" / "captions_tiny2017.json").write_text("{", "utf-8")
    coco = open_coco(folder, "tiny2017")
    assert len(coco) == 3
    with pytest.raises(FileNotFoundError, match="picture 90 expected the file .*ink"):
        coco[1]
    with pytest.raises(ValueError, match="captions_tiny2017.json expected whole JSON"):
        coco[0]


def test_no_file_of_captions_is_no_error_until_captions_are_asked_for(folder):
    (folder / "annotations" / "captions_tiny2017.json").unlink()
    coco = open_coco(folder, "tiny2017")
    assert coco[0].captions == ()
    with pytest.raises(FileNotFoundError, match="expected captions beside"):
        _ = coco.captions


def test_annotations_that_break_off_are_refused(folder):
    path = folder / "annotations" / "instances_tiny2017.json"
    path.write_text(path.read_text("utf-8")[:200], encoding="utf-8")
    with pytest.raises(ValueError, match="breaks off or is damaged .*unpack it again"):
        open_coco(folder, "tiny2017")
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="got no images"):
        open_coco(folder, "tiny2017")
    with pytest.raises(FileNotFoundError, match="instances_val2017.json: unpack"):
        open_coco(folder, "val2017")


@pytest.mark.parametrize(
    ("part", "i", "values", "said"),
    [
        ("annotations", 0, {"image_id": 8}, "id of a picture that it lists, got 8"),
        ("annotations", 0, {"category_id": 2}, "id of a category .* got 2"),
        ("annotations", 0, {"bbox": [1, 1, -2, 4]}, "none of these below 0, got .*-2"),
        ("annotations", 0, {"bbox": [1, 1, 4]}, "boxes of x, y, width and height"),
        ("images", 1, {"id": 7}, "each id once, got 7 twice"),
        ("categories", 1, {"id": 1}, "each id once, got 1 twice"),
    ],
)
def test_wrong_numbers_are_named(folder, part, i, values, said):
    with pytest.raises(ValueError, match=said):
        changed(folder, part, i, **values)


def test_a_row_that_lacks_what_it_needs_is_named(folder):
    whole = annotations()
    del whole["images"][0]["height"]
    write(folder, "instances", whole)
    with pytest.raises(ValueError, match="got none for height in .*'id': 7"):
        open_coco(folder, "tiny2017")


def test_a_caption_of_an_unknown_picture_is_named(folder):
    whole = sentences()
    whole["annotations"][0]["image_id"] = 8
    write(folder, "captions", whole)
    with pytest.raises(ValueError, match="id of a picture that it lists, got 8"):
        open_coco(folder, "tiny2017")[0]


def test_a_damaged_picture_and_one_of_another_size_are_named(folder):
    path = folder / "tiny2017" / "gray.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="got a missing or damaged file"):
        open_coco(folder, "tiny2017")[0]
    coco = changed(folder, "images", 1, height=11)
    with pytest.raises(ValueError, match=r"width \(11, 12\).* got \(10, 12\)"):
        coco[1]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, "expected a mask, got none"),
        ({"size": [5, 5], "counts": [25]}, r"\(10, 12\), got \[5, 5\]"),
        ({"size": [10, 12]}, "polygons or run lengths"),
        ("circle", "polygons or run lengths"),
    ],
)
def test_masks_that_cannot_be_read_are_named(folder, code, said):
    coco = changed(folder, "annotations", 0, segmentation=code)
    with pytest.raises(ValueError, match=said):
        coco.masks(0)


def test_an_unknown_picture_is_named(folder):
    with pytest.raises(KeyError, match="no picture has the id 8"):
        open_coco(folder, "tiny2017").place(8)
