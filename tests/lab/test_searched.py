"""The book's paragraphs, and what finds one: shared words, mean vectors, sentences."""

import json
import math

import pytest
import torch
from torch.testing import assert_close

from mmdl_lib.data.words import Words
from mmdl_lib.lab import searched

HEAD = """(sec-x)=
# 9.1 A head

A promise of what is to come, in one paragraph of twelve words.

**You will be able to**

- find a paragraph by a question that shares no word with it;

| time | 25 minutes and a few words more than eight of them |
"""
BODY = """(x-part)=
### One {term}`gate`, and *more*

By {cite:t}`levy2014factorization` the *two* {term}`gates <gate>` are said to be one \
thing, in $k$ words {cite:p}`hinton2012dropout`.

$$
a = b \\text{ and a great many words more than eight}
$$ (eq-x)

Too short to be kept.

:::{dropdown} Answer
Nobody should find what stands in here, however many words.
:::

See [the next page](next.md) for what follows from all of this, soon.
"""


def cell(text, kind="markdown", tags=()):
    return {"cell_type": kind, "source": [text], "metadata": {"tags": list(tags)}}


@pytest.fixture
def notebook(tmp_path):
    asks = "**Predict.** What would a reader say who has read these many words?"
    cells = [
        cell(HEAD),
        cell("print('code is not read, however many words it has here')", "code"),
        cell(asks, tags=["predict"]),
        cell(BODY),
        cell("## Exercises\n\nWrite down all of the words that you have not read yet."),
        cell("### And after\n\nThis stands behind the exercises and is not read, too."),
    ]
    path = tmp_path / "x_further.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    return path


def test_running_text_is_kept_with_its_place_and_without_marks(notebook):
    assert searched.paragraphs(notebook) == [
        ("x_further", "9.1 A head", "A promise of what is to come, in one paragraph of "
         "twelve words."),
        ("x_further", "One gate, and more", "By levy the two gates are said to be one "
         "thing, in k words."),
        ("x_further", "One gate, and more", "See the next page for what follows from "
         "all of this, soon."),
    ]  # fmt: skip


def test_what_is_no_notebook_is_refused(tmp_path):
    path = tmp_path / "x.ipynb"
    with pytest.raises(FileNotFoundError):
        searched.paragraphs(path)
    for text in ("words", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(ValueError, match="expected a notebook, got x.ipynb"):
            searched.paragraphs(path)


def test_bm25_is_the_formula_written_out():
    texts = ["red fox red", "fox hen owl hen", "owl"]
    score = searched.bm25(["red", "a fox, a FOX", "cow"], texts)
    mean = (3 + 4 + 1) / 3
    rare, common = math.log(1 + 2.5 / 1.5), math.log(1 + 1.5 / 2.5)
    red = rare * 2 * 2.5 / (2 + 1.5 * (0.25 + 0.75 * 3 / mean))
    fox = [common * 2.5 / (1 + 1.5 * (0.25 + 0.75 * n / mean)) for n in (3, 4)]
    want = [[red, 0, 0], [2 * fox[0], 2 * fox[1], 0], [0, 0, 0]]
    assert_close(score, torch.tensor(want))


def test_more_occurrences_count_less_and_less_and_length_only_where_b_says_so():
    texts = ["cat", "cat cat", "cat cat cat", "cat dog"]
    plain = searched.bm25(["cat"], texts, b=0.0)[0]
    assert plain[0] == plain[3] and plain[2] - plain[1] < plain[1] - plain[0]
    long = searched.bm25(["cat"], texts)[0]
    assert long[0] > long[3]
    for wrong in ({"k": 0.0}, {"b": 1.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            searched.bm25(["cat"], texts, **wrong)


def test_a_text_is_the_mean_of_its_known_words():
    value = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    table = Words(["hen", "owl"], value)
    found = searched.by_words(["Hen, hen and owl", "cow"], table)
    assert_close(found, torch.tensor([[6, 4], [0, 0]]) / torch.tensor(52.0).sqrt())


def test_sentences_come_back_in_their_order_whatever_batch_they_were_read_in():
    class Model:
        def encode_text(self, tokens, mask):
            return tokens[:, :1].float()

    def tokenizer(texts):
        read.append(len(texts))
        return torch.tensor([[len(text)] for text in texts]), None

    read, texts = [], ["abc", "a", "abcd", "ab", "abcde"]
    found = searched.by_sentence(texts, Model(), tokenizer, batch_size=2)
    assert found[:, 0].tolist() == [3, 1, 4, 2, 5] and read == [2, 2, 1]
