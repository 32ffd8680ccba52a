"""COCO from rows: the forms that copies of it have, and rows with mistakes."""

import io
import json

import pytest
import torch
from PIL import Image

from mmdl_lib.data.coco import open_coco
from mmdl_lib.data.coco_rows import from_rows

NAMES = ("person", "kite")


def rows():
    """A gray, a CMYK and a palette picture; objects by lists, by object, and none."""
    ink = Image.new("CMYK", (12, 10), (0, 255, 255, 0))
    lists = {
        "bbox": [[2, 2, 6, 4], [0, 5, 12, 5]],
        "category": [1, 0],
        "iscrowd": [0, 1],
        "area": [20.0, None],
    }
    single = {"bbox": [2.5, 1.0, 9.0, 5.0], "category": "kite"}
    said = ["A kite over a crowd.", " People and a kite. ", " "]
    return [
        {"image_id": 7, "image": Image.new("L", (12, 10), 100), "captions": said}
        | {"objects": lists},
        {"image_id": 90, "image": ink, "captions": "A kite.", "objects": [single]},
        {"image_id": 91, "image": Image.new("P", (5, 4)), "captions": None},
    ]


def changed(i, **values):
    some = rows()
    some[i] = some[i] | values
    return from_rows(some, categories=NAMES)


def test_an_example_is_that_of_the_official_files(tmp_path):
    coco = from_rows(rows(), categories=NAMES)
    one = coco[0]
    assert len(coco) == 3 and coco.categories == NAMES and one.id == 7
    assert one.box.tolist() == [[2, 2, 8, 6], [0, 5, 12, 10]]
    assert one.label.tolist() == [1, 0] and one.crowd.tolist() == [False, True]
    assert one.area.tolist() == [20, 60]  # of the box where the row has none
    assert one.captions == ("A kite over a crowd.", "People and a kite.")
    # the same picture, boxes and captions in a folder of COCO's form
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    Image.new("L", (12, 10), 100).save(tmp_path / "images/gray.png")
    kinds = [{"id": 1, "name": "person"}, {"id": 3, "name": "kite"}]
    objects = [
        {"image_id": 7, "category_id": 3, "bbox": [2, 2, 6, 4], "area": 20},
        {"image_id": 7, "category_id": 1, "bbox": [0, 5, 12, 5], "iscrowd": 1},
    ]
    size = {"id": 7, "file_name": "gray.png", "height": 10, "width": 12}
    whole = {"images": [size], "categories": kinds, "annotations": objects}
    (tmp_path / "annotations/instances.json").write_text(json.dumps(whole))
    said = [{"image_id": 7, "caption": text} for text in one.captions]
    path = tmp_path / "annotations/captions.json"
    path.write_text(json.dumps({"annotations": said}))
    for ours, theirs in zip(one, open_coco(tmp_path)[0], strict=True):
        if isinstance(ours, torch.Tensor):
            assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
        else:
            assert ours == theirs


def test_gray_ink_and_palette_become_red_green_and_blue():
    gray, ink, palette = (one.image for one in from_rows(rows(), categories=NAMES))
    assert gray.shape == (3, 10, 12) and (gray == 100).all()
    red, green, blue = ink.float().mean((1, 2))
    assert red > 200 and green < 60 and blue < 60  # no cyan, all magenta and yellow
    assert palette.shape == (3, 4, 5) and palette.dtype == torch.uint8


def test_one_caption_none_and_no_objects_are_no_errors():
    coco = from_rows(rows(), categories=NAMES)
    assert coco[1].captions == ("A kite.",) and coco[1].label.tolist() == [1]
    none = coco[-1]
    assert none.id == 91 and none.captions == () and none.box.shape == (0, 4)
    assert none.label.dtype == torch.long and none.crowd.dtype == torch.bool
    assert changed(0, objects={"bbox": [], "category": []})[0].area.shape == (0,)


def test_boxes_by_corners_and_other_names_of_columns():
    things = [{"at": [2, 2, 8, 6], "kind": 0}], [], None
    some = [
        {"picture": row["image"], "sentences": row["captions"], "things": one}
        for row, one in zip(rows(), things, strict=True)
    ]
    names = {"image": "picture", "captions": "sentences", "objects": "things"}
    names |= {"category": "kind", "id": "number"}
    coco = from_rows(some, categories=("cat",), boxes="corners", box="at", **names)
    one = coco[0]
    assert one.box.tolist() == [[2, 2, 8, 6]] and one.area.tolist() == [24]
    assert one.id == 0 and coco[2].id == 2  # the place, where rows have no number
    assert len(one.captions) == 2


def test_rows_are_read_when_they_are_asked_for():
    class Counting(list):
        read = 0

        def __getitem__(self, i):
            Counting.read += 1
            return super().__getitem__(i)

    coco = from_rows(Counting(rows()), categories=NAMES)
    before = Counting.read
    assert coco[1].id == 90 and Counting.read == before + 1
    with pytest.raises(IndexError, match="a place below 3, got 3"):
        coco[3]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": None}, "row 0 expected a picture of Pillow, got NoneType"),
        ({"captions": [3]}, r"row 0 expected captions as sentences, got \[3\]"),
        ({"objects": [{"category": 1}]}, "row 0 expected objects with bbox"),
        (
            {"objects": {"bbox": [[0, 0, 1, 1]], "category": []}},
            "lists of one length, got .*'category': 0",
        ),
        ({"objects": [{"bbox": [0, 0, 1, 1], "category": 2}]}, "among the 2, got 2"),
        ({"objects": [{"bbox": [0, 0, 1, 1], "category": -1}]}, "the 2, got -1"),
        ({"objects": [{"bbox": [0, 0, 1, 1], "category": "cat"}]}, "got 'cat'"),
        ({"objects": [{"bbox": [5, 5, -1, 1], "category": 0}]}, "two ways to write"),
        ({"objects": [{"bbox": [5, 5, 1], "category": 0}]}, "boxes of x, y and width"),
        ({"objects": [{"bbox": [0, float("nan"), 1, 1], "category": 0}]}, "boxes of x"),
    ],
)
def test_a_row_with_a_mistake_is_named(change, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        changed(0, **change)[0]


def test_what_fits_no_row_is_refused_at_once(as_a_reader):
    with pytest.raises(ValueError, match="rows expected at least 1, got 0"):
        from_rows([])
    with pytest.raises(ValueError, match="a column 'image' of pictures, got img, text"):
        from_rows([{"img": 1, "text": 2}])
    with pytest.raises(ValueError, match="of pictures, got str"):
        from_rows(["a kite"])
    with pytest.raises(ValueError, match="keys among id, image, .* got 'pixels'"):
        from_rows(rows(), pixels="image")
    with pytest.raises(ValueError, match="boxes expected"):
        from_rows(rows(), boxes="middle")


def test_a_damaged_picture_is_named(as_a_reader):
    file = io.BytesIO()
    noise = torch.randint(256, (40, 40, 3), dtype=torch.uint8)
    Image.fromarray(noise.numpy()).save(file, "PNG")
    cut = Image.open(io.BytesIO(file.getvalue()[:2000]))
    with pytest.raises(ValueError, match="row 1 expected a whole picture"):
        changed(1, image=cut)[1]
