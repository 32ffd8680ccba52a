"""Words: the committed files are what the sources say, and lookups speak plainly."""

import hashlib

import pytest
import torch

from mmdl_lib.data import words

# of the words and the numbers as they are read, so that a rewritten file may differ
SUMS = {
    "glove": "34141c4ddeffd3c8d9734fc005cb660e207d704c6c56d9927f519c889f8fac64",
    "concreteness": "77d48776c0ff557b3b0f10ce63b918925f891b95f38452a55514092979f15bd9",
    "senses": "e13a547bcadc4fc705c90bfa51530c5987092226583ffa42a1cd01d9fa2c81c6",
}
SHAPES = {
    "glove": (30_000, 50),
    "concreteness": (4_682,),
    "senses": (39_707, 6),
}


@pytest.mark.parametrize("name", SUMS)
def test_each_file_holds_what_was_counted_and_summed(name):
    found = getattr(words, name)()
    assert found.value.shape == SHAPES[name] and found.value.dtype == torch.float32
    assert len(found) == len(found.words) == len(set(found.words)) == SHAPES[name][0]
    content = "\n".join(found.words).encode() + found.value.numpy().tobytes()
    assert hashlib.sha256(content).hexdigest() == SUMS[name]


def test_the_files_together_stay_below_four_megabytes():
    files = list(words.HERE.glob("words_*.npz"))
    assert len(files) == 2 and sum(f.stat().st_size for f in files) < 4e6


def test_the_vectors_are_stanfords_first_words_first():
    table = words.glove(5)
    assert table.words == ["the", ",", ".", "of", "to"]
    first = torch.tensor([0.418, 0.24968, -0.41242, 0.1217])
    torch.testing.assert_close(table["the"][:4], first, atol=2e-4, rtol=0)


def test_people_find_a_banana_concrete_and_hear_thunder():
    rated = words.concreteness()
    assert rated["banana"] > 6 > 4 > rated["justice"]
    assert rated.value.min() >= 1 and rated.value.max() <= 7
    felt = words.senses()
    assert words.SENSES[felt["thunder"].argmax()] == "auditory"
    assert words.SENSES[felt["perfume"].argmax()] == "olfactory"
    assert felt.value.min() >= 0 and felt.value.max() <= 5


def test_a_lookup_takes_one_word_or_several():
    table = words.glove(1000)
    assert "king" in table and "kingfisher" not in table and 3 not in table
    both = table[["king", "the"]]
    assert both.shape == (2, 50) and torch.equal(both[0], table["king"])
    assert table.words[table.index["king"]] == "king"


def test_what_is_handed_out_may_be_changed():
    words.glove(10).value.zero_()
    words.concreteness().words.clear()
    assert words.glove(10).value.abs().min() > 0 and len(words.concreteness()) == 4_682


@pytest.mark.parametrize("bad", ["qwertz", "The", ["the", "qwertz"]])
def test_an_unknown_word_is_named(bad):
    with pytest.raises(KeyError, match="expected one of 1,000 words, got"):
        words.glove(1000)[bad]


@pytest.mark.parametrize("n", [0, -1, 30_001, True])
def test_another_number_of_words_is_refused(n):
    with pytest.raises(ValueError, match="n expected .* got"):
        words.glove(n)
