"""Small weights of this book: a recipe writes them, everybody reads them by name."""

import importlib
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from mmdl_lib.core import Config, Model
from mmdl_lib.pretrained import files

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
# files that another recipe than that of the model's chapter writes
WRITERS = {
    "attngan_shapes": "text_gans_table",
    "bert_colors": "imagen",
    "dvae_two-things": "flava",
    "flava_two-things": "flava",
    "gan_int_cls_shapes": "gan_int_cls_table",
    "glide_shapes-inpaint": "glide_further",
    "glide_shapes-upsampler": "glide_further",
    "show_attend_tell_shapes": "captioning_looks",
    "vit_vqgan_clipart": "vit_vqgan",
    "vit_vqgan_large-object": "vit_vqgan",
    "vqvae_shapes-long": "vae_claims",
}


def save(
    model: Model,
    slug: str,
    source: str = "shapes",
    *,
    words: Sequence[str] | None = None,
) -> Path:
    """Write a model's weights with its config and a digest of both.

    Parameters are halved; buffers stay as they are, because a schedule's 1 - alpha_bar
    would become 0 and a running variance infinite.

    Args:
        model: a model of `mmdl_lib.models.<slug>`.
        slug: the model file's name.
        source: what the weights were trained on; names the file with the slug.
        words: the tokenizer's, for a model that reads text.

    Raises:
        ValueError: NaN, infinity, a parameter too large for half precision, or a model
            of another file.
    """
    facts = {"config": model.config.to_dict(), "model": _name(model, slug)}
    if words is not None:
        facts["words"] = list(words)
    path = WEIGHTS / f"{slug}_{source}.safetensors"
    files.write(path, _halved(model), facts)
    return path


def _name(model: Model, slug: str) -> str:
    """Its class in the model file; recipes may train a subclass that takes notes."""
    for kind in type(model).__mro__:
        if kind.__module__ == f"mmdl_lib.models.{slug}":
            return kind.__name__
    raise ValueError(
        f"expected a model of mmdl_lib.models.{slug}, got {type(model).__name__}."
    )


def _halved(model: Model) -> dict[str, Tensor]:
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    state = {}
    for name, value in model.state_dict().items():
        half = name in parameters and value.is_floating_point()
        kind = torch.float16 if half else value.dtype
        # copies, because the format refuses tensors that share their memory
        state[name] = value.to("cpu", kind, copy=True)
    return state


def load(slug: str, source: str | Path = "shapes") -> Model:
    """A model of `mmdl_lib.models.<slug>` with weights that `save` wrote, in eval mode.

    Args:
        slug: the model file's name.
        source: what the weights were trained on, or the path of a file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, or one that no recipe of this model wrote.
    """
    return load_with_facts(slug, source)[0]


def load_with_facts(slug: str, source: str | Path) -> tuple[Model, dict]:
    """The same, with what else the file says, such as the tokenizer's words."""
    path = Path(source)
    if not path.suffix:
        path = WEIGHTS / f"{slug}_{source}.safetensors"
    if not path.exists():
        writer = recipe(slug, path.stem)
        raise FileNotFoundError(
            f"expected trained weights at {path}: run `python {writer}`."
        )
    try:
        state, facts = files.read(path)
        kind = model_class(slug, facts.get("model"))
        model = kind(config(kind, facts["config"]))
        model.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"expected weights written by {recipe(slug, path.stem)} in {path}, got a "
            "damaged or foreign file: run the recipe again."
        ) from error
    return model.eval(), facts


def seal(slug: str, path: str | Path) -> None:
    """Write a file of this book anew in the present form: same tensors, a digest."""
    state, facts = files.read(path)
    kind = model_class(slug, facts.get("model"))
    facts |= {"config": config(kind, facts["config"]).to_dict(), "model": kind.__name__}
    files.write(path, state, facts)


def recipe(slug: str, name: str) -> str:
    """The recipe that writes a file, mostly that of the chapter in its docstring."""
    if name in WRITERS:
        return f"recipes/{WRITERS[name]}.py"
    said = importlib.import_module(f"mmdl_lib.models.{slug}").__doc__ or ""
    chapter = re.search(r"^\*\*Book\*\* `sec-(\w+)`", said, re.M)
    return f"recipes/{chapter[1] if chapter else slug}.py"


def model_class(slug: str, name: str | None = None) -> type[Model]:
    """The model of a model file; by name where a file has several.

    Raises:
        ValueError: no such model, or several and no name.
    """
    module = importlib.import_module(f"mmdl_lib.models.{slug}")
    found = {
        label: value
        for label, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Model)
        and value.__module__ == module.__name__
    }
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        raise ValueError(f"expected one of {', '.join(found)} as model, got {name!r}.")
    return found[name]


def config(kind: type[Model], values: dict) -> Config:
    """The config of a file, also one written before configs named their classes."""
    example = next(iter(kind.PRESETS.values()))
    return type(example).from_dict(_with_kinds(type(example), values))


def _with_kinds(kind: type[Config], values: dict) -> dict:
    """Name the class of each config inside, which its fields give away."""
    hints, named = get_type_hints(kind), dict(values)
    for name, value in values.items():
        if not isinstance(value, dict) or "class" in value or name not in hints:
            continue
        hint = hints[name]
        union = get_origin(hint) in (Union, UnionType)
        options = [
            one
            for one in (get_args(hint) if union else [hint])
            if isinstance(one, type) and issubclass(one, Config)
        ]
        fit = [one for one in options if {f.name for f in fields(one)} >= {*value}]
        if len(fit) == 1:
            named[name] = {"class": fit[0].__name__} | _with_kinds(fit[0], value)
    return named
