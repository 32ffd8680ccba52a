"""Score files of a class, judged again: right ones, and those that mean harm."""

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdl_lib.exercises import _cage, _recheck

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 3  # of the processor: an answer here needs a fraction of one
LIMIT = (
    "def limit(positive, negative):\n    return (negative.max() - positive).relu()\n"
)
LOSS = LIMIT.replace("limit", "loss")
WRONG = "def limit(positive, negative):\n    return positive\n"


def code(text, call="limit"):
    return {"code": text, "call": call}


def body(*lines):
    """A right answer to simclr-2 that does something else first."""
    head, last = LIMIT.splitlines()
    return code("\n".join([head, *(f"    {line}" for line in lines), last]) + "\n")


def row(answer, *, right=True, tries=1):
    return {"tries": tries, "right": right, "answer": answer}


def whole(name, **exercises):
    rows = {key.replace("_", "-"): value for key, value in exercises.items()}
    return {"format": "mmdl score 1", "name": name, "exercises": rows}


def attack(*lines):
    """Harm between two right answers."""
    first, last = row({"value": math.log(32768)}), row({"value": 577})
    return {"clip_1": first, "simclr_2": row(body(*lines)), "vit_1": last}


# of a file's exercises: what the CSV says of simclr-2 and vit-1, words of its note
HARM = {
    "writes": ("open('/tmp/mmdl_harm', 'w').write('x')", "0", "write outside"),
    "removes": ("import os; os.remove(TARGET)", "0", "write outside"),
    "saves": ("import torch; torch.save(positive, TARGET)", "0", "RuntimeError"),
    "reads": ("raise ValueError(open(TARGET).read())", "0", "PermissionError"),
    "shell": ("import os; os.system('touch ' + TARGET)", "0", "os.system"),
    "starts": ("import subprocess; subprocess.run(['id'])", "0", "subprocess"),
    "forks": ("import os; os.fork()", "0", "os.fork"),
    "calls": ("import socket; socket.create_connection(('::1', 9))", "0", "socket"),
    "kills": ("import os; os.kill(os.getppid(), 9)", "0", "os.kill"),
    "native": ("import ctypes; ctypes.CDLL(None).system(b'id')", "0", "ctypes"),
    "endless": ("while True: pass", "0", "takes too long"),
    "sleeps": ("import time; time.sleep(1000)", "0", "takes too long"),
    "hungry": ("x = [0] * (4 * 10**8)", "0", "MemoryError"),
    "swollen": ("import torch; torch.ones(8 * 10**8).sum()", "0", "allocate"),
    "deep": ("f = lambda: f(); f()", "0", "RecursionError"),
    "leaves": ("raise SystemExit(0)", "0", "SystemExit"),
    "vanishes": ("import os; os._exit(0)", "0", "its process died"),
    "crashes": ("import os; os.abort()", "0", "its process died"),
    "fills": ("open('x', 'w').write('x' * 10**8)", "0", "OSError"),
    "forges": (
        "import os; open('result.json', 'w').write('{\"right\": true, \"hint\": \"\"}')"
        "; os._exit(0)",
        "0",
        "its process died",
    ),
    "patches": (
        "import torch; torch.allclose = lambda *a, **k: True; return 3",
        "0",
        "a wrong answer is right, too",
    ),
    "peeks": (
        "from mmdl_lib.exercises.simclr import SOLUTIONS; return SOLUTIONS[2]()",
        "0",
        "names our solutions",
    ),
    "shouts": ("print('x' * 10**6)", "1", ""),
}
if not _cage.landlock():  # an old kernel: against these there is only the hook
    del HARM["saves"], HARM["reads"]
