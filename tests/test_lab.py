"""The laboratory: resumed, stopped by precision, judged by numbers made by hand."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from mmdl_lib import core, lab
from mmdl_lib.lab import Check, Claim, stamps
from mmdl_lib.record import keep, results
from tests import lab_arms as arms

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MMDL_RESULTS", str(tmp_path / "results"))
    for name in ("MMDL_SMOKE", "MMDL_PROFILE", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path / "results"


def claim(**changes):
    facts = {"id": "toy-a", "text": "A beats B.", "paper": "no number", "note": "N."}
    facts |= {"unit": "points", "left": "g/a/score", "right": "g/b/score"}
    return Claim(**facts | {"margin": 0.05, "why": "Less is nothing."} | changes)


def make(*, gain=1.0, spread=0.0, claims=None, **options):
    """Two arms whose differences are `gain` plus and minus `spread`."""
    a = partial(arms.number, gain=gain, spread=spread)
    claims = [claim()] if claims is None else claims
    return lab.Lab("toy", groups={"g": {"a": a, "b": arms.number}}, claims=claims,
                   **options)  # fmt: skip


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


def test_seeds_are_added_until_the_half_width_is_below_the_margin():
    # deviation about 0.06: with n seeds the half-width is about t(n - 1) 0.06 / root n
    make(spread=0.06).run()
    (row,) = results("toy")["claims"]
    assert (row["high"] - row["low"]) / 2 <= 0.05
    assert row["seeds"] == 9  # 8 seeds still give 0.0536, worked out by hand


def test_precision_and_not_direction_ends_the_seeds():
    for slug_gain in (0.5, -0.5, 0.0):
        make(gain=slug_gain, spread=0.06).run(fresh=True)
        assert results("toy")["claims"][0]["seeds"] == 9


def test_no_more_than_sixteen_seeds_are_added():
    make(spread=1.0).run()
    assert results("toy")["claims"][0]["seeds"] == 16


def test_a_fixed_number_of_seeds_is_exact():
    make(spread=1.0).run(seeds=3)
    (row,) = results("toy")["claims"]
    assert (row["seeds"], row["verdict"]) == (3, "cannot tell")


def test_only_groups_of_wide_claims_get_more_seeds():
    more = {"g": {"a": partial(arms.number, spread=0.06), "b": arms.number}}
    lab.Lab("toy", groups=more | {"h": arms.number}, claims=[claim()]).run()
    assert (len(results("toy")["g"]), len(results("toy")["h"])) == (9, 5)


def test_the_budget_ends_new_runs_and_counts_earlier_calls(folder, capsys):
    slow = {"g": partial(arms.slow, folder=folder, seconds=0.3)}
    folder.mkdir()
    short = lab.Lab("toy", groups=slow, budget=0.5 / 60)
    short.run()
    assert set(results("toy")["g"]) == {"0", "1"}  # the second began before the end
    assert "3 runs left out" in capsys.readouterr().out
    short.run()
    assert set(results("toy")["g"]) == {"0", "1"}
    short.run(budget=60)
    assert len(results("toy")["g"]) == 5


def test_what_is_there_is_not_measured_again(folder):
    folder.mkdir()
    slow = {"g": partial(arms.slow, folder=folder, seconds=0)}
    keep("toy", "g", 0, value={"score": 7.0})
    lab.Lab("toy", groups=slow).run()
    assert results("toy")["g"]["0"] == {"score": 7.0}
    assert sorted(p.name for p in folder.glob("began-*")) == [
        f"began-{s}" for s in range(1, 5)
    ]


def test_a_failing_arm_is_one_sentence_and_the_others_go_on(capsys):
    made = lab.Lab("toy", groups={"bad": arms.broken, "nan": arms.not_a_number,
                                  "good": arms.number})  # fmt: skip
    assert made.run() == 6
    assert set(results("toy")["bad"]) == {"0", "2", "3", "4"}
    assert len(results("toy")["good"]) == 5
    assert "nan" not in results("toy")
    said = capsys.readouterr().err
    assert "bad:1 failed: ValueError: expected rain, got sun. (lab_arms.py:" in said
    assert "expected a finite number to keep, got nan" in said


def test_workers_give_the_numbers_of_this_process():
    make(spread=0.01).run()
    here = results("toy")["g"]
    make(spread=0.01).run(jobs=2, fresh=True)
    assert results("toy")["g"] == here


def test_a_worker_that_dies_takes_no_other_run_with_it(capsys):
    made = lab.Lab("toy", groups={"bad": arms.deadly, "good": arms.number})
    assert made.run(jobs=2) == 1
    assert set(results("toy")["bad"]) == {"0", "2", "3", "4"}
    assert len(results("toy")["good"]) == 5
    assert "bad:1 failed: its worker process died." in capsys.readouterr().err


RECIPE = """
from functools import partial
from mmdl_lib import core, lab
from tests import lab_arms

def own(seed):
    return lab_arms.slow(seed, folder={folder!r})

LAB = lab.Lab("toy", groups={{"g": own}})
if __name__ == "__main__":
    LAB.main()
