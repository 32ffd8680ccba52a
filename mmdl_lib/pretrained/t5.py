"""T5 weights of version 1.0 from transformers' files: a folder, or the file in it."""

import re
from pathlib import Path

import torch
from torch import Tensor

from mmdl_lib.models.t5 import T5, T5Config
from mmdl_lib.pretrained import files, small

# their name -> ours
NAMES = [
    (r"^shared\.", "tokens."),
    (r"\.block\.(\d+)\.layer\.0\.SelfAttention\.relative_attention_bias\.",
     ".relative.table."),
    (r"\.block\.(\d+)\.layer\.0\.SelfAttention\.", r".blocks.\1.attention."),
    (r"\.block\.(\d+)\.layer\.1\.EncDecAttention\.", r".blocks.\1.cross."),
    (r"\.block\.(\d+)\.layer\.\d\.DenseReluDense\.wi\.", r".blocks.\1.fc1."),
    (r"\.block\.(\d+)\.layer\.\d\.DenseReluDense\.wo\.", r".blocks.\1.fc2."),
    (r"\.block\.(\d+)\.layer\.0\.layer_norm\.", r".blocks.\1.norm1."),
    (r"^decoder\.block\.(\d+)\.layer\.1\.layer_norm\.",
     r"decoder.blocks.\1.norm_cross."),
    (r"\.block\.(\d+)\.layer\.[12]\.layer_norm\.", r".blocks.\1.norm2."),
    (r"\.final_layer_norm\.", ".norm."),
    (r"\.(attention|cross)\.o\.", r".\1.out."),
]  # fmt: skip
# the one table under other names
REPEATED = ("lm_head.", "encoder.embed_tokens.", "decoder.embed_tokens.")


def load(source: str | Path) -> T5:
    """T5 in eval mode.

    Args:
        source: the path of a folder or file of transformers, or the name of a small net
            of this book.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, or one of another model, such as version 1.1.
    """
    path = files.locate(source)
    if not path.suffix or not path.exists():
        return small.load("t5", source)
    state, facts = files.read(path)
    if "config" in facts:
        return small.load("t5", path)
    ours, config = from_transformers(
        state, files.read_json(path.with_name("config.json"))
    )
    return files.fill(T5(config), ours, path)


def from_transformers(state: dict[str, Tensor], facts: dict):
    """Our names and the config; what no weight shows comes from `config.json`.

    Raises:
        ValueError: names, an activation or an output that are not those of version 1.0.
    """
    if "shared.weight" not in state:
        raise ValueError(
            "expected the names of T5 in transformers, got "
            f"{', '.join(list(state)[:3])}, ..."
        )
    kind = facts.get("feed_forward_proj", "relu")
    if kind != "relu" or not facts.get("tie_word_embeddings", True):
        raise ValueError(
            "expected T5 of version 1.0, with relu and one table of tokens, got "
            f"{kind!r}{'' if kind != 'relu' else ' and two tables'}."
        )
    ours = {}
    for name, value in state.items():
        if name.startswith(REPEATED):
            continue
        for pattern, new in NAMES:
            name = re.sub(pattern, new, name)
        ours[name] = value
    for name in [n for n in ours if n.endswith(".q.weight")]:
        start = name.removesuffix("q.weight")
        q, k, v = (ours.pop(f"{start}{part}.weight") for part in "qkv")
        if start.endswith("cross."):
            ours[f"{start}q.weight"] = q
            ours[f"{start}kv.weight"] = torch.cat([k, v])
        else:
            ours[f"{start}qkv.weight"] = torch.cat([q, k, v])
    vocab, width = ours["tokens.weight"].shape
    buckets, heads = ours["encoder.relative.table.weight"].shape
    inner = len(ours["encoder.blocks.0.attention.qkv.weight"]) // 3
    config = T5Config(
        vocab=vocab,
        width=width,
        inner=len(ours["encoder.blocks.0.fc1.weight"]),
        depth=len([n for n in ours if re.match(r"encoder.*\.fc1", n)]),
        heads=heads,
        head_width=inner // heads,
        buckets=buckets,
        farthest=facts.get("relative_attention_max_distance", 128),
        dropout=facts.get("dropout_rate", 0.1),
        epsilon=facts.get("layer_norm_epsilon", 1e-6),
    )
    return ours, config
