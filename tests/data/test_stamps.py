"""Stamps: captions by language, pictures with alpha, and folders with mistakes."""

import pytest
import torch
from PIL import Image

from mmdl_lib.data.stamps import open_stamps

DUCK = "A duck.\nde.utf8=Eine Ente.\nes.utf8=Un pato.\n\npt_BR.utf8= Um pato. \n"
PEAR = "A pear.\nes.utf8=Una pera.\nfr.utf8=\n"


def put(root, name, text, image):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".txt").write_text(text, encoding="utf-8")
    image.save(path.with_suffix(".png"))


@pytest.fixture
def root(tmp_path):
    """A duck with a transparent half, a gray pear, and files that are no stamps."""
    duck = Image.new("RGBA", (60, 50), (200, 100, 0, 255))
    duck.paste((0, 0, 0, 0), (0, 0, 30, 50))
    duck.putpixel((40, 10), (200, 100, 0, 51))  # a fifth of it
    put(tmp_path, "animals/birds/duck", DUCK, duck)
    put(tmp_path, "animals/birds/duck_mirror", DUCK, duck)
    put(tmp_path, "food/pear", PEAR, Image.new("L", (48, 70), 90))
    put(tmp_path, "food/dot", "A dot.\n", Image.new("L", (47, 70)))
    (tmp_path / "food/drawn.txt").write_text("A drawing as SVG.\n")
    (tmp_path / "food/silent.png").write_bytes(b"no picture at all")
    return tmp_path


def test_stamps_have_their_captions_by_language(root):
    stamps = open_stamps(root)
    assert stamps.names == ("animals/birds/duck", "food/pear")
    duck, pear = stamps.captions
    assert duck == {
        "en": "A duck.",
        "de": "Eine Ente.",
        "es": "Un pato.",
        "pt_BR": "Um pato.",
    }
    assert pear == {"en": "A pear.", "es": "Una pera."}  # an empty line is no caption
    assert stamps.languages() == {"en": 2, "es": 2, "de": 1, "pt_BR": 1}
    assert list(stamps.languages()) == ["en", "es", "de", "pt_BR"]


def test_what_is_transparent_becomes_white_and_edges_are_mixed(root):
    duck = open_stamps(root)[0]
    assert duck.image.shape == (3, 50, 60) and duck.alpha.shape == (50, 60)
    assert (duck.alpha[:, :30] == 0).all() and (duck.image[:, :, :30] == 255).all()
    assert duck.image[:, 5, 45].tolist() == [200, 100, 0] and duck.alpha[5, 45] == 255
    # 0.2 of the color and 0.8 of white
    assert duck.image[:, 10, 40].tolist() == [244, 224, 204]
    assert duck.image.dtype == duck.alpha.dtype == torch.uint8


def test_a_picture_without_alpha_is_opaque_and_gray_has_three_channels(root):
    pear = open_stamps(root)[1]
    assert pear.name == "food/pear" and (pear.alpha == 255).all()
    assert pear.image.shape == (3, 70, 48) and (pear.image == 90).all()
    assert [one.name for one in open_stamps(root)] == [
        "animals/birds/duck",
        "food/pear",
    ]


def test_small_pictures_are_left_out_unless_they_are_asked_for(root):
    assert "food/dot" not in open_stamps(root).names
    assert "food/dot" in open_stamps(root, smallest=47).names
    assert len(open_stamps(root, smallest=50)) == 1


def test_stamps_are_chosen_by_language_and_by_folder(root):
    stamps = open_stamps(root)
    assert stamps.told_in("es").names == stamps.names
    assert stamps.told_in("en", "de").names == ("animals/birds/duck",)
    assert stamps.under("food").names == ("food/pear",)
    assert stamps.under("animals/birds").captions == stamps.captions[:1]
    assert stamps.under("food")[0].captions["es"] == "Una pera."


def test_an_unknown_language_and_folder_are_named(root, as_a_reader):
    stamps = open_stamps(root)
    with pytest.raises(ValueError, match="some of en, es, de, pt_BR, got eo"):
        stamps.told_in("de", "eo")
    with pytest.raises(ValueError, match="languages expected .* got none"):
        stamps.told_in()
    with pytest.raises(ValueError, match="one of animals, food or .* got 'foo'"):
        stamps.under("foo")


def test_where_the_package_is_missing_its_name_is_told(tmp_path, as_a_reader):
    with pytest.raises(FileNotFoundError, match="stamps-default, or give root"):
        open_stamps(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="expected stamps of at least 48 .* got none"):
        open_stamps(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an English caption in its first line, got ''"),
        ("\nde.utf8=Eine Birne.\n", "an English caption in its first line, got ''"),
        ("de.utf8=Eine Birne.\n", "English caption .* got 'de.utf8=Eine Birne.'"),
        ("A pear.\nEine Birne.\n", "expected lines such as .* got 'Eine Birne.'"),
        ("A pear.\n.utf8=Eine Birne.\n", "lines such as .* got '.utf8=Eine Birne.'"),
    ],
)
def test_a_text_with_a_mistake_is_refused_by_name(root, text, words, as_a_reader):
    (root / "food/pear.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"pear.txt .*{words}"):
        open_stamps(root)


def test_other_encodings_and_damaged_pictures_are_refused(root, as_a_reader):
    cut = (root / "food/pear.png").read_bytes()[:60]
    (root / "food/pear.png").write_bytes(cut)
    stamps = open_stamps(root)  # its size stands in the beginning
    with pytest.raises(ValueError, match="pear.png expected a whole picture"):
        stamps[1]
    (root / "food/pear.png").write_bytes(b"pear")
    with pytest.raises(ValueError, match="pear.png expected a whole picture"):
        open_stamps(root)
    (root / "animals/birds/duck.txt").write_bytes("Ein Fuß".encode("latin-1"))
    with pytest.raises(ValueError, match="duck.txt expected text in UTF-8"):
        open_stamps(root)


def test_a_mark_of_order_at_the_beginning_is_no_part_of_the_caption(root):
    text = "\ufeffA pear.\r\nes.utf8=Una pera.utf8=fruta.\r\n"
    (root / "food/pear.txt").write_text(text, encoding="utf-8")
    assert open_stamps(root).captions[1] == {
        "en": "A pear.",
        "es": "Una pera.utf8=fruta.",
    }
