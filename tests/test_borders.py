"""The border checks: what passes, what is refused in which words, what is skipped."""

import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mmdl_lib import borders

pytestmark = pytest.mark.usefixtures("as_a_reader")
BYTES = torch.tensor([0, 255], dtype=torch.uint8)


def test_every_check_says_name_expected_got():
    sentences = []
    for call in (
        lambda: borders.check_flags("crowd", BYTES),
        lambda: borders.check_mask(torch.zeros(1, 2).bool()),
        lambda: borders.check_labels("labels", torch.zeros(2)),
        lambda: borders.check_integers("ids", torch.tensor([-1])),
        lambda: borders.check_finite("x", torch.tensor([math.inf])),
        lambda: borders.check_numbers("x", torch.zeros(2, 2)),
        lambda: borders.check_scores("logits", torch.zeros(2), [1]),
        lambda: borders.check_image(torch.zeros(3, 8, 8)),
        lambda: borders.check_texts("captions", "a cat"),
        lambda: borders.check_text("caption", 3),
        lambda: borders.check_references(["a"], "a"),
        lambda: borders.check_same_length(x=[1], y=[]),
        lambda: borders.check_choice("average", "Macro", ("macro",)),
        lambda: borders.check_number("k", 0, 1),
    ):
        with pytest.raises(ValueError) as found:
            call()
        sentences.append(str(found.value))
    for sentence in sentences:
        assert " expected " in sentence and ", got " in sentence, sentence
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 200


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (BYTES, r"crowd expected bool, got uint8 of shape \(2,\)"),
        (BYTES // 255, "got uint8"),
        (torch.tensor([0, 1]), "got int64"),
        (torch.tensor([0.2, 0.9]), "got float32"),
        ([True, False], "expected a tensor, got list"),
        (torch.tensor([True]), r"expected shape \(2,\), got \(1,\)"),
    ],
)
def test_flags_are_bool_and_nothing_else(flags, words):
    with pytest.raises(ValueError, match=words):
        borders.check_flags("crowd", flags, (2,))
    borders.check_flags("crowd", torch.tensor([True, False]), (2,))


def test_of_what_is_counted_one_has_to_be_true():
    borders.check_some("scored", torch.tensor([[False, True]]))
    for flags in (torch.zeros(2, 3).bool(), torch.ones(2, 0).bool()):
        with pytest.raises(ValueError, match="scored expected at least one True, got"):
            borders.check_some("scored", flags)
    with pytest.raises(ValueError, match="scored expected bool, got int64"):
        borders.check_some("scored", torch.tensor([0, 1]))


def test_each_row_has_one_that_is_true_where_that_is_asked():
    rows = torch.tensor([[False, True], [True, True]])
    borders.check_some("near", rows, each=True)
    rows[0] = False
    borders.check_some("near", rows)
    with pytest.raises(ValueError, match="near expected at least one True in each row"):
        borders.check_some("near", rows, each=True)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[0, 1, 1]], "real tokens first and padding after them, got 1 rows"),
        ([[1, 0, 1], [1, 1, 0], [0, 1, 0]], "got 2 rows"),
        ([[1, 1, 1], [0, 0, 0]], "a real token in each row, got 1 of padding only"),
        ([1, 1], r"shape \(b, t\)"),
        ([[]], "a real token in each row, got none"),
    ],
)
def test_a_token_mask_is_a_prefix_of_real_tokens(rows, words):
    with pytest.raises(ValueError, match=words):
        borders.check_mask(torch.tensor(rows).bool())


def test_masks_of_every_length_pass_and_must_fit_their_tokens():
    mask = torch.ones(4, 4).tril().bool()
    borders.check_mask(mask, shape=(4, 4))
    borders.check_mask(mask[:0])
    with pytest.raises(ValueError, match="mask expected bool, got int64"):
        borders.check_mask(mask.long())
    with pytest.raises(ValueError, match=r"words expected shape \(4, 5\), got \(4, 4"):
        borders.check_mask(mask, name="words", shape=(4, 5))


