"""Trained weights by name; the only place that knows other libraries' names."""

from importlib.util import find_spec
from pathlib import Path

from mmdl_lib.pretrained import bert as _bert
from mmdl_lib.pretrained import clip as _clip
from mmdl_lib.pretrained import efficientnet as _efficientnet
from mmdl_lib.pretrained import gpt as _gpt
from mmdl_lib.pretrained import small
from mmdl_lib.pretrained import t5 as _t5
from mmdl_lib.pretrained import vit as _vit
from mmdl_lib.pretrained.small import save

__all__ = ["load", "save"]

# models that also read public checkpoints, or come with a tokenizer
LOADERS = {
    "bert": _bert.load,
    "clip": _clip.load,
    "efficientnet": _efficientnet.load,
    "gpt": _gpt.load,
    "t5": _t5.load,
    "vit": _vit.load,
}


def load(slug: str, source: str | Path = "shapes", **options):
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
    if slug in LOADERS:
        return LOADERS[slug](source, **options)
    if not slug.isidentifier() or find_spec(f"mmdl_lib.models.{slug}") is None:
        models = Path(__file__).resolve().parents[1] / "models"
        known = sorted(p.stem for p in models.glob("[!_]*.py"))
        raise ValueError(f"expected one of {', '.join(known)} as slug, got {slug!r}.")
    return small.load(slug, source)
