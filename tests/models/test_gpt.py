"""GPT: the cache, positions, the tied head, counts, generation, the border."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator

from mmdl_lib.core import generator
from mmdl_lib.models.gpt import GPT, GPTConfig
from mmdl_lib.nn import decode
from mmdl_lib.train.phases import Phase

PRESETS = ("tiny", "tiny-post")
tiny = pytest.mark.parametrize("preset", PRESETS)


def make(preset="tiny"):
    """A tiny model whose every parameter is random, so that none can be forgotten."""
    torch.manual_seed(0)
    model = GPT.from_preset(preset).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return model


def texts(n=3, t=12, seed=1):
    return torch.randint(64, (n, t), generator=generator(seed))


@tiny
@torch.no_grad()
def test_with_a_cache_the_logits_are_those_without_at_every_length(preset):
    model, tokens = make(preset), texts(t=64)
    full = model.logits(tokens)
    for t in (1, 2, 7):
        now, state = model.begin(tokens[:, :t])
        for i in range(t - 1, 64):
            logits, state = model.step(now, state)
            assert torch.allclose(logits, full[:, i], atol=1e-5), (t, i)
            now = tokens[:, min(i + 1, 63)]


@torch.no_grad()
def test_a_token_after_a_cache_has_the_position_behind_it():
    model, tokens = make(), texts()
    # only positions speak: every token has the same vector
    model.tokens.weight.data[:] = model.tokens.weight[0]
    now, state = model.begin(tokens)
    x = model.tokens(now) + model.positions.table[state.length]
    assert state.length.tolist() == [11, 11, 11]
    assert torch.equal(x, model.embed(tokens)[:, 11])
    logits, _ = model.step(now, state)
    wrong, _ = model.step(*model.begin(tokens[:, 11:]))
    # at position 0 the same token says something else
    assert not torch.allclose(logits, wrong, atol=1e-2)


@tiny
@torch.no_grad()
def test_prompts_of_unequal_length_continue_as_each_would_alone(preset):
    model, tokens = make(preset), texts(5)
    length = torch.tensor([1, 12, 5, 2, 11])
    mask = torch.arange(12) < length[:, None]
    together = model.generate(tokens, mask, length=9)
    drawn = model.sample(tokens, mask, length=9, top_k=1)
    for row, n in enumerate(length.tolist()):
        alone = model.generate(tokens[row : row + 1, :n], length=9)
        assert torch.equal(together[row : row + 1], alone), n
        assert torch.equal(drawn[row : row + 1], alone), n


@tiny
@torch.no_grad()
def test_generation_is_what_reading_everything_again_gives(preset):
    model, said = make(preset), texts(t=3)
    found = model.generate(said, length=8)
    for _ in range(8):
        said = torch.cat([said, model.logits(said)[:, -1:].argmax(-1)], 1)
    assert torch.equal(found, said[:, 3:])


@torch.no_grad()
def test_the_only_beam_and_the_best_of_several_score_as_teacher_forcing_does():
    model, said = make(), texts(t=3)
    now, state = model.begin(said)
    beams = decode.beam_search(model.step, now, state, end=1, max_length=5, beams=4)
    best, n = beams.tokens[:, 0], beams.mask[:, 0].sum(1)
    log_p = model.logits(torch.cat([said, best], 1)).log_softmax(-1)[:, 2:-1]
    total = log_p.gather(2, best[..., None])[..., 0].masked_fill(~beams.mask[:, 0], 0.0)
    assert torch.allclose(total.sum(1), beams.log_prob[:, 0], atol=1e-4), n
    assert torch.equal(model.generate(said, length=5, end=1, beams=4), best)


@torch.no_grad()
def test_equations_written_out_give_the_same_numbers():
    model, tokens = make(), texts()
    x = model.tokens.weight[tokens] + model.positions.table[:12]

    def norm(x, layer):
        mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
        return (x - mean) / (var + 1e-5).sqrt() * layer.weight + layer.bias

    def gelu(x):
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return 0.5 * x * (1 + inner.tanh())

    hidden = torch.ones(12, 12).triu(1).bool()
    for block in model.transformer.blocks:
        qkv = block.attention.qkv(norm(x, block.norm1))
        q, k, v = qkv.view(3, 12, 3, 4, 16).permute(2, 0, 3, 1, 4)
        scores = (q @ k.mT / 4).masked_fill(hidden, -torch.inf)
        heads = (scores.softmax(-1) @ v).transpose(1, 2).reshape(3, 12, 64)
        x = x + block.attention.out(heads)
        x = x + block.fc2(gelu(block.fc1(norm(x, block.norm2))))
    logits = norm(x, model.norm) @ model.tokens.weight.T
    assert torch.allclose(model.logits(tokens), logits, atol=1e-5)


def test_the_activation_is_the_tanh_form_and_not_erf():
    model, x = make(), torch.linspace(-4, 4, 101)
    found = model.transformer.blocks[0].activation(x)
    assert torch.equal(found, F.gelu(x, approximate="tanh"))
    # the forms differ by at most 4.7e-4, so that a loose tolerance sees nothing
    assert 4e-4 < (found - F.gelu(x)).abs().max() < 5e-4


@pytest.mark.parametrize(
    ("preset", "count"),
    [
        ("gpt1", 116_534_784),
        ("gpt2-small", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
        ("gpt3-175B", 174_604_259_328),
    ],
)
def test_released_sizes_are_counted_to_the_last_parameter(preset, count):
    with torch.device("meta"):
        model = GPT.from_preset(preset)
    c = model.config
    assert sum(p.numel() for p in model.parameters()) == count
    blocks = c.depth * (12 * c.width**2 + 13 * c.width)
    norm = 2 * c.width * (c.norm == "pre")
    assert blocks + (c.vocab + c.context) * c.width + norm == count


@pytest.mark.parametrize(
    ("preset", "printed"),
    [
        ("gpt2-small", 117),
        ("gpt2-medium", 345),
        ("gpt2-large", 762),
        ("gpt2-xl", 1542),
    ],
)
def test_the_counts_of_gpt2s_paper_are_those_with_the_vocabulary_of_gpt1(
    preset, printed
):
    config = GPT.PRESETS[preset]
    with torch.device("meta"):
        model = GPT(GPTConfig(**{**vars(config), "vocab": 40478}))
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    assert round(millions) == printed


def test_the_head_is_the_embedding_and_has_no_bias():
    model = make()
    names = [name for name, _ in model.named_parameters()]
    assert not any("head" in name for name in names)
    before = model.logits(texts())
    model.tokens.weight.data[7] = 0
    after = model.logits(texts())
    # a token without a vector scores 0 everywhere, whatever else it is
    assert torch.equal(after[..., 7], torch.zeros(3, 12))
    assert not torch.allclose(before, after)


def test_every_norm_has_the_epsilon_of_gpt_2():
    norms = [m for m in make().modules() if isinstance(m, torch.nn.LayerNorm)]
    assert len(norms) == 1 + 2 * 2 and {norm.eps for norm in norms} == {1e-5}


def test_weights_start_as_the_docstring_says():
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab=500, context=500, width=256, depth=8, heads=4))
    block = model.transformer.blocks[3]
    for weight, std in (
        (model.tokens.weight, 0.02),
        (model.positions.table, 0.01),
        (block.attention.qkv.weight, 0.02),
        (block.fc1.weight, 0.02),
        (block.attention.out.weight, 0.02 / 4),
        (block.fc2.weight, 0.02 / 4),
    ):
        assert weight.std().item() == pytest.approx(std, rel=0.02)
    assert not block.fc1.bias.any() and not block.attention.qkv.bias.any()
    # before training it knows nothing: the loss is that of guessing
    loss = model.loss(GPT.example_batch(model.config, 64, generator=generator(0)))
    assert loss["loss"].item() == pytest.approx(math.log(500), abs=0.1)


@tiny
@torch.no_grad()
def test_attention_and_states_are_what_the_model_computes_with(preset):
    model, tokens = make(preset), texts()
    states, weights = model.states(tokens), model.attention(tokens)
    assert states.shape == (3, 3, 12, 64) and weights.shape == (3, 2, 4, 12, 12)
    assert torch.equal(states[:, 0], model.embed(tokens))
    assert torch.allclose(model.norm(states[:, -1]), model.hidden(tokens), atol=1e-5)
    assert torch.allclose(weights.sum(-1), torch.ones(3, 2, 4, 12), atol=1e-5)
    assert not weights.triu(1).any()
    last, x = model.transformer.blocks[-1], states[:, 1]
    x = last.norm1(x) if preset == "tiny" else x
    v = last.attention.qkv(x)[..., 128:].view(3, 12, 4, 16).transpose(1, 2)
    mixed = (weights[:, -1] @ v).transpose(1, 2).reshape(3, 12, 64)
    expected = last.attention(x, causal=True)
    assert torch.allclose(last.attention.out(mixed), expected, atol=1e-5)


def test_the_loss_counts_real_and_scored_tokens_and_never_the_first():
    model, tokens = make(), texts()
    mask = torch.arange(12) < torch.tensor([[12], [3], [8]])
    log_p = model.logits(tokens).log_softmax(-1)
    nats = -log_p[:, :-1].gather(2, tokens[:, 1:, None])[..., 0]

    def loss(**more):
        return model.loss({"tokens": tokens, "mask": mask} | more)["loss"]

    expected = torch.cat([nats[0], nats[1, :2], nats[2, :7]]).mean()
    assert torch.allclose(loss(), expected)
    # a pad's token counts as little as what is not scored
    scored = torch.zeros(3, 12, dtype=torch.bool)
    scored[:, [0, 5]] = True
    assert torch.allclose(loss(scored=scored), nats[[0, 2], 4].mean())


def test_where_nothing_is_scored_there_is_no_loss():
    model, tokens = make(), texts()
    batch = {"tokens": tokens, "mask": torch.ones_like(tokens, dtype=torch.bool)}
    first = torch.arange(12).expand(3, 12) == 0  # nobody predicts it
    one = {"tokens": tokens[:, :1], "mask": batch["mask"][:, :1]}
    for bad in (batch | {"scored": first}, batch | {"mask": first}, one):
        with pytest.raises(ValueError, match="scored .* at least one True, got none"):
            model.loss(bad)


def test_the_tied_matrix_learns_from_both_ends():
    model, tokens = make(), texts()
    tokens[tokens == 9] = 8
    mask = torch.ones_like(tokens, dtype=torch.bool)
    model.loss({"tokens": tokens, "mask": mask})["loss"].backward()
    # token 9 is never read and never right, and is told so by the head
    assert model.tokens.weight.grad[9].abs().max() > 1e-5


def test_the_tied_matrix_decays_once():
    model = make()
    accelerator = Accelerator(cpu=True)
    how = {"lr": 0.1, "weight_decay": 0.5, "optimizer": torch.optim.AdamW}
    phase, before = Phase(model, "main", accelerator, **how), model.state_dict()
    before = {name: x.clone() for name, x in before.items()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    phase.optimizer.step()  # without a gradient only the decay is left
    for name, x in model.state_dict().items():
        share = 0.95 if x.ndim > 1 else 1.0
        assert torch.allclose(x, share * before[name], atol=1e-7), name


def test_a_low_temperature_a_k_of_one_and_a_tiny_p_are_greedy():
    model, tokens = make(), texts()
    best = model.generate(tokens)
    for options in ({"temperature": 1e-4}, {"top_k": 1}, {"top_p": 1e-6}):
        assert torch.equal(model.sample(tokens, **options), best), options
    free = model.sample(tokens, generator=generator(0))
    assert not torch.equal(free, best)


def test_a_row_that_has_ended_holds_the_end_token_only():
    model, tokens = make(), texts(8)
    best = model.generate(tokens, length=9)
    # a row that would have gone on with another token
    changes = (best[:, 1:] != best[:, :-1]).nonzero()
    row, at = changes[-1].tolist()
    end = best[row, at].item()
    at = best[row].tolist().index(end)
    assert best[row, at + 1] != end
    for method in (model.generate, model.sample):
        options = {} if method == model.generate else {"top_k": 1}
        found = method(tokens, length=9, end=end, **options)
        assert (found[row, at:] == end).all()
        assert torch.equal(found[row, :at], best[row, :at])


PROMPT = "GPT expected a prompt of at least one token, .* got an empty prompt"
BOTH = "at most 64 tokens with the new ones, got a prompt of 60 and a length of 6"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tokens": texts(t=0)}, PROMPT),
        ({"tokens": texts(t=65)}, "GPT expected from 1 to 64 tokens a row, got 65"),
        ({"tokens": texts(t=60), "length": 6}, BOTH),
        ({"tokens": texts() + 60}, "tokens expected numbers from 0 to 63, got 60 to"),
        ({"tokens": texts().float()}, "tokens expected integers, got float32"),
        ({"mask": torch.arange(12).expand(3, 12) > 2}, "padding on the left"),
        ({"mask": torch.zeros(3, 12).bool()}, "got 3 of padding only"),
        ({"mask": torch.ones(3, 11).bool()}, "mask expected shape"),
        ({"mask": torch.ones(3, 12)}, "mask expected bool"),
        ({"length": 0}, "length expected a whole number from 1 up, got 0"),
        ({"end": 64}, "end expected a whole number from 0 to 63, got 64"),
        ({"tokens": texts()[:0]}, PROMPT),
    ],
)
def test_bad_prompts_are_refused_in_one_sentence(options, words):
    model, given = make(), {"tokens": texts()} | options
    for method in (model.generate, model.sample):
        with pytest.raises(ValueError, match=words):
            method(**given)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": 0.0}, "temperature expected a number above 0, got 0.0"),
        ({"temperature": -1.0}, "temperature expected a number above 0, got -1.0"),
        ({"top_k": 0}, "top_k expected a whole number from 1 up, got 0"),
        ({"top_p": 0.0}, "top_p expected a number above 0 to 1, got 0.0"),
        ({"top_p": 1.5}, "top_p expected a number above 0 to 1, got 1.5"),
    ],
)
def test_bad_options_of_sampling_are_refused_in_one_sentence(options, words):
    with pytest.raises(ValueError, match=words):
        make().sample(texts(), **options)


def test_bad_beams_are_refused_in_one_sentence():
    generate = partial(make().generate, texts())
    with pytest.raises(ValueError, match="beams expected a whole number from 1 up"):
        generate(beams=0)
    with pytest.raises(ValueError, match="beams expected 1 where no token ends"):
        generate(beams=2)


def test_too_many_tokens_are_refused_before_anything_is_computed():
    with pytest.raises(ValueError, match="from 1 to 64 tokens a row, got 65"):
        make().logits(texts(t=65))
    with pytest.raises(ValueError, match="tokens expected numbers from 0 to 63"):
        make().logits(texts() - 10)
    for method in (make().states, make().attention):
        with pytest.raises(ValueError, match="tokens expected numbers from 0 to 63"):
            method(texts() + 60)


def test_a_row_without_a_batch_is_refused(as_a_reader):
    with pytest.raises(ValueError, match=r"tokens of shape \(b, t\), got \(12,\)"):
        make().logits(texts()[0])
    with pytest.raises(ValueError, match="tokens expected a tensor, got list"):
        make().generate([1, 2])