def test_labels_may_be_any_whole_numbers_from_zero_to_the_last_class():
    for kind in (torch.long, torch.int32, torch.int16, torch.int8, torch.uint8):
        borders.check_labels("labels", torch.tensor([0, 2], dtype=kind), 3)
        with pytest.raises(ValueError, match="numbers from 0 to 1, got 0 to 2"):
            borders.check_labels("labels", torch.tensor([0, 2], dtype=kind), 2)
    borders.check_labels("labels", torch.tensor([True, False]), 2)
    borders.check_labels("labels", torch.zeros(0).long(), 2)
    with pytest.raises(ValueError, match="numbers from 0 up, got -1 to 5"):
        borders.check_labels("labels", torch.tensor([5, -1]))
    with pytest.raises(ValueError, match=r"integers of shape \(b,\), got int64 of"):
        borders.check_labels("labels", torch.zeros(2, 2).long())
    borders.check_integers("ids", torch.tensor([[-7, 900]]), None)


def test_finite_numbers_are_counted():
    borders.check_finite("x", torch.tensor([1e30, -1e30]))
    borders.check_finite("x", torch.tensor([], dtype=torch.float64))
    with pytest.raises(ValueError, match="x expected finite numbers, got 3 NaN or inf"):
        borders.check_finite("x", torch.tensor([math.nan, 1, math.inf, -math.inf]))
    with pytest.raises(ValueError, match=r"x expected floats of shape \(n, d\), got i"):
        borders.check_numbers("x", torch.zeros(2, 2).int(), "n d")


def test_probabilities_are_no_logits_and_what_only_resembles_them_is():
    for rows in ([[0.5, 0.5]], [[1.0, 0.0], [0.2, 0.8]]):
        with pytest.raises(ValueError, match="logits expected scores before softmax"):
            borders.check_logits("logits", torch.tensor(rows))
    # a sum of one with something below zero, other sums, one of two rows, one class
    for rows in ([[2.0, -1.0]], [[1.0, 1.0]], [[0.5, 0.5], [3.0, 0.0]], [[1.0]]):
        borders.check_logits("logits", torch.tensor(rows))


def test_pictures_on_the_border_of_the_range_pass():
    borders.check_image(torch.tensor([[[[-1.0, 1.0]]]]))
    borders.check_image(torch.zeros(0, 3, 8, 8))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (torch.zeros(3, 8, 8), r"of shape \(b, c, h, w\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "as floats"),
        (torch.full((1, 3, 8, 8), 1.1), r"in \[-1, 1\], got values from 1.1"),
        (torch.full((1, 3, 8, 8), -1.1), r"got values from -1.1"),
        (torch.full((1, 3, 8, 8), torch.nan), r"in \[-1, 1\]"),
        ([[1.0]], "a tensor, got list"),
    ],
)
def test_other_pictures_are_named_in_one_sentence(image, expected):
    with pytest.raises(ValueError, match=expected):
        borders.check_image(image)


def test_where_there_are_no_values_only_shape_and_type_count():
    bad = torch.full((2, 3, 8, 8), 7.0)
    borders.check_image(bad.to("meta"))
    torch.func.vmap(lambda x: borders.check_image(x[None]) or x)(bad)
    with FakeTensorMode():
        borders.check_image(torch.full((2, 3, 8, 8), 7.0))
        borders.check_mask(torch.zeros(2, 3).bool())

    class Net(torch.nn.Module):
        def forward(self, x, mask):
            borders.check_image(x)
            borders.check_mask(mask)
            return x * 2

    torch.export.export(Net(), (bad / 7, torch.ones(2, 5).bool()))
    borders.check_mask(torch.zeros(2, 3, dtype=torch.bool, device="meta"))
    borders.check_labels("labels", torch.zeros(3, dtype=torch.long, device="meta"), 2)
    borders.check_finite("x", torch.zeros(3, device="meta"))
    with pytest.raises(ValueError, match="as floats of shape"):
        borders.check_image(torch.zeros(2, 3, 8, device="meta"))


