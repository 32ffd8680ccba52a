"""ResNet weights of this book."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mmdl_lib.models.resnet import ResNet, ResNetConfig

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def load(source: str | Path = "shapes") -> ResNet:
    """The tiny net of `recipes/resnet.py` in eval mode.

    Args:
        source: "shapes", or the path of a file that the recipe wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, or one that the recipe did not write.
    """
    path = WEIGHTS / "resnet.safetensors" if source == "shapes" else Path(source)
    if not path.exists():
        raise FileNotFoundError(
            f"expected trained weights at {path}: run "
            "`python recipes/resnet.py weights`."
        )
    try:
        with safe_open(path, "pt") as file:
            config = json.loads(file.metadata()["config"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"expected weights written by recipes/resnet.py in {path}, got a damaged "
            "or foreign file: run the recipe again."
        ) from error
    config["stages"] = tuple(config["stages"])
    model = ResNet(ResNetConfig(**config))
    model.load_state_dict(state)
    return model.eval()
