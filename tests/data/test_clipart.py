"""The clip art: whole, named in words, split by kinds, clear when something lacks."""

import builtins
import csv
import hashlib
import importlib.util
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmdl_lib.data import clipart

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def whole():
    return clipart.load()


@pytest.fixture
def nothing_read():
    clipart._rows.cache_clear()
    clipart._atlas.cache_clear()
    yield
    clipart._rows.cache_clear()
    clipart._atlas.cache_clear()


def test_the_set_has_its_size_and_every_column_is_as_long(whole):
    assert {len(column) for column in whole} == {1885}
    assert whole.image.shape == (1885, 3, 64, 64)
    assert len(set(whole.source)) == 1885
    assert len(set(whole.category)) == 17
    assert min(Counter(whole.category).values()) >= 18
    assert Counter(whole.category).most_common(3) == [
        ("food", 293),
        ("animals", 277),
        ("people", 200),
    ]


def test_drawings_and_facts_are_those_that_were_packed(whole):
    digest = hashlib.sha256(whole.image.numpy().tobytes()).hexdigest()
    assert digest.startswith("6a487f0e49c19f6d")
    text = "\n".join(map(repr, zip(*whole[1:], strict=True)))
    assert hashlib.sha256(text.encode()).hexdigest().startswith("08b15b78d09bfc3f")


def test_the_files_are_small():
    sizes = {path.name: path.stat().st_size for path in clipart.FOLDER.iterdir()}
    assert set(sizes) == {"atlas.webp", "rows.csv"}
    assert sum(sizes.values()) < 6e6


def test_names_are_english_words_without_numbers_or_authors(whole):
    for name in whole.name:
        assert re.fullmatch(r"[a-z]{1,14}( [a-z]{1,14}){0,6}", name), name
    words = {word for name in whole.name for word in name.split()}
    assert not words & set(
        "cigno gatto cavallo nicu buculei ganson bw svg icon".split()
    )
    assert len(set(whole.name)) > 900
    assert sum(len(name.split()) for name in whole.name) / 1885 < 2.2


def test_titles_are_kept_as_their_authors_wrote_them(whole):
    swans = [i for i, title in enumerate(whole.title) if title == "Cigno"]
    assert [whole.name[i] for i in swans] == ["swan"]
    assert all(whole.title)


def test_keywords_are_clean_words_and_most_drawings_have_some(whole):
    for words in whole.keywords:
        assert list(words) == sorted(set(words))
        assert all(re.fullmatch(r"[a-z][a-z' -]+", word) for word in words)
    assert sum(map(bool, whole.keywords)) > 0.8 * 1885
    tigers = [
        w for n, w in zip(whole.name, whole.keywords, strict=True) if n == "tiger"
    ]
    assert all("feline" in words for words in tigers)


def test_a_drawing_is_ink_on_white_and_no_two_are_equal(whole):
    image = whole.image.float()
    assert (255 - image).flatten(1).square().mean(1).sqrt().min() > 8
    assert len({page.numpy().tobytes() for page in whole.image}) == 1885
    corners = image[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners > 240).all(1).float().mean() > 0.95


def find(whole, source):
    return whole.image[whole.source.index(source)]


def test_a_known_drawing_has_its_colors_where_they_should_be(whole):
    red, green, blue = find(whole, "signs_and_symbols/traffic_light_red_dan_ge_01.svg")
    lamp = (slice(11, 16), slice(28, 36))
    assert red[lamp].float().mean() > 180 > 90 > green[lamp].float().mean()
    other = find(whole, "signs_and_symbols/traffic_light_green_dan__01.svg")
    low = (slice(46, 54), slice(28, 36))
    assert other[1][low].float().mean() > 130
    assert red[low].float().mean() < 110 and blue[low].float().mean() < 110


@pytest.mark.parametrize("size", [32, 16])
def test_a_smaller_size_is_the_mean_of_the_area(whole, size):
    small, k = clipart.load(size=size).image, 64 // size
    assert small.shape == (1885, 3, size, size) and small.dtype == torch.uint8
    block = whole.image[:, :, :k, 3 * k : 4 * k].double().mean((2, 3))
    assert torch.equal(small[:, :, 0, 3].double(), block.round())
    assert abs(small.double().mean() - whole.image.double().mean()) < 0.1


def test_train_and_test_share_no_group_and_make_the_whole(whole):
    train, test = clipart.load("train"), clipart.load("test", 16)
    assert not set(train.group) & set(test.group)
    assert sorted(train.source + test.source) == sorted(whole.source)
    assert 0.15 < len(test.name) / 1885 < 0.25
    assert not set(train.name) & set(test.name)
    for kind in set(whole.category):
        assert kind in train.category and kind in test.category
    i = test.source.index(test.source[5])
    here = whole.source.index(test.source[5])
    for column in ("name", "title", "keywords", "category", "group"):
        assert getattr(test, column)[i] == getattr(whole, column)[here]


def test_no_test_picture_is_nearly_a_training_picture():
    def ink(split):
        return 255 - clipart.load(split, 32).image.flatten(1).float()

    train, test = ink("train"), ink("test")
    fainter = torch.minimum(test.norm(dim=1)[:, None], train.norm(dim=1)[None])
    # 0.005: the groups were made before rounding to whole numbers
    assert (torch.cdist(test, train) / fainter).min() > 0.195