def test_an_image_is_read_once(monkeypatch):
    reads = []
    for name in ("item", "tolist", "__bool__", "__int__", "__float__", "cpu"):
        real = getattr(torch.Tensor, name)

        def counted(self, *args, real=real, **kw):
            reads.append(1)
            return real(self, *args, **kw)

        monkeypatch.setattr(torch.Tensor, name, counted)
    for check in (
        lambda: borders.check_image(torch.zeros(2, 3, 8, 8)),
        lambda: borders.check_mask(torch.ones(2, 3).bool()),
        lambda: borders.check_labels("labels", torch.zeros(3).long(), 4),
        lambda: borders.check_finite("x", torch.zeros(3)),
        lambda: borders.check_some("scored", torch.ones(3).bool()),
    ):
        reads.clear()
        check()
        assert len(reads) == 1
    reads.clear()
    borders.check_flags("crowd", torch.ones(2).bool(), (2,))
    assert reads == []


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ("cat", "captions expected a list of strings, got str 'cat'"),
        ([], "captions expected at least 1, got 0"),
        (["a", 3], "got int 3 in it"),
        (["a", None], "got NoneType None in it"),
        (["a", ["b"]], r"got list \['b'\] in it"),
        (b"cat", "got int 99 in it"),
        ({"a"}, "a list of strings, got set"),
        (None, "a list of strings, got NoneType"),
        (torch.zeros(2), "a list of strings, got float32"),
    ],
)
def test_texts_are_a_list_of_strings(texts, words):
    with pytest.raises(ValueError, match=words):
        borders.check_texts("captions", texts)
    borders.check_texts("captions", ("a", ""))
    borders.check_texts("captions", [], least=0)


@pytest.mark.parametrize(
    ("said", "true", "words"),
    [
        ("ab", [["a"], ["b"]], "candidates expected a list of strings"),
        (["a"], "a", "references expected a list of lists of strings, got str 'a'"),
        (["a"], ["a"], "references 0 expected a list of strings, got str 'a'"),
        (["a", "b"], [["a"], []], "references 1 expected at least 1, got 0"),
        (["a"], [], "candidates expected as many as lists of references, got 1 and 0"),
        ([], [], "at least one, got none"),
        (["a"], [[1]], "references 0 expected a list of strings, got int 1"),
    ],
)
def test_references_are_lists_of_lists(said, true, words):
    with pytest.raises(ValueError, match=words):
        borders.check_references(said, true)
    borders.check_references(["a", ""], [["b"], ("c", "d")])


def test_lengths_of_what_has_none():
    with pytest.raises(ValueError, match="y expected several, got int 3"):
        borders.check_same_length(x=[1], y=3)
    with pytest.raises(ValueError, match="x expected several, got float32 of shape"):
        borders.check_same_length(x=torch.tensor(1.0), y=[1])


@pytest.mark.parametrize("value", ["Cosine", "", None, ["cosine"], 1, True])
def test_a_choice_is_one_of_those_named(value):
    with pytest.raises(ValueError, match="similarity expected one of 'cosine', 'dot'"):
        borders.check_choice("similarity", value, ("cosine", "dot"))
    borders.check_choice("similarity", "dot", ("cosine", "dot"))
    with pytest.raises(ValueError, match="expected one of 1, 2, got True"):
        borders.check_choice("n", True, (1, 2))


@pytest.mark.parametrize(
    ("value", "limits", "words"),
    [
        (0, {"low": 1, "whole": True}, "k expected a whole number from 1 up, got 0"),
        (2.0, {"low": 1, "whole": True}, "a whole number from 1 up, got 2.0"),
        (True, {}, "k expected a number, got True"),
        ("3", {}, "k expected a number, got '3'"),
        (math.nan, {}, "k expected a number, got nan"),
        (math.inf, {"low": 0}, "a number from 0 up, got inf"),
        (0.0, {"above": 0}, "a number above 0, got 0.0"),
        (2, {"low": 0, "high": 1}, "a number from 0 to 1, got 2"),
        (-3, {"high": -4}, "a number to -4, got -3"),
    ],
)
def test_numbers_in_their_range(value, limits, words):
    with pytest.raises(ValueError, match=words):
        borders.check_number("k", value, **limits)
    borders.check_number("k", 1, 1, 1, whole=True, above=0)
