"""Imported once by the process that is copied for each answer (`_recheck.py`)."""

from mmdl_lib.exercises._cage import warm_up

warm_up()
