"""One metric, one file: pure functions that return the field's own numbers.

A metric takes predictions and truth and returns plain numbers. Its docstring holds the
formula, the source, the range, the implementation that the field uses with its quirks,
and an example by hand; `tests/parity/` compares the two.
"""