@pytest.mark.parametrize(
    "alike",
    [
        ("apple", "bitten apple", "candied apples"),
        ("tiger", "tiger head"),
        ("house", "log cabin", "houses at night"),
        ("bunny", "rabbit head"),
        ("chess king", "chess pawns"),
        ("head of a bald man", "man with hat"),
        ("clock at one", "alarm clock"),
    ],
)
def test_the_same_kind_of_thing_shares_a_group(whole, alike):
    groups = [g for n, g in zip(whole.name, whole.group, strict=True) if n in alike]
    assert len(groups) >= len(alike) and len(set(groups)) == 1


def test_other_kinds_are_in_other_groups(whole):
    by_name = dict(zip(whole.name, whole.group, strict=True))
    names = ("apple", "tiger", "house", "hot dog", "dog head", "trash can", "soda can")
    assert len({by_name[name] for name in names}) == len(names)
    sizes = Counter(whole.group)
    assert len(sizes) > 400 and max(sizes.values()) < 0.06 * 1885


def test_what_one_caller_writes_into_the_pixels_no_other_sees(whole):
    clipart.load("all").image.zero_()
    assert torch.equal(clipart.load().image, whole.image) and whole.image.any()


def test_the_table_of_the_builder_says_why_each_file_is_in_or_out(whole):
    with open(TOOLS / "clipart.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    named = {row["path"]: row for row in rows if row["name"]}
    assert list(named) == whole.source
    assert [row["name"] for row in named.values()] == whole.name
    assert [row["kind"] for row in named.values()] == whole.category
    out = [row["kind"] for row in rows if not row["name"]]
    twins = [why.removeprefix("twin of ") for why in out if why.startswith("twin of ")]
    assert set(twins) <= set(named)
    why = {"icon", "sign", "broken", "unclear", "series", "logo", "person", "unfit"}
    assert {w for w in out if not w.startswith("twin of ")} == why | {"weapon", "flag"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"split": "dev"}, "split expected one of 'train', 'test', 'all', got 'dev'"),
        ({"split": ["test"]}, "split expected one of"),
        ({"size": 48}, "size expected one of 64, 32, 16, got 48"),
        ({"size": 64.0}, "size expected one of"),
        ({"size": "64"}, "size expected one of"),
    ],
)
def test_bad_arguments_are_named_in_one_sentence(arguments, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        clipart.load(**arguments)


DAMAGES = {
    "no folder": lambda folder: shutil.rmtree(folder),
    "no atlas": lambda folder: (folder / "atlas.webp").unlink(),
    "half an atlas": lambda folder: cut(folder / "atlas.webp"),
    "half the rows": lambda folder: cut(folder / "rows.csv"),
    "a lost comma": lambda folder: replace(folder / "rows.csv", b",food,", b"food,"),
    "no text": lambda folder: (folder / "rows.csv").write_bytes(b"\xff\xfe\x00"),
    "a small atlas": lambda folder: Image.new("RGB", (64, 64)).save(
        folder / "atlas.webp"
    ),
}


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replace(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new, 1))


@pytest.mark.parametrize("damage", DAMAGES)
def test_missing_and_damaged_files_are_named(
    damage, tmp_path, monkeypatch, nothing_read
):
    folder = tmp_path / "clipart"
    shutil.copytree(clipart.FOLDER, folder)
    DAMAGES[damage](folder)
    monkeypatch.setattr(clipart, "FOLDER", folder)
    with pytest.raises(ValueError, match="missing or damaged file: install mmdl_lib"):
        clipart.load()


def test_a_missing_pillow_names_the_command(monkeypatch, nothing_read):
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "PIL":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match="run `pip install pillow`"):
        clipart.load()


@pytest.fixture(scope="module")
def maker():
    pytest.importorskip("resvg_py")
    spec = importlib.util.spec_from_file_location("maker", TOOLS / "make_clipart.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("penguin with chick", "penguin"),
        ("head of a bald man", "man"),
        ("two red dice", "dice"),
        ("autumn leaves", "leaf"),
        ("cherries", "cherry"),
        ("buses", "bus"),
        ("glass of wine", "wine"),
        ("corn dog", "hot dog"),
    ],
)
def test_the_builder_finds_the_thing_in_a_name(maker, name, kind):
    assert maker.thing(name) == kind


SQUARE = '<rect x="{0}" y="{0}" width="{1}" height="{1}" fill="red"/></svg>'


@pytest.mark.parametrize(
    "head",
    [
        '<svg xmlns="http://www.w3.org/2000/svg" width="80pt" height="80pt">',
        '<svg xmlns="http://www.w3.org/2000/svg" width="28.2222mm" height="28.2222mm">',
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">',
        '<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="100%" '
        'viewBox="0 0 100 100">',
    ],
)
def test_the_builder_draws_sizes_that_resvg_refuses_and_fills_the_tile(maker, head):
    small = maker.tile(maker.draw(head + SQUARE.format(40, 20)))
    assert small.shape == (64, 64, 3)
    red = (small == [255, 0, 0]).all(2)
    assert red[4:60, 4:60].all() and not red[0].any() and not red[:, -1].any()
