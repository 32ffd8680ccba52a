"""What a reader may give by mistake is named where it enters the data modules."""

import gzip
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmdl_lib.data import digits, emoji, photos, shapes, text, views
from mmdl_lib.data.text import BPETokenizer, WordTokenizer

TOKENIZERS = {"words": lambda: WordTokenizer(["a", "cat"]), "bytes": BPETokenizer}
tokenizers = pytest.mark.parametrize("kind", TOKENIZERS)


@tokenizers
@pytest.mark.parametrize(
    ("captions", "words"),
    [
        ("cat", "captions expected a list of strings, got str 'cat'"),
        ([], "captions expected at least 1, got 0"),
        (None, "captions expected a list of strings, got NoneType"),
        ({"cat", "a"}, "captions expected a list of strings, got set"),
        (["cat", 3], "captions expected a list of strings, got int 3 in it"),
        ([["cat"]], r"list of strings, got list \['cat'\] in it"),
        (np.array(["cat", "a"]), "list of strings, got ndarray"),
        ((c for c in ["cat"]), "list of strings, got generator"),
    ],
)
def test_captions_come_in_a_list(kind, captions, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        TOKENIZERS[kind]()(captions)


@tokenizers
def test_one_caption_is_a_string_and_a_tuple_is_a_list_too(kind, as_a_reader):
    tokenizer = TOKENIZERS[kind]()
    with pytest.raises(ValueError, match="caption expected a string, got list"):
        tokenizer.encode(["cat"])
    rows = tokenizer(("a cat", "a")), tokenizer(["a cat", "a"])
    assert all(map(torch.equal, *rows))


def test_a_vocabulary_is_a_list_of_different_words(as_a_reader):
    with pytest.raises(ValueError, match="words expected a list of strings, got str"):
        WordTokenizer("cat")
    with pytest.raises(ValueError, match="words expected at least 1"):
        WordTokenizer([])
    with pytest.raises(ValueError, match="each word once, got 3 with 2 different"):
        WordTokenizer(["a", "cat", "a"])
    for tokenizer in (BPETokenizer, lambda length: WordTokenizer(["a"], length=length)):
        with pytest.raises(ValueError, match="length expected a whole number from 3"):
            tokenizer(length=2)


BYTES = torch.zeros(2, 3, 9, 9, dtype=torch.uint8)
X = torch.zeros(2, 3, 8, 8)


@pytest.mark.parametrize("function", [shapes.to_float, digits.to_float])
@pytest.mark.parametrize("image", [X, BYTES[0], BYTES.long(), BYTES.bool(), None])
def test_bytes_are_bytes(function, image, as_a_reader):
    with pytest.raises(ValueError, match="pixels 0 to 255 as uint8 of shape"):
        function(image)


@pytest.mark.parametrize("image", [torch.rand(1, 3, 9, 9), BYTES[0], BYTES[:, :1]])
def test_a_square_is_cut_from_bytes_only(image, as_a_reader):
    with pytest.raises(ValueError, match=r"as uint8 of shape \(b, 3, h, w\), got"):
        photos.square(image, 8)


@pytest.mark.parametrize(
    ("side", "share"), [(8.0, 0.5), (0, 0.5), (8, 0), (8, 1.1), (8, float("nan"))]
)
def test_sides_are_whole_and_shares_are_shares(side, share, as_a_reader):
    with pytest.raises(ValueError, match="(side|share) expected a"):
        photos.square(BYTES, side, share=share)


ONE, ROW = torch.ones(2), torch.tensor([[0.0, 0, 1, 1]]).expand(2, 4)
STEPS = {
    "resized_crop": (ROW,),
    "rotate": (torch.ones(2).long(),),
    "cut_out": (torch.ones(2, 2) / 2,),
    "brightness": (ONE,),
    "contrast": (ONE,),
    "saturation": (ONE,),
    "hue": (ONE,),
    "gray": (),
    "blur": (ONE,),
    "solarize": (),
    "sobel": (),
    "noise": (),
}


def test_every_step_is_listed_here():
    steps = {name for name, f in vars(views).items() if hasattr(f, "plain")}
    assert steps == set(STEPS)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_takes_pictures_and_one_parameter_each(name, as_a_reader):
    step, given = getattr(views, name), STEPS[name]
    assert step(X, *given).shape == X.shape
    for image, words in (
        (X.byte(), "pictures as floats of shape"),
        (X[0], "pictures as floats of shape"),
        (X[:, :1], r"image expected shape \(b, 3, h, w\)"),
        (X + 2, r"pixels in \[-1, 1\], got values from 2 to 2"),
        (X * float("nan"), r"pixels in \[-1, 1\]"),
    ):
        with pytest.raises(ValueError, match=words):
            step(image, *given)
    for value in given:
        with pytest.raises(ValueError, match="one row for each of 2 pictures, got"):
            step(X, value[:1])
        if value.is_floating_point():
            with pytest.raises(ValueError, match="expected finite numbers, got"):
                step(X, value * float("inf") * 0)


def test_a_flip_by_its_name_is_checked_too(as_a_reader):
    with pytest.raises(ValueError, match="flip expected one row for each"):
        views.resized_crop(X, ROW, flip=torch.ones(3).bool())


def test_a_blur_of_no_width_changes_nothing():
    x = torch.rand(3, 3, 8, 8) * 2 - 1
    sigma = torch.tensor([0.0, 1e-30, 1.0])
    y = views.blur(x, sigma)
    assert torch.equal(y[:2], x[:2]) and not torch.equal(y[2], x[2])
    assert torch.equal(views.blur(x, -sigma), y)
    settings = views.replace(views.NOTHING, blur=1.0, sigma=(0.0, 0.0))
    assert torch.equal(views.view(x, settings), x)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: shapes.foils(s, "Noun"), "phenomenon expected one of 'attribute'"),
        (lambda s: shapes.alt_texts(s, seed=0, noise=2), "noise expected a number"),
        (lambda s: shapes.alt_texts(s, seed=0.5), "seed expected a whole number"),
        (lambda s: shapes.narratives(s, seed="1"), "seed expected a whole number"),
        (lambda s: shapes.questions(s, seed=None), "seed expected a whole number"),
        (lambda s: shapes.questions(s, seed=0, kinds="count"), "kinds expected a list"),
        (lambda s: shapes.questions(s, seed=0, kinds=[]), "kinds expected at least 1"),
        (lambda s: s.multi_labels("Shape"), "labels expected one of 'shape', 'color'"),
        (lambda s: photos.load("Cat"), "name expected one of 'cat'"),
        (lambda s: digits.load("Train"), "split expected one of 'train', 'test'"),
        (lambda s: shapes.to_coco(s, ".", resolution=8), "resolution expected"),
    ],
)
def test_choices_and_seeds_are_named(call, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        call(shapes.sample(3, seed=0))


# ---- files


def test_a_damaged_photograph_is_one_sentence(tmp_path, monkeypatch):
    whole = (photos._folder() / "chelsea.png").read_bytes()
    monkeypatch.setattr(photos, "_folder", lambda: tmp_path)
    for part in (whole[:5000], b"", b"no picture", whole[:40000] + b"xx" * 99):
        (tmp_path / "chelsea.png").write_bytes(part)
        with pytest.raises(ValueError, match="chelsea.png expected a whole picture"):
            photos.load("cat")


def test_damaged_merges_are_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "bpe_simple_vocab_16e6.txt.gz"
    file = SimpleNamespace(name=path.name, locate=lambda: path)
    monkeypatch.setattr(text.importlib.metadata, "files", lambda package: [file])
    rules = gzip.compress(b"a b\n" * 60_000)
    for part in (b"", rules[: len(rules) // 2], b"junk", gzip.compress(b"a b\n" * 9)):
        path.write_bytes(part)
        with pytest.raises(ValueError, match="expected 48,894 merge rules of CLIP"):
            BPETokenizer()


def test_cut_json_of_a_style_is_one_sentence_and_umlauts_are_read(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(emoji, "NODE", tmp_path)
    package = tmp_path / emoji.STYLES["noto"]
    package.mkdir(parents=True)
    whole = json.dumps({"icons": {"käfer": {"body": "<g/>"}}}, ensure_ascii=False)
    (package / "chars.json").write_bytes('{"1f41e": "käfer"}'.encode())
    (package / "icons.json").write_bytes(whole.encode())
    # as if the system's own encoding were another one
    monkeypatch.setattr("io.text_encoding", lambda name, *_: name or "ascii")
    assert "<g/>" in emoji._svg("noto", "1F41E")
    emoji._iconify.cache_clear()
    (package / "icons.json").write_bytes(whole.encode()[:20])
    with pytest.raises(ValueError, match="icons.json expected whole JSON, got a"):
        emoji._svg("noto", "1F41E")
    emoji._iconify.cache_clear()
