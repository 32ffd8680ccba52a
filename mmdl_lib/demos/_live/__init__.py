"""The live form of each demo: `_live/<name>.py` has a class `Widget`."""
