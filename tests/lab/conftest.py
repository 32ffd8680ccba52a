"""Each test of the laboratory writes into a folder of its own."""

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MMDL_RESULTS", str(tmp_path / "results"))
    for name in ("MMDL_SMOKE", "MMDL_PROFILE", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path / "results"
