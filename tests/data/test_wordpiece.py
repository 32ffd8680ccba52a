"""WordPiece: longest pieces from the left, frames, padding, what is too long."""

import json

import pytest
import torch

from mmdl_lib.data.wordpiece import WordPiece

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "unbe", "##liev", "##be"]
WORDS += ["##able", "##a", "##ble", "a", "cat", "."]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS))
    return path


def test_the_longest_piece_goes_first_from_the_left(file):
    made = WordPiece(file)
    assert made.pieces("unbelievable") == ["[CLS]", "unbe", "##liev", "##able", "[SEP]"]
    assert made.pieces("A CAT.") == ["[CLS]", "a", "cat", ".", "[SEP]"]
    assert made.encode("a cat") == [2, 12, 13, 3]
    assert made.vocab == len(WORDS) and (made.pad, made.mask) == (0, 4)


def test_a_word_that_no_pieces_make_is_unknown_as_a_whole(file):
    assert WordPiece(file).pieces("unbelievably a dog") == [
        *("[CLS]", "[UNK]", "a", "[UNK]", "[SEP]")
    ]


def test_texts_are_padded_and_cut_off_with_their_frame(file):
    tokens, mask = WordPiece(file, length=5)(["a cat", "", "a cat a cat a cat"])
    assert torch.equal(mask.sum(1), torch.tensor([4, 2, 5]))
    assert tokens[1].tolist() == [2, 3, 0, 0, 0]
    assert tokens[2].tolist() == [2, 12, 13, 12, 3]


def test_both_files_of_transformers_are_read(file, tmp_path):
    other = tmp_path / "tokenizer.json"
    vocab = {word: i for i, word in enumerate(WORDS)}
    other.write_text(json.dumps({"model": {"vocab": vocab}}))
    assert WordPiece(other).encode("unbe a") == WordPiece(file).encode("unbe a")


def test_bad_inputs_are_named(file, tmp_path):
    with pytest.raises(ValueError, match="length expected a whole number from 3"):
        WordPiece(file, length=2)
    with pytest.raises(ValueError, match="texts expected at least 1, got 0"):
        WordPiece(file)([])
    bad = tmp_path / "other.txt"
    bad.write_text("a\nb")
    with pytest.raises(ValueError, match=r"got none with \[PAD\], \[UNK\]"):
        WordPiece(bad)
