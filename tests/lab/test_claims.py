"""Claims: read from a file, paired by seed, and judged by numbers made by hand."""

import pytest

from mmdl_lib import lab
from mmdl_lib.lab import Check
from mmdl_lib.lab.claims import differences
from mmdl_lib.record import results
from tests.lab.making import claim, make


def test_arms_are_paired_by_seed():
    # both arms swing by 0.1 from seed to seed, their difference never does
    make(spread=0.01).run()
    (row,) = results("toy")["claims"]
    assert row["values"] == pytest.approx([1.01, 0.99, 1.01, 0.99, 1.01])
    # mean 1.002, deviation 0.010954, t(4) = 2.776: half-width 0.0136
    assert (row["ours"], row["low"], row["high"]) == pytest.approx(
        (1.002, 0.9884, 1.0156), abs=1e-4
    )
    assert (row["verdict"], row["seeds"]) == ("holds", 5)


@pytest.mark.parametrize(
    ("gain", "spread", "kind", "said"),
    [
        (0.2, 0.01, "difference", "holds"),
        (-0.2, 0.01, "difference", "reversed"),
        (0.0, 0.01, "difference", "no effect here"),
        (0.0, 0.01, "equality", "holds"),
        (0.2, 0.01, "equality", "reversed"),
        (0.0, 0.9, "difference", "cannot tell"),
    ],
)
def test_the_verdict_follows_from_the_runs(gain, spread, kind, said):
    make(gain=gain, spread=spread, claims=[claim(kind=kind)]).run(seeds=6)
    assert results("toy")["claims"][0]["verdict"] == said


def test_the_verdict_is_made_before_rounding():
    # differences whose interval starts at 4e-9: rounded it would touch zero
    found = {"g": {str(s): {"a": {"score": 4e-9 + s % 2 * 1e-12}, "b": {"score": 0.0}}
                   for s in range(6)}}  # fmt: skip
    assert lab.judge(claim(), found)["verdict"] == "holds"


def test_names_with_slashes_nest_and_lists_are_counted():
    groups = {"g": {"plain/8": lambda seed: {"loss": [3.0, 2.0, 1.0 + seed]},
                    "plain/56": lambda seed: {"loss": [3.0, 2.5]}}}  # fmt: skip
    rows = [claim(left="g/plain/56/loss/-1", right="g/plain/8/loss/1")]
    lab.Lab("toy", groups=groups, claims=rows).run()
    assert results("toy")["g"]["2"]["plain"]["8"]["loss"] == [3.0, 2.0, 3.0]
    assert results("toy")["claims"][0]["values"] == [0.5] * 5


def test_a_function_of_the_run_may_be_compared():
    rows = [claim(left=lambda run: run["g"]["a"]["score"] - run["g"]["b"]["score"],
                  right=None)]  # fmt: skip
    make(spread=0.06, claims=rows).run()
    assert results("toy")["claims"][0]["seeds"] == 9  # what it reads is seen


def test_numbers_may_be_added_and_taken_away():
    found = {
        "g": {str(s): {"a": {"x": 5.0, "y": 3}, "b": {"score": 0.25}} for s in "01"}
    }
    row = claim(left="g/a/x - g/a/y + g/b/score - 0.5", right="g/b/score")
    assert lab.judge(row, found)["values"] == [1.5, 1.5]


def test_what_was_measured_once_is_compared_with_each_seed():
    found = {"g": {str(s): {"a": {"score": 0.5 + s}} for s in range(2)}}
    found["counts"] = {"known": {"score": 0.25}}
    row = claim(left="g/a/score", right="counts/known/score")
    assert lab.judge(row, found)["values"] == [0.25, 1.25]
    # it needs no further seeds, so it is none of the groups that were read
    assert differences(row, found)[1] == {"g"}


def test_a_seed_that_lacks_one_side_is_left_out():
    found = {"g": {"0": {"a": {"score": 1.0}, "b": {"score": 0.0}}}}
    found["g"] |= {"1": {"a": {"score": 9.0}}, "100": found["g"]["0"]}
    row = lab.judge(claim(), found)
    assert (row["seeds"], row["ours"], row["low"]) == (1, 1.0, None)
    assert row["verdict"] == "cannot tell"