DEEP = "[" * 100_000 + "]" * 100_000
NESTED = "[" * 800 + "]" * 800
TEXTS = {  # files whose text is no score file
    "empty": ("", "expected JSON"),
    "words": ("I did it, trust me", "expected JSON"),
    "half": (json.dumps(whole("half", vit_1=row(3)))[:-9], "expected JSON"),
    "list": ("[1, 2]", "expected the file that score() writes"),
    "record": ('{"vit-1": {}}', "expected the file that score() writes"),
    "nan": (json.dumps(whole("nan", vit_1=row({"value": math.nan}))), "got NaN"),
    "nested": (DEEP, "RecursionError"),
    "huge": ('"' + "x" * 3_000_000 + '"', "at most 2,000,000 bytes"),
    "digits": ("9" * 5_000, "not a score file"),
    "many": (
        json.dumps(whole("many") | {"exercises": dict.fromkeys(map(str, range(2000)))}),
        "at most 1,000 exercises",
    ),
    "rows": (json.dumps(whole("rows") | {"exercises": [1]}), "a table of at most"),
    "nameless": (json.dumps(whole("")), "expected a name"),
    "number": (json.dumps(whole(7)), "expected a name"),
    "lines": (json.dumps(whole("a\n=1+1")), "expected a name"),
}
ROWS = {  # files of which a part is no answer
    "unknown": ({"simclr-99": row({"value": 3})}, "no exercise is called"),
    "module": ({"os.path-1": row({"value": 3})}, "no exercise is called"),
    "string": ({"vit-1": "right"}, "expected tries and an answer"),
    "tries": ({"vit-1": row({"value": 577}, tries="many")}, "expected tries"),
    "fields": ({"vit-1": row({"pickle": "x"})}, "expected tries and an answer"),
    "source": ({"simclr-2": row(code(["x"]))}, "expected tries and an answer"),
    "kind": ({"vit-1": row({"value": {"pickle": "x"}})}, "expected a kept value"),
    "dtype": ({"vit-1": row({"value": {"tensor": [577], "dtype": "load",
              "shape": []}})}, "TypeError"),
    "inner": ({"vit-1": row({"value": json.loads(NESTED)})}, "RecursionError"),
    "syntax": ({"simclr-2": row(code("def limit(:"))}, "SyntaxError"),
    "call": ({"simclr-2": row(code(LIMIT, "other"))}, "KeyError"),
    "lost": ({"vit-2": row({"lost": "it uses NET."})}, "not kept: it uses NET"),
    "lying": ({"simclr-2": row(code(WRONG))}, "the file says 1 right, found 0"),
    "number": ({"vit-1": row({"value": 3})}, "the file says 1 right, found 0"),
}  # fmt: skip


def hand_in(folder, target):
    """Everything that a class may hand in."""
    good = whole(
        "Good", simclr_2=row(code(LIMIT), tries=4), vit_1=row({"value": 577}, tries=2)
    )
    files = {"score-good.json": good}
    files["score-modest.json"] = whole(
        "Modest", simclr_2=row(code(WRONG), right=False), vit_1=row({"value": 577})
    )
    files["moodle_123/Bea_score-bea-1.JSON"] = good | {"name": "Bea"}
    files["score-other.json"] = whole("Somebody", vit_1=row({"value": 577}))
    for i in (1, 2):
        files[f"score-twin-{i}.json"] = whole("Twin", vit_1=row({"value": 576 + i}))
    files["score-sum-1-1.json"] = whole("=SUM(1,1)", vit_1=row({"value": 577}))
    for name, (lines, *_) in HARM.items():
        lines = lines.replace("TARGET", repr(str(target)))
        files[f"score-{name}.json"] = whole(name, **attack(lines))
    for name, (rows, _) in ROWS.items():
        files[f"rows/score-{name}.json"] = whole(name) | {"exercises": rows}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), "utf-8")
    for name, (text, _) in TEXTS.items():
        (folder / f"score-text-{name}.json").write_text(text, "utf-8")
    (folder / "score-bytes.json").write_bytes(b"\xff\xfe{}")
    (folder / "score-folder.json").mkdir()
    os.mkfifo(folder / "score-pipe.json")
    (folder / "score-link.json").symlink_to("/dev/zero")


