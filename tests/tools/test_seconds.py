"""Parts of a long test, and how long each took."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = "one:\n\t@echo did one\ntwo:\n\t@false\nthree:\n\t@echo did three\n"


def run(folder, *targets):
    (folder / "Makefile").write_text(MAKEFILE)
    command = [sys.executable, str(ROOT / "tools/seconds.py"), *targets]
    place = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=folder, env=place, capture_output=True, text=True
    )
    return done.returncode, done.stdout


def test_every_part_is_made_and_its_seconds_are_said(tmp_path):
    code, text = run(tmp_path, "one", "three")
    assert code == 0
    assert [line.split(" s  ")[1] for line in text.splitlines()[-3:]] == [
        "one",
        "three",
        "together",
    ]
    assert "did one" in text and "did three" in text


def test_a_part_that_fails_is_the_last_and_its_status_that_of_all(tmp_path):
    code, text = run(tmp_path, "one", "two", "three")
    assert code == 2 and "did three" not in text
    assert "Expected two to succeed, got exit status 2." in text
    assert " s  two" in text