def test_what_is_no_number_is_named():
    found = {"g": {"0": {"a": {"score": None}, "b": {"score": 0.0}}}}
    with pytest.raises(TypeError, match="expected a number in 'g/a/score', got None"):
        lab.judge(claim(), found)


TOML = """
[measures.points]
note = "Difference of the accuracy."
unit = "points"
margin = 0.05
why = "Less is nothing."

[first]
text = "A beats B."
paper = "Table 1"
measure = "points"
left = "g/a/score"
right = "g/b/score"

[second]
text = "A is twice B."
paper = ""
measure = "points"
margin = 0.2
left = "twice"
mechanism = "M."
check = {text = "A is above zero.", left = "g/a/score"}
"""


def test_claims_are_read_from_the_file_beside_the_recipe(tmp_path):
    (tmp_path / "toy.toml").write_text(TOML)
    twice = {"twice": lambda run: run["g"]["a"]["score"] - 2 * run["g"]["b"]["score"]}
    one, two = lab.read_claims(tmp_path / "toy.py", **twice)
    assert (one.id, one.margin, one.unit) == ("toy-first", 0.05, "points")
    assert (two.id, two.margin, two.left) == ("toy-second", 0.2, twice["twice"])
    assert two.check == Check(text="A is above zero.", left="g/a/score")
    make(gain=2.0, claims=[one, two]).run()
    assert [row["verdict"] for row in results("toy")["claims"]] == ["holds"] * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ('text = "A beats B."', 'txt = "A"'),
            "toy.toml, first: expected text, got txt",
        ),
        (('paper = "Table 1"\n', ""), "toy.toml, first: expected paper, got nothing"),
        (("margin = 0.05", "margin = 0.0"), "toy-first expected a margin above zero"),
        (("[first]", "[first"), "expected TOML in toy.toml"),
    ],
)
def test_a_wrong_file_of_claims_is_one_sentence(tmp_path, change, words):
    (tmp_path / "toy.toml").write_text(TOML.replace(*change))
    with pytest.raises(ValueError, match=words):
        lab.read_claims(tmp_path / "toy.py")


def test_a_claim_without_its_numbers_is_left_out_and_named(capsys):
    make(claims=[claim(left="g/c/score"), claim(id="toy-b")]).run()
    assert [row["id"] for row in results("toy")["claims"]] == ["toy-b"]
    assert "toy-a is left out: toy-a expected a seed" in capsys.readouterr().out


def test_a_mechanism_takes_five_seeds_to_show():
    found = {"g": {str(s): {"a": {"score": 1.0 + s}, "b": {"score": 0.0}}
                   for s in range(5)}}  # fmt: skip
    found["h"] = {str(s): 1.0 + s / 100 for s in range(4)}
    row = claim(check=Check(text="It is there.", left="h"))
    assert lab.judge(row, found)["check"]["shown"] is False
    found["h"]["4"] = 1.0
    assert lab.judge(row, found)["check"]["shown"] is True


def test_where_the_mechanism_is_absent_nothing_can_be_told():
    there = Check(text="A is above zero.", left="g/a/score")
    absent = Check(text="B is above A.", left="g/b/score", right="g/a/score")
    rows = [claim(check=there), claim(check=absent)]
    make(gain=2.0, claims=rows).run()
    one, other = results("toy")["claims"]
    assert (one["verdict"], one["check"]["shown"]) == ("holds", True)
    assert (other["verdict"], other["check"]["shown"]) == ("cannot tell", False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"margin": 0.0}, "margin above zero"),
        ({"why": " "}, "margin above zero and its reason"),
        ({"kind": "other"}, "difference or equality"),
        ({"headline": True, "mechanism": "M."}, "mechanism and its check"),
    ],
)
def test_a_claim_that_says_too_little_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        claim(**changes)
