"""Small weights of this book: a recipe writes them, everybody reads them by name."""

import importlib
import inspect
import json
import os
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mmdl_lib.core import Model

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def save(model: Model, slug: str, source: str = "shapes") -> Path:
    """Write a model's weights in half precision, with its config beside them.

    The file is complete or not there: it is written under another name first.

    Args:
        model: a model of `mmdl_lib.models.<slug>`.
        slug: the model file's name.
        source: what the weights were trained on; names the file with the slug.
    """
    state = {
        name: (v.half() if v.is_floating_point() else v).cpu().contiguous()
        for name, v in model.state_dict().items()
    }
    path = WEIGHTS / f"{slug}_{source}.safetensors"
    part = path.with_name(path.name + ".part")
    save_file(state, part, metadata={"config": json.dumps(asdict(model.config))})
    os.replace(part, path)
    return path


def load(slug: str, source: str | Path = "shapes") -> Model:
    """A model of `mmdl_lib.models.<slug>` with weights that `save` wrote, in eval mode.

    Args:
        slug: the model file's name.
        source: what the weights were trained on, or the path of a file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, or one that no recipe of this model wrote.
    """
    path = Path(source)
    if not path.suffix:
        path = WEIGHTS / f"{slug}_{source}.safetensors"
    if not path.exists():
        raise FileNotFoundError(
            f"expected trained weights at {path}: run `python recipes/{slug}.py`."
        )
    kind = model_class(slug)
    try:
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = kind(_config(next(iter(kind.PRESETS.values())), config))
        model.load_state_dict(state)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"expected weights written by recipes/{slug}.py in {path}, got a damaged "
            "or foreign file: run the recipe again."
        ) from error
    return model.eval()


def model_class(slug: str) -> type[Model]:
    """The one model of a model file."""
    module = importlib.import_module(f"mmdl_lib.models.{slug}")
    (kind,) = (
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Model)
        and value.__module__ == module.__name__
    )
    return kind


def _config(example, values: dict):
    """Rebuild a config of the example's type; JSON knows neither tuples nor classes."""
    known = {field.name: getattr(example, field.name) for field in fields(example)}
    return type(example)(
        **{
            name: _config(known[name], value)
            if is_dataclass(known[name])
            else _tuples(value)
            for name, value in values.items()
        }
    )


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
