"""Trained weights by name; the only place that knows other libraries' names."""

from pathlib import Path

from mmdl_lib.pretrained import clip as _clip
from mmdl_lib.pretrained import resnet as _resnet

LOADERS = {"clip": _clip.load, "resnet": _resnet.load}


def load(slug: str, source: str | Path, **options):
    """A trained model in eval mode, and its tokenizer where it reads text.

    Args:
        slug: the model file's name, such as "clip".
        source: a name of small weights that ship with the library ("shapes", "emoji"),
            or the path of a public checkpoint.
        options: passed to the model's own loader, e.g. `mmdl_lib.pretrained.clip.load`.

    Raises:
        ValueError: an unknown slug, or a file that is damaged or of another kind.
        FileNotFoundError: no such weights.

    Example:
        >>> model, tokenizer = load("clip", "shapes")
        >>> model.encode_text(*tokenizer(["a red circle"])).shape
        torch.Size([1, 64])
    """
    if slug not in LOADERS:
        raise ValueError(f"expected one of {', '.join(LOADERS)} as slug, got {slug!r}.")
    return LOADERS[slug](source, **options)
