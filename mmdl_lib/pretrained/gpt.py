"""GPT weights: ours, and those of transformers for GPT-1 and GPT-2.

Public files come as a folder, `.safetensors` or `.bin`, with a `config.json` beside it.
Their matrices stand the other way round: input first (their class is `Conv1D`).
"""

import re
from pathlib import Path

from torch import Tensor

from mmdl_lib.models.gpt import GPT, GPTConfig
from mmdl_lib.pretrained import files, small


def load(source: str | Path = "verses") -> GPT:
    """GPT in eval mode.

    Args:
        source: "verses" for the small model of this book, or the path of a public
            checkpoint.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, one of another model, or an activation that is none
            of GPT's.
    """
    path = files.locate(source)
    if not path.suffix or not path.exists():
        return small.load("gpt", source)
    state, facts = files.read(path)
    if "config" in facts:
        return small.load("gpt", path)
    ours, config = from_transformers(
        state, files.read_json(path.with_name("config.json"))
    )
    return files.fill(GPT(GPTConfig(**config)), ours, path)


# transformers' name -> ours; first GPT-2's, then what GPT-1 calls otherwise
NAMES = [
    (r"^transformer\.", ""),
    (r"^(wte|tokens_embed)\.weight$", "tokens.weight"),
    (r"^(wpe|positions_embed)\.weight$", "positions.table"),
    (r"^h\.", "transformer.blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.attn\.c_attn\.", ".attention.qkv."),
    (r"\.attn\.c_proj\.", ".attention.out."),
    (r"\.mlp\.c_fc\.", ".fc1."),
    (r"\.mlp\.c_proj\.", ".fc2."),
    (r"^ln_f\.", "norm."),
]
# the causal mask as older files hold it, and the tied head
LEFT_OUT = re.compile(r"(\.attn\.(masked_)?bias|^lm_head\.weight)$")
TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")


def from_transformers(state: dict[str, Tensor], facts: dict):
    """Our names and the config; what no weight shows comes from `config.json`."""
    ours = {}
    for name, value in state.items():
        if LEFT_OUT.search(name):
            continue
        for pattern, new in NAMES:
            name = re.sub(pattern, new, name)
        turned = re.search(r"\.(qkv|out|fc1|fc2)\.weight$", name)
        ours[name] = value.T if turned else value
    if not {"tokens.weight", "positions.table"} <= ours.keys():
        raise ValueError(
            "expected the names of a GPT-1 or GPT-2 of transformers, got "
            f"{', '.join(list(state)[:3])}, ..."
        )
    pre = "norm.weight" in ours
    # GPT-1's own config calls the tanh form "gelu", and means it
    used = facts.get("activation_function", facts.get("afn", "gelu_new"))
    if used not in (TANH_GELU if pre else (*TANH_GELU, "gelu")):
        raise ValueError(f"expected a GPT with the tanh gelu, got {used!r}.")
    if facts.get("layer_norm_epsilon", 1e-5) != 1e-5:
        raise ValueError(
            "expected a GPT whose norms have an epsilon of 1e-5, got "
            f"{facts['layer_norm_epsilon']}."
        )
    vocab, width = ours["tokens.weight"].shape
    depth = len({n.split(".")[2] for n in ours if n.startswith("transformer.blocks.")})
    return ours, {
        "vocab": vocab,
        "context": len(ours["positions.table"]),
        "width": width,
        "depth": depth,
        "heads": facts.get("n_head", width // 64),
        "norm": "pre" if pre else "post",
    }
