"""A training step of data2vec beside one with transformers' encoders of equal size.

Run: python benchmarks/data2vec_step.py

Both sides do the same: the teacher's pass over everything, the student's over what is
not hidden, the target from the last blocks, the loss at hidden places, backward, AdamW,
and the teacher's move. Theirs is built from Data2VecVisionModel, -TextModel and
-AudioModel, as a reader would. One process, in turns, one thread, printed as in
`vision_steps.py`; a step may take 1.05 times as long as theirs.
"""

import copy
import statistics

import torch
import torch.nn.functional as F
from torch import nn
from vision_steps import measure

ROWS, ALLOWED = 16, 1.05
SIZES = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 256}


def peers():
    """Their encoders, without anything random, and how each is called."""
    import transformers as hf

    vision = hf.Data2VecVisionConfig(
        **SIZES, image_size=32, patch_size=4, use_mask_token=True, drop_path_rate=0.0,
        use_shared_relative_position_bias=True, use_mean_pooling=False,
    )  # fmt: skip
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    text = hf.Data2VecTextConfig(
        **SIZES, **still, vocab_size=200, max_position_embeddings=34, type_vocab_size=1
    )
    names = ("hidden_dropout", "activation_dropout", "attention_dropout", "layerdrop")
    names += ("feat_proj_dropout", "final_dropout")
    audio = hf.Data2VecAudioConfig(
        **SIZES, **dict.fromkeys(names, 0.0), conv_dim=(32, 32, 32),
        conv_stride=(10, 8, 4), conv_kernel=(20, 8, 4), num_feat_extract_layers=3,
        conv_pos_kernel_size=5, num_conv_pos_embeddings=2,
        num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    return {
        "pictures": hf.Data2VecVisionModel(vision),
        "texts": hf.Data2VecTextModel(text, add_pooling_layer=False),
        "sounds": hf.Data2VecAudioModel(audio),
    }


def ours():
    """Our nets of the same sizes."""
    from mmdl_lib.models.data2vec import SOUND, TEXT, Data2Vec, Data2VecConfig
    from mmdl_lib.models.data2vec_encoders import PatchConfig, SoundConfig, TokenConfig

    size = {"width": 64, "depth": 4, "heads": 4}
    sound = SoundConfig(
        channels=32, kernels=(20, 8, 4), strides=(10, 8, 4), place_layers=2,
        place_kernel=5, place_groups=4,
    )  # fmt: skip
    text = TokenConfig(vocab=200, positions=32, mask_token=199)
    return {
        "pictures": Data2Vec(
            Data2VecConfig(front=PatchConfig(image_size=(32, 32), patch=4), k=4, **size)
        ),
        "texts": Data2Vec(Data2VecConfig(front=text, **TEXT | {"k": 4}, **size)),
        "sounds": Data2Vec(Data2VecConfig(front=sound, k=4, **SOUND, **size)),
    }


def batches():
    """A batch of each kind."""
    return {
        "pictures": {"image": torch.rand(ROWS, 3, 32, 32) * 2 - 1},
        "texts": {
            "tokens": torch.randint(3, 199, (ROWS, 32)),
            "mask": torch.ones(ROWS, 32, dtype=torch.bool),
        },
        "sounds": {"sound": torch.rand(ROWS, 16_000) * 2 - 1},
    }


def call(kind, net, batch, hidden):
    """All hidden states of theirs, without a class token."""
    options = {"output_hidden_states": True}
    if kind == "pictures":
        said = net(batch["image"], bool_masked_pos=hidden, **options)
        return [said.last_hidden_state[:, 1:]] + [h[:, 1:] for h in said.hidden_states]
    if kind == "texts":
        tokens = batch["tokens"]
        tokens = tokens if hidden is None else torch.where(hidden, 199, tokens)
        said = net(tokens, batch["mask"].long(), **options)
    else:
        sound = F.layer_norm(batch["sound"], batch["sound"].shape[1:])
        said = net(sound, mask_time_indices=hidden, **options)
    return [said.last_hidden_state, *said.hidden_states]


def theirs(kind, net, model, batch):
    """A step with their encoder and the plainest code for the rest."""
    teacher, head = copy.deepcopy(net).requires_grad_(False), copy.deepcopy(model.head)
    weights = [*net.parameters(), *head.parameters()]
    optimizer, config = torch.optim.AdamW(weights, lr=1e-4), model.config

    def run():
        hidden = model.hide(batch)
        with torch.no_grad():
            kept = call(kind, teacher, batch, None)[-4:]
            if config.norm == "instance":
                kept = [
                    F.instance_norm(x.transpose(1, 2)).transpose(1, 2) for x in kept
                ]
            else:
                kept = [F.layer_norm(x, x.shape[-1:]) for x in kept]
            target = sum(kept) / 4
        said = head(call(kind, net, batch, hidden)[0])
        if config.beta:
            loss = F.smooth_l1_loss(said[hidden], target[hidden], beta=config.beta)
        else:
            loss = F.mse_loss(said[hidden], target[hidden])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(teacher.parameters(), net.parameters(), strict=True):
                slow.mul_(0.999).add_(fast, alpha=0.001)

    return run


def mine(model: nn.Module, batch):
    """A step of ours."""
    optimizer = torch.optim.AdamW(model.trainable(), lr=1e-4)

    def run():
        optimizer.zero_grad()
        model.loss(batch)["loss"].backward()
        optimizer.step()
        model.after_step(0)

    return run


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    others, nets, given = peers(), ours(), batches()
    for kind, batch in given.items():
        pair = (
            mine(nets[kind], batch),
            theirs(kind, others[kind].train(), nets[kind], batch),
        )
        times = measure(*pair)
        one, two = (statistics.median(side) for side in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        verdict = "ok" if ratio <= ALLOWED else f"above {ALLOWED}"
        print(
            f"data2vec, {kind}: ours {1e3 * one:.2f} ms, peer {1e3 * two:.2f} ms, "
            f"ratio {ratio:.3f} of {len(times)} pairs ({verdict})"
        )


if __name__ == "__main__":
    main()