"""


def start(folder, *words):
    folder.mkdir(exist_ok=True)
    path = folder.parent / "toy.py"
    path.write_text(RECIPE.format(folder=str(folder)))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(path), *words], env=environment, stdout=subprocess.PIPE
    )


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_recipe_that_is_stopped_goes_on_where_it_was(folder, stop):
    process = start(folder, "--jobs", "2")
    for line in process.stdout:
        if line.startswith(b"g:1"):
            break
    process.send_signal(stop)
    process.wait()
    before = set(results("toy")["g"])
    assert before >= {"1"}
    assert len(before) < 5
    time.sleep(1)  # workers end with their parent: nobody begins another run
    begun = {p: p.stat().st_mtime_ns for p in folder.glob("began-*")}
    assert len(begun) < 5 or stop == signal.SIGKILL
    assert start(folder).wait() == 0
    assert set(results("toy")["g"]) == {"0", "1", "2", "3", "4"}
    again = {p for p, t in begun.items() if p.stat().st_mtime_ns != t}
    assert {p.name for p in again} == {
        p.name for p in begun if p.name[6:] not in before
    }


def test_two_recipes_may_write_together(folder):
    both = [start(folder, f"g:{s}") for s in (1, 2)]
    assert [p.wait() for p in both] == [0, 0]
    assert set(results("toy")["g"]) == {"1", "2"}


def test_pilots_stand_apart_and_are_never_reported():
    made = make()
    made.run(["g:100", "g:101", "g", "summary"])
    assert set(results("pilots/toy")["g"]) == {"100", "101"}
    assert set(results("toy")["g"]) == {"0", "1", "2", "3", "4"}
    assert results("toy")["claims"][0]["seeds"] == 5


def test_a_gpus_numbers_are_never_mixed_with_a_cpus(monkeypatch):
    monkeypatch.setenv("MMDL_PROFILE", "gpu")
    make(gain=3.0).run(seeds=5)
    monkeypatch.setenv("MMDL_PROFILE", "cpu")
    make(gain=1.0).run(seeds=5)
    assert results("gpu/toy")["claims"][0]["ours"] == pytest.approx(3)
    assert results("toy")["claims"][0]["ours"] == pytest.approx(1)


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


def test_claims_may_be_picked_from_what_was_measured(capsys):
    made = make(claims=lambda whole: [claim(note=f"{len(whole['g'])} seeds")])
    made.run(["summary"])
    assert "no claims yet" in capsys.readouterr().out
    made.run()
    assert results("toy")["claims"][0]["note"] == "5 seeds"


def test_a_claim_without_its_numbers_is_left_out_and_named(capsys):
    make(claims=[claim(left="g/c/score"), claim(id="toy-b")]).run()
    assert [row["id"] for row in results("toy")["claims"]] == ["toy-b"]
    assert "toy-a is left out: toy-a expected a seed" in capsys.readouterr().out


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


@pytest.mark.parametrize("name", ["claims", "stamps", "summary", "a:b"])
def test_a_name_that_the_file_needs_is_refused(name):
    with pytest.raises(ValueError, match="names of their own"):
        lab.Lab("toy", groups={name: arms.number})


@pytest.mark.parametrize(
    "words", [["other"], ["g:x"], ["w:1"], ["g", "--jobs", "0"], ["--seeds", "-1"]]
)
def test_a_wrong_word_on_the_command_line_is_one_sentence(words, capsys):
    made = make(once={"w": lambda: 1})
    with pytest.raises(SystemExit) as stopped:
        made.main(words)
    assert stopped.value.code == 2
    assert "expected" in capsys.readouterr().err.splitlines()[-1]


def test_what_is_measured_once_is_measured_once():
    counted = []
    made = make(once={"weights": lambda: counted.append(1) or {"accuracy": 0.5}})
    made.run()
    made.run()
    assert results("toy")["weights"] == {"accuracy": 0.5}
    assert len(counted) == 1
    made.run(["weights"], fresh=True)
    assert len(counted) == 2


def test_a_smoke_run_is_short_and_leaves_the_results_alone(folder, capsys, monkeypatch):
    kept = {}
    monkeypatch.setattr(lab.runs.pretrained, "save", lambda *a: kept.update(saved=a))

    def arm(seed):
        kept[seed] = lab.short(5000), lab.short(40), lab.short(1)
        lab.save_weights(core.Model(None), "toy")
        return 1.0

    with pytest.raises(SystemExit) as ended:
        lab.Lab("toy", groups={"g": arm}).main(["--smoke"])
    assert ended.value.code == 0
    assert kept == {0: (50, 2, 1)}
    assert not (folder / "toy.json").exists()
    monkeypatch.delenv("MMDL_SMOKE")
    assert lab.short(5000) == 5000


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

    start = 'def arm(seed):\n    "Words."\n    return 1\nC = [Claim(margin=1)]\n'
    assert of(start) == of(start.replace("Words", "Others").replace("(margin=1", "("))
    assert of(start) == of("# a comment\n" + start)
    assert of(start) != of(start.replace("return 1", "return 2"))


def test_rows_are_a_pure_function_of_the_step():
    import torch

    image = torch.arange(48, dtype=torch.uint8).view(4, 3, 2, 2)
    batches = lab.rows(5, 1, image=image, label=torch.arange(4))
    one, again = batches(3), batches(3)
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert not torch.equal(one["label"], batches(4)["label"])
    pixels = (image.float() / 127.5 - 1)[one["label"]]
    assert torch.allclose(one["image"], pixels, atol=1e-6)
    with pytest.raises(ValueError, match="one length"):
        lab.rows(5, 1, image=image, label=torch.arange(3))


def test_running_statistics_become_plain_means():
    import torch

    norm = torch.nn.BatchNorm1d(2, momentum=0.3)
    parts = torch.randn(3, 8, 2).unbind()
    lab.recalibrate(norm, parts)
    expected = torch.stack([part.mean(0) for part in parts]).mean(0)
    assert torch.allclose(norm.running_mean, expected, atol=1e-6)
    assert (norm.momentum, norm.training) == (0.3, False)
