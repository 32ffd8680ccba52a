"""Search among the pictures of a folder."""

import subprocess
import sys

import pytest
import torch
from PIL import Image

from mmdl_lib.data import shapes
from mmdl_lib.search import main, read, search


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve single objects, some large, some in a folder below, and a text."""
    place = tmp_path_factory.mktemp("pictures")
    (place / "below").mkdir()
    scenes = shapes.sample(12, seed=8, objects=1, textures="solid", sizes="large")
    for i, things in enumerate(scenes.things()):
        image = scenes[[i]].render(32 if i % 2 else 128)[0].permute(1, 2, 0).numpy()
        name = f"{i} {things[0].color} {things[0].shape}.png"
        Image.fromarray(image).save(place / ("below" if i > 5 else ".") / name)
    (place / "notes.txt").write_text("no picture")
    return place


def test_the_nearest_picture_shows_what_was_asked_for(folder):
    for path in folder.rglob("*.png"):
        asked = path.stem.split(" ", 1)[1]
        hits = search(folder, f"a {asked}", top=3)
        assert hits[0].path.stem.endswith(asked) and len(hits) == 3
        assert (
            hits[0].cosine >= hits[1].cosine >= hits[2].cosine and hits[0].cosine > 0.7
        )


def test_the_middle_square_counts_and_what_is_transparent_is_white(tmp_path):
    square = Image.new("RGBA", (8, 8), (0, 0, 255, 255))
    square.paste((0, 0, 0, 0), (0, 0, 8, 4))  # the upper half: nothing
    wide = Image.new("RGBA", (24, 8), (0, 0, 0, 255))
    wide.paste(square, (8, 0))
    wide.save(tmp_path / "wide.png")
    image = read(tmp_path / "wide.png", 8)[0]
    assert (image[:, :4] == 1).all()
    assert torch.equal(
        image[:, 4:], torch.tensor([-1.0, -1, 1])[:, None, None].expand(3, 4, 8)
    )


def test_the_command_prints_the_nearest_first(folder):
    command = [sys.executable, "-m", "mmdl_lib", "search", folder, "a purple cross"]
    done = subprocess.run(
        [*command, "--top", "2"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and lines[0].endswith("purple cross.png")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "a red star"], "expected a folder, got 'nowhere'"),
        ([".", "a rod star"], "nearest known word is 'red'"),
        ([".", "a red star", "--top", "0"], "top expected a whole number from 1 up"),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_sentence(
    folder, words, said, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_folder_without_pictures_and_a_broken_picture_are_said(tmp_path):
    with pytest.raises(ValueError, match="expected pictures in .*, got none"):
        search(tmp_path, "a red star")
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(ValueError, match="expected a picture, got broken.png"):
        search(tmp_path, "a red star")
