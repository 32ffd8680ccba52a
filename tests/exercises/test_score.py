"""What check remembers and score writes: answers as data, or as source."""

import functools
import inspect
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib.exercises import _score, check, score
from mmdl_lib.exercises._kept import LARGEST, kept, rebuilt

HALF = 0.5
WEIGHTS = torch.tensor([1.0, -2.0])
NET = nn.Linear(2, 2)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """A working folder of a reader: neither a build nor a test."""
    for name in ("MMDL_QUIET", "MMDL_BUILD", "PYTEST_VERSION", "MMDL_ANSWERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_score, "_session", {})
    monkeypatch.setattr(_score, "_said", set())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def rows(folder, who="anna"):
    return json.loads((folder / f"score-{who}.json").read_text("utf-8"))["exercises"]


# the answers


@pytest.mark.parametrize(
    "answer",
    [
        3,
        -0.1,
        True,
        "text",
        [1, [2.5, math.inf]],
        ([[1, 1]], [0.5]),
        {"a": 1, 2: [3]},
        10**400,
    ],
)
def test_plain_values_come_back_equal_and_of_the_same_type(answer):
    back = rebuilt(json.loads(json.dumps(kept(answer))))
    assert back == answer and type(back) is type(answer)


@pytest.mark.parametrize(
    "answer",
    [
        torch.tensor(math.pi, dtype=torch.float64),
        torch.rand(2, 0, 3),
        torch.tensor([1.5, -math.inf], dtype=torch.half),
        torch.eye(3).to_sparse(),
        torch.tensor([[True], [False]]),
        np.arange(3, dtype=np.int16),
        np.float32(0.1),
    ],
)
def test_tensors_and_arrays_come_back_with_dtype_and_shape(answer):
    back = rebuilt(json.loads(json.dumps(kept(answer))))
    like = torch.as_tensor(answer).to_dense()
    assert back.dtype == like.dtype and torch.equal(back, like)


def scaled(x):
    return HALF * x


def uses_much(x, *, weights=WEIGHTS, p: "int" = 2):
    def inner(y):
        return F.relu(y) + math.floor(2.5)

    return scaled(inner(x * weights)).norm(p=p) + sum(t * HALF for t in range(3))


def countdown(n):
    return 0 if n == 0 else countdown(n - 1)


def made(factor):
    return lambda x: x * factor


@functools.cache
def cached(n):
    return n + 1


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        (uses_much, torch.tensor([3.0, -1.0])),
        (countdown, 5),
        (made(7), 2),
        (cached, 1),
        (F.relu, torch.tensor([-1.0, 1.0])),
        (torch.exp, torch.ones(2)),
        (math.exp, 1.0),
        (lambda x: x + HALF, 1),
    ],
)
def test_a_function_comes_back_alone_and_gives_the_same(answer, given):
    entry = json.loads(json.dumps(kept(answer)))
    assert set(entry) == {"code", "call"}
    back = rebuilt(entry)
    assert torch.equal(*map(torch.as_tensor, (back(given), answer(given))))
    if answer not in (F.relu, torch.exp, math.exp):
        assert inspect.unwrap(back).__globals__ is not globals()


