"""Training steps and generation of our language models beside transformers'.

Run: python benchmarks/language_steps.py [case ...]

Both sides run in one process, in turns, with one thread, at the same sizes, on the same
batch, without dropout: forward, loss, backward, AdamW; or the writing of 64 tokens with
a cache. Printed as in `vision_steps.py`. A step may take 1.02 times as long as theirs,
writing 1.05 times. BERT's loss is theirs, though ours computes the logits of hidden
words only, as Google's code does.
"""

import statistics
import sys

import torch
from vision_steps import measure, step

SIZES = {"vocab": 2000, "width": 128, "depth": 4, "heads": 4}
ROWS, LENGTH = 16, 64


def same_size(ours, peer) -> None:
    count = [sum(p.numel() for p in m.parameters()) for m in (ours, peer)]
    assert abs(count[0] / count[1] - 1) < 0.01, f"expected equal sizes, got {count}"


def gpts():
    from transformers import GPT2Config, GPT2LMHeadModel

    from mmdl_lib.models.gpt import GPT, GPTConfig

    ours = GPT(GPTConfig(**SIZES, context=256))
    sizes = {"n_embd": 128, "n_layer": 4, "n_head": 4, "n_positions": 256}
    drops = {"resid_pdrop": 0.0, "attn_pdrop": 0.0, "embd_pdrop": 0.0}
    ids = {"bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0}
    peer = GPT2LMHeadModel(GPT2Config(vocab_size=2000, **sizes, **drops, **ids))
    same_size(ours, peer)
    return ours, peer


def gpt():
    ours, peer = gpts()
    tokens = torch.randint(3, 2000, (ROWS, LENGTH))
    batch = {"tokens": tokens, "mask": torch.ones_like(tokens, dtype=torch.bool)}
    return (
        step(ours, lambda: ours.loss(batch)["loss"]),
        step(peer, lambda: peer(input_ids=tokens, labels=tokens).loss),
    )


def writing():
    """64 tokens after a prompt of 16, greedily, with a cache."""
    ours, peer = (model.eval() for model in gpts())
    tokens = torch.randint(3, 2000, (4, 16))
    mask = torch.ones_like(tokens)
    given = {"max_new_tokens": 64, "do_sample": False, "use_cache": True}

    def theirs():
        with torch.no_grad():
            return peer.generate(tokens, attention_mask=mask, **given)

    assert theirs().shape == (4, 80)
    assert ours.generate(tokens, length=64).shape == (4, 64)
    return lambda: ours.generate(tokens, length=64), theirs


def bert():
    from transformers import BertConfig, BertForPreTraining

    from mmdl_lib.models import bert as own

    special = {"cls_token": 0, "sep_token": 1, "mask_token": 2}
    ours = own.BERT(own.BERTConfig(**SIZES, positions=256, dropout=0.0, **special))
    sizes = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 512, "max_position_embeddings": 256}
    drops = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    peer = BertForPreTraining(BertConfig(vocab_size=2000, **sizes, **drops))
    same_size(ours, peer)
    tokens = torch.randint(3, 2000, (ROWS, LENGTH))
    mask = torch.ones_like(tokens, dtype=torch.bool)
    batch = {"tokens": tokens, "mask": mask, "segments": torch.zeros_like(tokens)}
    batch["label"] = torch.randint(2, (ROWS,))
    hidden = torch.rand(tokens.shape) < 0.15
    read = {"input_ids": tokens.masked_fill(hidden, 2), "attention_mask": mask.long()}
    read |= {"labels": tokens.masked_fill(~hidden, -100)}
    read["next_sentence_label"] = batch["label"]
    return (
        step(ours, lambda: ours.loss(batch)["loss"]),
        step(peer, lambda: peer(**read).loss),
    )


def t5():
    from transformers import T5Config, T5ForConditionalGeneration

    from mmdl_lib.models import t5 as own

    ours = own.T5(own.T5Config(**SIZES, inner=512, head_width=32, dropout=0.0))
    sizes = {"d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 4, "num_heads": 4}
    peer = T5ForConditionalGeneration(
        T5Config(vocab_size=2000, **sizes, dropout_rate=0.0, decoder_start_token_id=0)
    )
    same_size(ours, peer)
    tokens = torch.randint(3, 2000, (ROWS, LENGTH))
    target = torch.randint(3, 2000, (ROWS, LENGTH // 4))
    batch = {"tokens": tokens, "mask": torch.ones_like(tokens, dtype=torch.bool)}
    batch |= {
        "target": target,
        "target_mask": torch.ones_like(target, dtype=torch.bool),
    }
    read = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    return (
        step(ours, lambda: ours.loss(batch)["loss"]),
        step(peer, lambda: peer(**read, labels=target).loss),
    )


CASES = {"gpt": gpt, "bert": bert, "t5": t5, "writing": writing}
ALLOWED = {"writing": 1.05}  # else 1.02


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in sys.argv[1:] or CASES:
        times = measure(*CASES[name]())
        ours, peer = (statistics.median(side) for side in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        allowed = ALLOWED.get(name, 1.02)
        verdict = "ok" if ratio <= allowed else f"above {allowed}"
        print(
            f"{name}: ours {1e3 * ours:.2f} ms, peer {1e3 * peer:.2f} ms, "
            f"ratio {ratio:.3f} of {len(times)} pairs ({verdict})",
            flush=True,
        )


if __name__ == "__main__":
    main()
