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
from mmdl_lib.record import keep, results
from tests.lab import arms
from tests.lab.making import claim, make

ROOT = Path(__file__).resolve().parents[2]


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
    assert "bad:1 failed: ValueError: expected rain, got sun. (arms.py:" in said
    assert "expected a finite number to keep, got nan" in said


def test_debug_raises_the_failure_itself():
    with pytest.raises(ValueError, match="expected rain, got sun"):
        lab.Lab("toy", groups={"bad": arms.broken}).run(jobs=2, debug=True)
    assert set(results("toy")["bad"]) == {"0"}


def test_a_failing_arm_is_tried_once_and_gets_no_more_seeds(folder):
    folder.mkdir()
    a = {"a": partial(arms.number, spread=1.0), "b": arms.number}
    groups = {"g": a, "bad": partial(arms.counted, folder=folder)}
    rows = [claim(), claim(id="toy-b", left="bad/score", right="g/a/score")]
    lab.Lab("toy", groups=groups, claims=rows).run()
    assert len(results("toy")["g"]) == 16
    assert (folder / "tries").read_text() == "0 1 2 3 4 "


def test_a_claim_of_a_failing_group_asks_for_no_more_seeds():
    groups = {"g": {"a": arms.broken, "b": partial(arms.number, spread=1.0)}}
    lab.Lab("toy", groups=groups, claims=[claim()]).run()
    assert len(results("toy")["g"]) == 5


def test_a_cut_leaves_arms_with_equal_seeds(folder):
    folder.mkdir()
    slow = partial(arms.slow, folder=folder, seconds=0.3)
    made = lab.Lab("toy", groups={"g": slow, "h": slow}, budget=0.8 / 60)
    made.run()
    assert results("toy")["g"].keys() <= {"0", "1"}
    assert abs(len(results("toy")["g"]) - len(results("toy")["h"])) <= 1


def test_the_order_of_runs_does_not_change_their_numbers():
    made = lab.Lab("toy", groups={"g": arms.drawn, "h": arms.drawn})
    made.run()
    found = results("toy")
    assert found["g"] == found["h"]
    made.run(["h:3"], fresh=True)
    assert results("toy")["h"]["3"] == found["h"]["3"]


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
import os
from functools import partial
from mmdl_lib import core, lab
from tests.lab import arms

def own(seed):
    # late runs are long enough to be stopped on a busy machine, and only once
    late = seed > 1 and not os.path.exists({folder!r} + "/again")
    return arms.slow(seed, folder={folder!r}, seconds=5 if late else 0.2)

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
        [sys.executable, str(path), *words],
        env=environment,
        stdout=subprocess.PIPE,
        preexec_fn=listen,
    )


def listen():
    """Tests that run in the background of a shell have inherited that nobody listens to
    an interrupt."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_the_end_of(workers):
    """Workers end with their parent, whatever ended it."""
    for _ in range(300):
        if not [pid for pid in workers if Path(f"/proc/{pid}/cmdline").exists()
                and Path(f"/proc/{pid}/cmdline").read_bytes()]:  # fmt: skip
            return
        time.sleep(0.1)
    raise AssertionError(f"workers {workers} are still there")


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
    begun = {p: p.stat().st_mtime_ns for p in folder.glob("began-*")}
    assert len(begun) < 5
    wait_for_the_end_of({int(path.read_text()) for path in begun})
    (folder / "again").touch()
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


def test_the_next_seeds_are_exact_where_no_claim_needs_them():
    more = {"a": partial(arms.number, spread=1.0), "b": arms.number}
    made = lab.Lab("toy", groups={"g": more}, claims=[claim()], exact={"g": 2})
    made.run()
    assert set(results("toy")["g"]) == {"0", "1"}


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