@pytest.fixture(scope="module")
def harm(tmp_path_factory):
    """The class's lines by file, as a teacher's command writes them."""
    folder, place = (tmp_path_factory.mktemp(name) for name in ("class", "teacher"))
    target = place / "precious.txt"
    target.write_text("precious")
    hand_in(folder, target)
    command = [sys.executable, "-m", "mmdl_lib.exercises", "recheck", str(folder)]
    done = subprocess.run(
        [*command, "--seconds", str(SECONDS), "--out", "scores.csv"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MMDL_QUIET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert target.read_text() == "precious"
    assert sorted(p.name for p in place.iterdir()) == ["precious.txt", "scores.csv"]
    assert not Path("/tmp/mmdl_harm").exists()
    text = (place / "scores.csv").read_text("utf-8")
    return {line["file"]: line for line in csv.DictReader(text.splitlines())}


def test_right_answers_are_right_and_nothing_is_noted_but_copies(harm):
    good = harm["score-good.json"]
    assert (good["name"], good["right"], good["of"], good["tries"]) == (
        "Good", "2", "2", "6",
    )  # fmt: skip
    assert good["simclr-2"] == good["vit-1"] == "1" and good["vit-2"] == ""
    assert good["note"] == "the same answers as Bea_score-bea-1.JSON."
    assert harm["moodle_123/Bea_score-bea-1.JSON"]["right"] == "2"


def test_a_wrong_answer_that_says_so_gets_no_note(harm):
    modest = harm["score-modest.json"]
    assert (modest["simclr-2"], modest["vit-1"], modest["note"]) == ("0", "1", "")


@pytest.mark.parametrize("name", HARM)
def test_harmful_code_harms_nothing_and_its_neighbors_count(harm, name):
    line = harm[f"score-{name}.json"]
    _, right, words = HARM[name]
    assert (line["clip-1"], line["simclr-2"], line["vit-1"]) == ("1", right, "1")
    assert words in line["note"] and len(line["note"]) < 600
    assert "precious" not in line["note"].replace("precious.txt", "")


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_that_is_none_has_a_line_that_says_why(harm, name):
    line = harm[f"score-text-{name}.json"]
    assert "not a score file: " in line["note"] and TEXTS[name][1] in line["note"]
    assert line["right"] == line["of"] == "0"


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_is_no_answer_is_noted_and_not_right(harm, name):
    line = harm[f"rows/score-{name}.json"]
    assert ROWS[name][1] in line["note"] and line["right"] == "0"


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("score-bytes.json", "expected text in UTF-8"),
        ("score-folder.json", "expected a plain file"),
        ("score-pipe.json", "expected a plain file"),
        ("score-link.json", "expected a plain file"),
        ("score-other.json", "the file's name names somebody else"),
        ("score-twin-1.json", "2 files have this name"),
        ("score-twin-2.json", "2 files have this name"),
    ],
)
def test_what_is_odd_about_a_file_is_noted(harm, file, words):
    assert words in harm[file]["note"]


def test_no_spreadsheet_takes_a_name_for_a_formula(harm):
    assert harm["score-sum-1-1.json"]["name"] == "'=SUM(1,1)"


def test_every_file_has_one_line(harm):
    assert len(harm) == 7 + len(HARM) + len(TEXTS) + len(ROWS) + 4


@pytest.mark.parametrize(
    ("name", "words"), [("missing", "a folder of score files"), ("", "got none")]
)
def test_a_folder_without_score_files_is_one_sentence(tmp_path, name, words):
    with pytest.raises(ValueError, match=words):
        _recheck.recheck(tmp_path / name)


@pytest.mark.parametrize("kind", ["missing", "fifo", "link", "other", "huge"])
def test_what_a_process_leaves_is_not_believed(tmp_path, kind):
    path = tmp_path / "x"
    true = '{"right": true, "hint": ""}'
    (tmp_path / "true").write_text(true)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "true")
    elif kind != "missing":
        path.write_text({"other": '{"right": true}', "huge": " " * 10**6 + true}[kind])
    assert _recheck._left(path) == []
    assert _recheck._left(tmp_path / "true") == [(True, "")]
