"""Make several targets, one after the other, and say how long each took.

Command: python tools/seconds.py TARGET ...
Stops at the first target that fails; the seconds are said all the same.
"""

import os
import subprocess
import sys
import time


def main(targets: list[str]) -> int:
    """The exit status of the last target made."""
    make, code, took = os.environ.get("MAKE", "make"), 0, {}
    for target in targets:
        began = time.perf_counter()
        code = subprocess.run([make, "--no-print-directory", target]).returncode
        took[target] = time.perf_counter() - began
        if code:
            break
    for part, seconds in (took | {"together": sum(took.values())}).items():
        print(f"{seconds:6.0f} s  {part}", flush=True)
    if code:
        print(f"Expected {target} to succeed, got exit status {code}.")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
