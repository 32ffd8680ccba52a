"""A training step of DALL-E beside that of transformers' GPT-2 of equal size.

Run: python benchmarks/dalle_step.py

Both sides run in one process, in turns, with one thread, on rows of equal length,
without dropout: forward, loss, backward, AdamW. GPT-2 has one head over all tokens,
ours one for words and one for codes; its vocabulary is that of our codes, so that the
counts of parameters agree within one percent. Printed as in `vision_steps.py`; a step
may take 1.02 times as long as theirs.
"""

import statistics

import torch
from language_steps import same_size
from vision_steps import measure, step

ROWS, ALLOWED = 16, 1.02


def dalle():
    from transformers import GPT2Config, GPT2LMHeadModel

    from mmdl_lib.models.dalle import DALLE, DALLEConfig

    config = DALLEConfig(
        vocab=48, text=16, codes=512, grid=8, width=128, depth=4, heads=4,
        attention="full",
    )  # fmt: skip
    ours = DALLE(config)
    length = config.text + config.grid**2
    sizes = {"n_embd": 128, "n_layer": 4, "n_head": 4, "n_positions": length}
    drops = {"resid_pdrop": 0.0, "attn_pdrop": 0.0, "embd_pdrop": 0.0}
    ids = {"bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0}
    free = {"vocab_size": 576, "tie_word_embeddings": False}
    peer = GPT2LMHeadModel(GPT2Config(**free, **sizes, **drops, **ids))
    same_size(ours, peer)
    batch = DALLE.example_batch(config, ROWS)
    tokens = torch.randint(576, (ROWS, length))
    return (
        step(ours, lambda: ours.loss(batch)["loss"]),
        step(peer, lambda: peer(input_ids=tokens, labels=tokens).loss),
    )


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    times = measure(*dalle())
    ours, peer = (statistics.median(side) for side in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    verdict = "ok" if ratio <= ALLOWED else f"above {ALLOWED}"
    print(
        f"dalle: ours {1e3 * ours:.2f} ms, peer {1e3 * peer:.2f} ms, ratio {ratio:.3f} "
        f"of {len(times)} pairs ({verdict})"
    )


if __name__ == "__main__":
    main()
