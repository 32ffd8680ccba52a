"""Write the file that `mmdl_lib.data.things` reads.

    python tools/things_data.py mmdl_lib/data    (needs WordNet: Debian's wordnet-base;
    the drawings of two artists: npm install; EfficientNet-Lite0)

It holds the things of `mmdl_lib.lab.grounded`: words, features of another artist's
picture, the mean color of the first artist's, and WordNet's topic. Features are reduced
to a few directions that were found on other pictures, which show none of the things.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from mmdl_lib.data import emoji
from mmdl_lib.lab import grounded as gr

WIDTH = 50  # directions that are kept
OTHERS = 1000  # pictures of no thing, which say what the directions are


def directions(name: np.ndarray) -> PCA:
    """Directions of most variance among features of pictures that show no thing."""
    drawn = emoji.load(style="noto", size=128)
    known = set(name.tolist())
    free = [i for i, names in enumerate(drawn.names) if names["en"] not in known]
    order = np.random.default_rng(0).permutation(free)[:OTHERS]
    return PCA(WIDTH, svd_solver="full").fit(gr._seen(drawn.image[order.tolist()]))


def main(target: Path) -> None:
    things = gr.things()
    axes = directions(things.name)
    seen = axes.transform(things.picture)
    topics = sorted(set(gr.TOPICS.values()))
    topic = [topics.index(t) if t else -1 for t in things.topic]
    letters = "\n".join(things.name.tolist()).encode("utf-8")
    np.savez_compressed(
        target / "things.npz",
        words=np.frombuffer(letters, np.uint8),
        picture=seen.astype(np.float16),
        color=things.color.astype(np.float16),
        topic=np.array(topic, np.int8),
        topics=np.frombuffer("\n".join(topics).encode(), np.uint8),
    )
    kept = seen.var(0).sum() / things.picture.var(0).sum()
    print(f"{len(seen)} things; {kept:.0%} of their pictures' variance is kept")


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("expected one folder: python tools/things_data.py mmdl_lib/data")
    main(Path(sys.argv[1]))
