"""Stamps: where the numbers of a group came from."""

import ast

from mmdl_lib.lab import stamps
from mmdl_lib.record import keep, results
from tests.lab.making import make


def test_stamps_say_what_measured_which_seeds():
    make().run()
    (stamp,) = results("toy")["stamps"]["g"]
    assert stamp["seeds"] == [0, 1, 2, 3, 4]
    assert set(stamp) == {"recipe", "python", "torch", "mmdl_lib", "machine", "date",
                          "seconds", "seeds"}  # fmt: skip


def test_numbers_of_another_recipe_are_named_until_measured_anew(capsys):
    keep("toy", "g", 0, value={"a": {"score": 9.0}, "b": {"score": 0.0}})
    keep("toy", "stamps", value={"g": [stamps.OLD | {"seeds": [0]}]})
    make().run(seeds=5)
    assert "g: measured by another recipe" in capsys.readouterr().out
    found = results("toy")["stamps"]["g"]
    assert [stamp["seeds"] for stamp in found] == [[0], [1, 2, 3, 4]]
    make().run(["g:0"], fresh=True)
    make().run(["g"])
    assert results("toy")["g"]["0"]["a"] == {"score": 1.0}
    capsys.readouterr()
    make().run()
    assert "another recipe" not in capsys.readouterr().out


def test_the_digest_knows_code_from_words(tmp_path):
    def of(text):
        path = tmp_path / "recipe.py"
        path.write_text(text)
        return stamps._code(path.read_text())

    start = 'def arm(seed):\n    "Words."\n    return 1\n'
    assert of(start) == of(start.replace("Words", "Others"))
    assert of(start) == of("# a comment\n" + start)
    assert of(start) != of(start.replace("return 1", "return 2"))


def test_the_digest_is_the_same_with_a_python_that_has_a_field_more(monkeypatch):
    text = "def arm(seed):\n    return [1]\n"
    before = stamps._code(text)
    assert "decorator_list=[]" in before
    kind = ast.FunctionDef  # as of Python 3.12
    monkeypatch.setattr(kind, "_fields", (*kind._fields, "type_params"))
    monkeypatch.setattr(kind, "type_params", [], raising=False)
    assert "type_params=[]" in ast.dump(ast.parse(text))
    assert stamps._code(text) == before
