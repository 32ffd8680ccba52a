"""Trained weights by name; the only place that reads weight files."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.models.clip import CLIP, CLIPConfig, ResNetConfig

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def clip(path: str | Path = WEIGHTS / "clip.safetensors") -> tuple[CLIP, WordTokenizer]:
    """The tiny CLIP of `recipes/clip.py` in eval mode, and its tokenizer.

    Args:
        path: the recipe's file; its metadata holds config and vocabulary.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, or one that the recipe did not write.
    """
    if not Path(path).exists():
        raise FileNotFoundError(
            f"expected trained weights at {path}: run `python recipes/clip.py` to "
            "make them."
        )
    try:
        with safe_open(path, "pt") as file:
            facts = file.metadata()
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = json.loads(facts["config"])
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(
            f"expected weights written by recipes/clip.py in {path}, got a damaged or "
            "foreign file: run the recipe again."
        ) from error
    vision = config.pop("vision")
    vision["blocks"] = tuple(vision["blocks"])
    model = CLIP(CLIPConfig(**config, vision=ResNetConfig(**vision)))
    model.load_state_dict(state)
    words = facts["words"].split(" ")
    return model.eval(), WordTokenizer(words, length=model.config.context)
