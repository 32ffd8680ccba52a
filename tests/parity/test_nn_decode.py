"""Same logits in, same sequences and scores out: `generate` of transformers."""

import itertools

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.generation.logits_process import (
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from mmdl_lib.core import generator
from mmdl_lib.nn.decode import beam_search, greedy, power, truncate

END, LONGEST = 1, 8
STOPS = {"bound": "never", "now": False, "full": True}


def peers(name, reference):
    return {
        "ours": f"mmdl_lib.nn.decode.{name}",
        "package": "transformers",
        "reference": f"transformers {reference}",
    }


def shake(peer, seed):
    """Random weights that make some words much likelier than others."""
    g = generator(seed)
    for parameter in peer.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=g)
    return peer.eval()


def make_gpt2(seed):
    """A model, a step over it that reads all tokens again, prompts, and arguments."""
    sizes = {"vocab_size": 6, "n_positions": 32, "n_embd": 16, "n_layer": 2}
    ids = {"bos_token_id": 2, "eos_token_id": END, "pad_token_id": 0}
    peer = shake(GPT2LMHeadModel(GPT2Config(**sizes, n_head=2, **ids)), seed)
    prompt = torch.randint(2, 6, (4, 3), generator=generator(seed))

    def step(tokens, said):
        said = torch.cat([said, tokens[:, None]], 1)
        return peer(said).logits[:, -1], said

    given = {"input_ids": prompt, "attention_mask": torch.ones_like(prompt)}
    return peer, step, prompt[:, -1], prompt[:, :-1], given


def make_t5(seed):
    """As above, with an encoder whose sentences are padded."""
    sizes = {"vocab_size": 6, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2}
    ids = {"eos_token_id": END, "pad_token_id": 0, "decoder_start_token_id": 0}
    peer = shake(
        T5ForConditionalGeneration(T5Config(**sizes, num_heads=2, **ids)), seed
    )
    source = torch.randint(2, 6, (4, 5), generator=generator(seed))
    mask = (torch.arange(5) < torch.tensor([[5], [3], [4], [2]])).long()

    def step(tokens, state):
        said = torch.cat([state["said"], tokens[:, None]], 1)
        memory, mask = state["memory"], state["mask"]
        out = peer(
            encoder_outputs=(memory,), attention_mask=mask, decoder_input_ids=said
        )
        return out.logits[:, -1], state | {"said": said}

    memory = peer.encoder(input_ids=source, attention_mask=mask).last_hidden_state
    start = torch.zeros(4).long()
    state = {"said": start[:, None][:, :0], "memory": memory, "mask": mask}
    return peer, step, start, state, {"input_ids": source, "attention_mask": mask}


MAKERS = {"GPT-2": make_gpt2, "T5": make_t5}
# of these, sequences end at different lengths, and the three stops disagree
SEEDS = {"GPT-2": (1, 2, 4, 5), "T5": (0, 2, 5, 6)}
# length penalty and shortest length
SETTINGS = ((0.0, 0), (1.0, 0), (0.6, 2), (2.0, 0), (-1.0, 0))


def sentences(tokens, mask):
    """Lists of true tokens."""
    rows = zip(tokens.flatten(0, -2), mask.flatten(0, -2), strict=True)
    return [words[real].tolist() for words, real in rows]


def cut(tokens):
    """The same for what `generate` returns: up to the end token and on it."""
    rows = tokens.tolist()
    return [r[: r.index(END) + 1] if END in r else r for r in rows]


@torch.no_grad()
@pytest.mark.parametrize("name", MAKERS)
def test_greedy_search_agrees(agree, name):
    for seed, shortest in itertools.product(SEEDS[name], (0, 3)):
        peer, step, start, state, given = MAKERS[name](seed)
        sizes = {"max_new_tokens": LONGEST, "min_new_tokens": shortest}
        skip = given["input_ids"].shape[1] if name == "GPT-2" else 1
        theirs = peer.generate(**given, **sizes, do_sample=False)[:, skip:]
        options = {"end": END, "max_length": LONGEST, "min_length": shortest}
        mine = greedy(step, start, state, **options)
        reference = peers("greedy", f"generate of {name}")
        agree(
            "sentences",
            *(sentences(mine.tokens, mine.mask), cut(theirs)),
            **{"tolerance": 0, **reference},
        )


@torch.no_grad()
@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("beams", [2, 4])
@pytest.mark.parametrize("name", MAKERS)
def test_beam_search_agrees(agree, name, beams, stop):
    lengths = set()
    for seed, (alpha, shortest) in itertools.product(SEEDS[name], SETTINGS):
        peer, step, start, state, given = MAKERS[name](seed)
        theirs = peer.generate(
            **given,
            **{"num_beams": beams, "num_return_sequences": beams, "do_sample": False},
            **{"max_new_tokens": LONGEST, "min_new_tokens": shortest},
            **{"length_penalty": alpha, "early_stopping": STOPS[stop]},
            **{"return_dict_in_generate": True, "output_scores": True},
        )
        skip = given["input_ids"].shape[1] if name == "GPT-2" else 1
        options = {"end": END, "max_length": LONGEST, "min_length": shortest}
        mine = beam_search(
            *(step, start, state),
            **{"beams": beams, "penalty": power(alpha), "stop": stop, **options},
        )
        reference = peers("beam_search", f"generate of {name}")
        what = f"beams, early_stopping={STOPS[stop]}"
        words = sentences(mine.tokens, mine.mask)
        lengths |= set(map(len, words))
        scores = theirs.sequences_scores.view(-1, beams)
        agree(f"{what}, scores", mine.score, scores, tolerance=1e-4, **reference)
        agree(what, words, cut(theirs.sequences[:, skip:]), tolerance=0, **reference)
    assert len(lengths) > 3 and (stop == "full" or LONGEST in lengths)


@torch.no_grad()
@pytest.mark.parametrize("name", MAKERS)
def test_the_three_stops_disagree_on_these_models(name):
    found = {stop: [] for stop in STOPS}
    for stop, seed in itertools.product(STOPS, SEEDS[name]):
        _, step, start, state, _ = MAKERS[name](seed)
        options = {"end": END, "max_length": LONGEST, "beams": 2}
        out = beam_search(step, start, state, penalty=power(2.0), stop=stop, **options)
        found[stop] += sentences(out.tokens, out.mask)
    assert found["bound"] != found["now"] != found["full"] != found["bound"]


@pytest.mark.parametrize("top_k, top_p", [(3, None), (None, 0.6), (5, 0.8), (1, 0.1)])
def test_what_is_cut_before_sampling_agrees(agree, top_k, top_p):
    logits = 2 * torch.randn(50, 12, generator=generator(0))
    theirs = logits
    if top_k is not None:
        theirs = TopKLogitsWarper(top_k)(None, theirs)
    if top_p is not None:
        theirs = TopPLogitsWarper(top_p)(None, theirs)
    mine = truncate(logits, top_k=top_k, top_p=top_p).softmax(-1)
    reference = peers("truncate", "TopKLogitsWarper, TopPLogitsWarper")
    what = f"top_k {top_k}, top_p {top_p}"
    agree(what, mine, theirs.softmax(-1), tolerance=0, **reference)
