"""Folders in the form of CUB and Oxford-102 are read, or refused in one sentence."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl_lib.data import birds, cub


@pytest.fixture
def folder(tmp_path):
    """Six generated birds of three classes in CUB's form, the third for testing."""
    found = birds.sample(6, seed=0)
    image, texts = found.render(64), found.captions()
    names = ["001.One", "002.Two", "003.Three"]
    for i in range(6):
        name = names[i // 2]
        for kind in ("images", "text_c10"):
            (tmp_path / kind / name).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(image[i].permute(1, 2, 0).numpy())
        picture.save(tmp_path / "images" / name / f"bird_{i}.png")
        place = tmp_path / "text_c10" / name / f"bird_{i}.txt"
        place.write_text("\n".join(texts[i]) + "\n\n")
    (tmp_path / "trainvalclasses.txt").write_text("001.One\n002.Two\n")
    (tmp_path / "testclasses.txt").write_text("003.Three\n")
    return tmp_path


def test_pictures_come_with_their_own_ten_texts_and_class(folder):
    found, drawn = cub.load(folder), birds.sample(6, seed=0)
    assert torch.equal(found.image, drawn.render(64)[:4])
    assert found.texts == drawn.captions()[:4]
    assert found.label.tolist() == [0, 0, 1, 1] and len(found.classes) == 2


def test_the_classes_of_the_test_are_others(folder):
    found = cub.load(folder, "test")
    assert found.classes == ["003.Three"] and len(found.texts) == 2
    assert torch.equal(found.image, birds.sample(6, seed=0).render(64)[4:])


def test_pictures_may_lie_in_one_folder_as_in_oxford_102(folder):
    flat = folder / "jpg"
    flat.mkdir()
    for path in folder.glob("images/*/*.png"):
        path.rename(flat / path.name)
    found = cub.load(folder, images="jpg", resolution=32)
    assert found.image.shape == (4, 3, 32, 32)


def test_a_wide_picture_is_cut_to_its_middle_and_averaged(folder):
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70] = 200
    Image.fromarray(wide).save(folder / "images/001.One/bird_0.png")
    assert cub.load(folder, resolution=20).image[0].unique().tolist() == [200]


def test_a_smaller_picture_is_the_mean_of_what_it_covers(folder):
    fine = np.zeros((40, 40, 3), np.uint8)
    fine[:, ::2] = 200
    Image.fromarray(fine).save(folder / "images/001.One/bird_0.png")
    assert cub.load(folder, resolution=20).image[0].unique().tolist() == [100]


def broken(folder, fault):
    one = folder / "text_c10/001.One/bird_0.txt"
    if fault == "list":
        (folder / "trainvalclasses.txt").unlink()
    elif fault == "empty list":
        (folder / "trainvalclasses.txt").write_text("\n")
    elif fault == "class":
        (folder / "trainvalclasses.txt").write_text("009.Nine\n")
    elif fault == "picture":
        (folder / "images/001.One/bird_0.png").unlink()
    elif fault == "no picture":
        (folder / "images/001.One/bird_0.png").write_text("hello")
    elif fault == "no caption":
        one.write_text(" \n")
    elif fault == "bytes":
        one.write_bytes(b"\xff\xfe\xfa")
    elif fault == "no texts":
        for path in folder.glob("text_c10/*/*.txt"):
            path.unlink()


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("list", FileNotFoundError, "a file with one class a line at .*trainval"),
        ("empty list", ValueError, "one class a line in .*, got an empty file"),
        ("class", FileNotFoundError, "a folder of texts for class '009.Nine'"),
        ("picture", FileNotFoundError, "a picture bird_0 with one of .jpg"),
        ("no picture", ValueError, "a picture in .*bird_0.png, got another file"),
        ("no caption", ValueError, "one caption a line in .*bird_0.txt"),
        ("bytes", ValueError, "text in UTF-8 in .*bird_0.txt"),
        ("no texts", ValueError, "texts for 2 classes, got no file"),
    ],
)
def test_what_is_missing_or_damaged_is_named(folder, fault, kind, sentence):
    broken(folder, fault)
    with pytest.raises(kind, match=sentence):
        cub.load(folder)


def test_an_unknown_split_is_named(folder):
    with pytest.raises(ValueError, match="split expected one of 'train', 'test'"):
        cub.load(folder, "val")
