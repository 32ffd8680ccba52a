"""A training step and the beam search of our captioner beside transformers' BART.

Run: python benchmarks/captioning_steps.py [step | beam]

Both sides run in one process, in turns, with one thread, at the same sizes, over the
same regions, without dropout. Ours may take 1.05 times as long. BART reads vectors as
`inputs_embeds`; its post-norm blocks do the same work as our pre-norm ones, and its
output shares the words' table, so ours counts that table twice.
"""

import statistics
import sys

import torch
from vision_steps import measure, step

ROWS, REGIONS, LENGTH, VOCAB, WIDTH = 16, 36, 20, 2000, 128


def models():
    from transformers import BartConfig, BartForConditionalGeneration

    from mmdl_lib.models.captioner import CaptionerConfig, RegionCaptioner

    sizes = {"width": WIDTH, "encoder": 3, "decoder": 3, "heads": 4, "vocab": VOCAB}
    ours = RegionCaptioner(CaptionerConfig(region=WIDTH, dropout=0.0, **sizes))
    sizes = {f"{side}_layers": 3 for side in ("encoder", "decoder")}
    sizes |= {f"{side}_attention_heads": 4 for side in ("encoder", "decoder")}
    sizes |= {f"{side}_ffn_dim": 4 * WIDTH for side in ("encoder", "decoder")}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    ids |= {"decoder_start_token_id": 1, "forced_eos_token_id": None}
    peer = BartForConditionalGeneration(
        BartConfig(
            vocab_size=VOCAB,
            d_model=WIDTH,
            max_position_embeddings=64,
            dropout=0.0,
            **sizes,
            **ids,
        )
    )
    blocks = [
        sum(
            p.numel() for n, p in m.named_parameters() if "layers" in n or "blocks" in n
        )
        for m in (ours, peer)
    ]
    assert abs(blocks[0] / blocks[1] - 1) < 0.01, f"expected equal sizes, got {blocks}"
    return ours, peer


def data():
    torch.manual_seed(0)
    regions = torch.randn(ROWS, REGIONS, WIDTH)
    mask = torch.arange(REGIONS) < torch.randint(10, REGIONS + 1, (ROWS, 1))
    tokens = torch.randint(3, VOCAB, (ROWS, LENGTH))
    tokens[:, 0], tokens[:, -1] = 1, 2
    return regions, mask, tokens


def training():
    ours, peer = models()
    regions, mask, tokens = data()
    batch = {"regions": regions, "region_mask": mask, "tokens": tokens}
    batch["mask"] = torch.ones_like(tokens, dtype=torch.bool)
    read = {"attention_mask": mask.long(), "decoder_input_ids": tokens[:, :-1]}
    return (
        step(ours, lambda: ours.loss(batch)["loss"]),
        step(
            peer,
            lambda: (
                peer(
                    inputs_embeds=ours_projected(ours, regions),
                    labels=tokens[:, 1:].contiguous(),
                    **read,
                ).loss
            ),
        ),
    )


def ours_projected(ours, regions):
    """Both sides pay for the layer that turns regions into vectors."""
    return ours.project(regions)


def beam():
    ours, peer = (model.eval() for model in models())
    regions, mask, _ = data()
    given = {"num_beams": 4, "max_new_tokens": LENGTH, "min_new_tokens": LENGTH}
    given |= {"do_sample": False, "length_penalty": 0.0, "early_stopping": True}

    def theirs():
        with torch.no_grad():
            read = {"inputs_embeds": ours.project(regions)}
            return peer.generate(attention_mask=mask.long(), **read, **given)

    def mine():
        from mmdl_lib.nn.decode import beam_search

        memory = ours.memory(regions, mask)
        options = {"max_length": LENGTH, "min_length": LENGTH - 1, "stop": "full"}
        with torch.no_grad():
            return ours.search(memory, beam_search, beams=4, **options)

    assert theirs().shape[1] >= LENGTH
    assert mine().tokens.shape[-1] == LENGTH
    return mine, theirs


CASES = {"step": training, "beam": beam}
ALLOWED = 1.05


def main() -> None:
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        times = measure(*CASES[name]())
        ours, peer = (statistics.median(t) for t in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        verdict = "ok" if ratio <= ALLOWED else f"above {ALLOWED}"
        print(
            f"{name}: ours {1e3 * ours:.2f} ms, peer {1e3 * peer:.2f} ms, "
            f"ratio {ratio:.3f} of {len(times)} pairs ({verdict})",
            flush=True,
        )


if __name__ == "__main__":
    main()