def test_source_is_the_same_in_another_process():
    """Sets of names have another order in each process: the text must not."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_score as t;"
        "from mmdl_lib.exercises._kept import kept; print(kept(t.uses_much))"
    )
    here = os.path.dirname(__file__)
    texts = {
        subprocess.run(
            [sys.executable, "-c", code, here],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    assert len(texts) == 1


def uses_a_net(x):
    return NET(x)


class Odd:
    def __call__(self):
        return 3

    def __getattr__(self, name):
        raise KeyError(name)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (uses_a_net, "it uses NET, a Linear of the notebook"),
        (NET, "a Linear of the notebook"),
        (eval("lambda x: x"), "a lambda's source is not found"),
        (torch.zeros(LARGEST + 1), "more than 20,000 numbers"),
        ("x" * LARGEST, "longer than 20,000 bytes"),
        (object(), "a object cannot be kept"),
        (Odd, "cannot be kept"),
        ("\ud800", "cannot be kept"),
        (1j, "cannot be kept"),
    ],
)
def test_what_cannot_be_kept_says_why(answer, words):
    entry = kept(Odd() if answer is Odd else answer)
    assert list(entry) == ["lost"] and words in entry["lost"]
    assert entry["lost"].endswith(".")


# the record


def test_tries_are_different_answers_until_one_is_right(reader):
    for answer in (1, 2, 1, None, math.log(63), 3, math.log(63)):
        check("simclr-1", answer)
    score("Anna")
    assert rows(reader) == {
        "simclr-1": {"tries": 3, "right": True, "answer": {"value": math.log(63)}}
    }


def test_running_again_gives_the_same_bytes(reader, capsys):
    def session():
        check("simclr-2", lambda positive, negative: negative.max())
        check("clip-1", 3)
        score("Anna")
        return (reader / "score-anna.json").read_bytes(), capsys.readouterr().out

    assert session() == session()
    assert names(reader) == ["mmdl_answers.json", "score-anna.json"]


def test_the_table_has_name_exercise_tries_and_right(reader, capsys):
    check("vit-1", 577)
    check("simclr-1", 2)
    capsys.readouterr()
    score(" Anna Müller ")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["Anna", "Müller"],
        ["exercise", "tries", "right"],
        ["simclr-1", "1", "no"],
        ["vit-1", "1", "yes"],
        "1 of 2 right, written to score-anna-muller.json.".split(),
    ]


def test_an_answer_that_needs_the_notebook_is_not_right_and_says_so(reader, capsys):
    def limit(positive, negative):
        return F.relu(negative.max() - positive) + 0 * next(NET.parameters()).sum()

    assert check("simclr-2", limit)
    score("Anna")
    assert "no, only in this notebook: not kept: it uses NET" in capsys.readouterr().out
    assert rows(reader)["simclr-2"]["right"] is False


def test_a_right_flag_in_the_record_is_not_believed(reader):
    check("simclr-1", 2)
    path = reader / "mmdl_answers.json"
    path.write_text(path.read_text().replace('"right": false', '"right": true'))
    score("Anna")
    assert rows(reader)["simclr-1"]["right"] is False


def test_two_notebooks_at_once_lose_no_try(reader):
    numbers = range(40)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: _score.tried("vit-1", n, False), numbers))
    record = json.loads((reader / "mmdl_answers.json").read_text())
    assert len(record["vit-1"]["tried"]) == 40


def test_the_record_stays_small(reader):
    for n in range(150):
        _score.tried("vit-1", "x" * 10_000 + str(n), False)
    assert (reader / "mmdl_answers.json").stat().st_size < 20_000


@pytest.mark.parametrize("text", ["{", "[]", "\xff", "[" * 100_000, '{"vit-1": 3}'])
def test_a_damaged_record_is_put_aside_or_left_out(reader, text):
    (reader / "mmdl_answers.json").write_bytes(text.encode("latin-1"))
    check("vit-1", 577)
    score("Anna")
    assert rows(reader)["vit-1"]["right"] is True
    aside = reader / "mmdl_answers.json.damaged"
    assert aside.exists() == (text != '{"vit-1": 3}')
    if aside.exists():  # nothing is lost
        assert aside.read_bytes() == text.encode("latin-1")


def test_a_folder_that_cannot_be_written_is_said_once(reader, monkeypatch, capsys):
    monkeypatch.setenv("MMDL_ANSWERS", str(reader / "file" / "x.json"))
    (reader / "file").touch()
    check("vit-1", 577)
    check("vit-1", 3)
    assert capsys.readouterr().out.count("in this session only") == 1
    score("Anna")
    assert rows(reader)["vit-1"]["right"] is True


@pytest.mark.parametrize("flag", ["MMDL_QUIET", "MMDL_BUILD", "PYTEST_VERSION"])
def test_pages_and_tests_leave_no_file(reader, flag, monkeypatch, capsys):
    monkeypatch.setenv(flag, "1")
    assert check("vit-1", 577)
    assert score("Anna") is None
    assert "vit-1                1  yes" in capsys.readouterr().out
    assert not list(reader.iterdir())


def test_without_a_try_there_is_no_file_and_one_sentence(reader, capsys):
    assert score("Anna") is None
    assert capsys.readouterr().out.startswith("no exercise was tried yet")
    check("vit-1", ...)
    check("vit-2", lambda q, k, v: ...)
    assert names(reader) == []


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 81, 3, None, "---"])
def test_a_name_that_is_none_is_refused_in_one_sentence(reader, as_a_reader, name):
    check("vit-1", 577)
    with pytest.raises(
        ValueError, match="score expected your name, at most 80 letters"
    ):
        score(name)


def test_names_of_any_script_make_a_file_in_the_folder(reader):
    check("vit-1", 577)
    for name in ("李明", "../../Ann/a", "Zoë O'Brien"):
        score(name)
    found = ["mmdl_answers.json", "score-ann-a.json", "score-zoe-o-brien.json"]
    assert names(reader) == [*found, "score-李明.json"]
