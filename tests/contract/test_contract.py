"""What every model of the book keeps; found in the folder, so none can be forgotten.

The same tests run over the toys of `toys.py`: kinds of models that are still to come.
"""

import dataclasses
import inspect
import json
from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from toys import TOYS

from mmdl_lib.core import Config, generator, models

KINDS = models() | TOYS
STEPS = 40


def presets(*, tiny: bool):
    """Every preset of every kind; the large ones are only ever built on `meta`."""
    for label, kind in KINDS.items():
        for name in kind.PRESETS:
            if name.startswith("tiny") == tiny:
                yield pytest.param(kind, name, id=f"{label}-{name}")


tiny = pytest.mark.parametrize(("kind", "name"), list(presets(tiny=True)))
large = pytest.mark.parametrize(("kind", "name"), list(presets(tiny=False)))


def fresh(kind, name, seed=0):
    torch.manual_seed(seed)
    return kind.from_preset(name)


def batch_of(model, n=4):
    return type(model).example_batch(model.config, n, generator=generator(5))


@contextmanager
def only(model, phase):
    """Let a phase's learners learn; all else stands still, as in `fit`."""
    flags = {p: p.requires_grad for p in model.parameters()}
    learning = model.trainable(phase)
    model.eval().requires_grad_(False)
    for module in model.learners(phase):
        module.train()
    for p in learning:
        p.requires_grad_(True)
    yield learning
    for p, flag in flags.items():
        p.requires_grad_(flag)
    model.train()


def updated(model, phase, *, steps, batch, seed=7, lr=1e-3):
    """Loss before the first and after the last of some updates with equal noise."""
    found = []
    with only(model, phase) as learning:
        optimizer = torch.optim.AdamW(learning, lr=lr, weight_decay=0.0)
        for step in range(steps + 1):
            optimizer.zero_grad()
            terms = model.loss(batch, phase=phase, generator=generator(seed))
            found.append(terms["loss"].item())
            if step < steps:
                terms["loss"].backward()
                optimizer.step()
    return found[0], found[-1]


def inputs(method, batch, n):
    """What a method takes: its positional arguments are keys of a batch, or n."""
    names = inspect.signature(method).parameters.values()
    given = batch | {"n": n}
    return [given[p.name] for p in names if p.kind is p.POSITIONAL_OR_KEYWORD]


def methods(model, *starts):
    """Public methods whose names begin so, with the names of their arguments."""
    for name, method in inspect.getmembers(model, inspect.ismethod):
        if name.startswith(starts):
            yield name, method, list(inspect.signature(method).parameters)


@pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))
def test_configs_are_frozen_keyword_only_checked_and_round_trip(kind):
    for config in kind.PRESETS.values():
        assert isinstance(config, Config)
        assert type(config).__dataclass_params__.frozen
        assert all(field.kw_only for field in dataclasses.fields(config))
        assert hash(config) is not None
        stored = json.loads(json.dumps(config.to_dict()))
        assert type(config).from_dict(stored) == config
    for field in dataclasses.fields(config):
        with pytest.raises(ValueError, match=f"expected {field.name} as"):
            dataclasses.replace(config, **{field.name: object()})


@pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))
def test_each_kind_has_a_tiny_preset_and_says_what_its_phases_learn(kind):
    assert any(name.startswith("tiny") for name in kind.PRESETS)
    assert any(not name.startswith("tiny") for name in kind.PRESETS)
    assert len(set(kind.phases())) == len(kind.phases())
    assert set(kind.LEARNED) == set(kind.phases())
    assert set(kind.PAPER_PARAMS) <= set(kind.PRESETS)


@tiny
def test_losses_are_finite_numbers_under_loss(kind, name):
    model = fresh(kind, name)
    for phase in model.phases():
        terms = model.loss(batch_of(model), phase=phase, generator=generator(0))
        assert terms["loss"].ndim == 0
        assert all(torch.isfinite(value) for value in terms.values())


@tiny
def test_all_randomness_of_a_loss_comes_from_its_generator(kind, name):
    model = fresh(kind, name)
    begin = {k: v.clone() for k, v in model.state_dict().items()}
    for phase in model.phases():
        found = []
        for global_seed, seed in ((1, 0), (2, 0), (1, 3)):
            torch.manual_seed(global_seed)
            state = torch.get_rng_state()
            model.load_state_dict(begin)  # DINO's center moves in each forward pass
            terms = model.train().loss(
                batch_of(model), phase=phase, generator=generator(seed)
            )
            assert torch.equal(torch.get_rng_state(), state)
            found.append(terms["loss"].item())
        assert found[0] == found[1]
        random = set()
        for seed in range(2):
            torch.manual_seed(seed)
            model.load_state_dict(begin)
            random.add(model.loss(batch_of(model), phase=phase)["loss"].item())
        assert (found[2] != found[0]) == (len(random) == 2)


@tiny
def test_a_phase_trains_all_of_its_parameters_and_nothing_else(kind, name):
    model = fresh(kind, name)
    batch = batch_of(model)
    for phase in model.phases():
        assert model.trainable(phase)
        before = {k: v.clone() for k, v in model.state_dict().items()}
        # a gate of zero opens in the first update, what lies behind it moves in later
        updated(model, phase, steps=3, batch=batch)
        own = {id(x) for m in model.learners(phase) for x in m.parameters()}
        own |= {id(x) for m in model.learners(phase) for x in m.buffers()}
        learning = {id(p) for p in model.trainable(phase)}
        for label, value in model.state_dict(keep_vars=True).items():
            if id(value) not in own:
                assert torch.equal(value, before[label]), f"{phase} moved {label}"
            if id(value) in learning:
                # of an embedding some rows, but never a tensor as a whole
                assert not torch.equal(value, before[label]), f"{phase} left {label}"


@tiny
def test_one_batch_is_learned(kind, name):
    model = fresh(kind, name)
    batch = batch_of(model, 6)
    for phase in model.phases():
        if model.LEARNED[phase] is not None:
            first, last = updated(model, phase, steps=STEPS, batch=batch)
            assert last < model.LEARNED[phase] * first


@tiny
def test_a_state_dict_makes_the_same_model(kind, name):
    model, other = (fresh(kind, name, seed).eval() for seed in range(2))
    batch = batch_of(model)
    for parameter in model.parameters():  # zeros at the start would hide the rest
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator(3))

    def loss(m):
        terms = (m.loss(batch, phase=p, generator=generator(0)) for p in m.phases())
        return torch.stack([t["loss"] for t in terms])

    before = loss(other)
    other.load_state_dict(model.state_dict())
    assert torch.equal(loss(other), loss(model))
    assert not torch.equal(before, loss(model))


@tiny
def test_half_precision_trains(kind, name):
    model = fresh(kind, name)
    for phase in model.phases():
        with only(model, phase) as learning:
            with torch.autocast("cpu", torch.bfloat16):
                terms = model.loss(batch_of(model), phase=phase, generator=generator(0))
            terms["loss"].float().backward()
            assert torch.isfinite(terms["loss"])
            assert all(p.dtype == torch.float32 for p in model.parameters())
            for p in learning:
                assert p.grad is None or torch.isfinite(p.grad).all()
        with torch.autocast("cpu", torch.bfloat16):
            model.after_step(0, phase=phase)


@tiny
def test_the_same_seed_gives_the_same_sample_and_another_one_another(kind, name):
    model = fresh(kind, name).eval()
    batch = batch_of(model)
    for label, method, _ in methods(model, "sample"):
        given = inputs(method, batch, 3)
        one, two, other = (method(*given, generator=generator(s)) for s in (0, 0, 1))
        assert torch.equal(one, two), label
        assert not torch.equal(one, other), label
        counted = not any(isinstance(x, torch.Tensor) for x in given)
        assert torch.isfinite(one).all() and len(one) == (3 if counted else 4)


@tiny
def test_rows_of_a_batch_are_independent_in_eval_mode(kind, name):
    model = fresh(kind, name).eval()
    batch = batch_of(model)
    for label, method, _ in methods(model, "encode_", "features", "logits"):
        given = inputs(method, batch, 4)
        alone = method(*(x[1:2] for x in given))
        assert torch.allclose(method(*given)[1:2], alone, atol=1e-5), label


@tiny
def test_padding_changes_nothing(kind, name):
    model = fresh(kind, name).eval()
    batch = batch_of(model)
    for label, method, keys in methods(model, "encode_"):
        if "mask" in keys:
            noise = (batch["tokens"] + 7) % 11
            tokens = torch.where(batch["mask"], batch["tokens"], noise)
            before = method(*inputs(method, batch, 4))
            after = method(*inputs(method, batch | {"tokens": tokens}, 4))
            assert torch.allclose(before, after, atol=1e-6), label


@tiny
def test_unknown_tokens_padding_in_front_and_empty_texts_are_refused(
    kind, name, as_a_reader
):
    model = fresh(kind, name).eval()
    batch = batch_of(model)
    for label, method, keys in methods(
        model, "encode_text", "encode_source", "logits", "generate", "sample"
    ):
        for key in {"tokens", "source"} & {*keys} & {*batch}:
            mask = {"tokens": "mask", "source": "source_mask"}[key]
            bad = [{key: batch[key] + 10**6}, {key: batch[key] - 10**6}]
            if label.startswith(("encode", "generate", "sample")) and mask in keys:
                bad.append({mask: batch[mask].flip(1)})
                bad.append({mask: torch.zeros_like(batch[mask])})
                bad.append({k: batch[k][:, :0] for k in (key, mask)})
            for change in bad:
                with pytest.raises(ValueError, match=f"{key}|{mask}|prompt"):
                    method(*inputs(method, batch | change, 4))


@tiny
def test_the_future_changes_nothing(kind, name):
    model = fresh(kind, name).eval()
    batch = batch_of(model)
    for label, method, _ in methods(model, "logits"):
        before = method(*inputs(method, batch, 4))
        for t in range(1, batch["tokens"].shape[1]):
            tokens = batch["tokens"].clone()
            tokens[:, t:] = (tokens[:, t:] + 5) % 11
            after = method(*inputs(method, batch | {"tokens": tokens}, 4))
            assert torch.allclose(before[:, :t], after[:, :t], atol=1e-5), label
            assert not torch.allclose(before[:, t:], after[:, t:], atol=1e-5), label


@tiny
def test_one_beam_is_greedy(kind, name):
    model = fresh(kind, name).eval()
    batch = batch_of(model)
    for label, method, keys in methods(model, "generate"):
        if "beams" in keys:
            given = inputs(method, batch, 4)
            assert torch.equal(method(*given), method(*given, beams=1)), label


@large
def test_paper_sizes_are_within_one_percent(kind, name):
    with torch.device("meta"):
        model = kind.from_preset(name)
    count = sum(p.numel() for p in model.parameters())
    if name in kind.PAPER_PARAMS:
        assert count == pytest.approx(kind.PAPER_PARAMS[name], rel=0.01)
    assert count > 0


class OneDevice(TorchDispatchMode):
    """Rejects an operation that touches tensors of two devices."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        found = {
            leaf.device.type
            for leaf in tree_leaves((args, kwargs))
            # a number that Python wrapped follows any device, as in eager mode
            if isinstance(leaf, torch.Tensor) and leaf.ndim > 0
        }
        if len(found) > 1 and "copy" not in str(function):
            raise RuntimeError(f"{function} met tensors on {sorted(found)}.")
        out = function(*args, **kwargs)
        made = {x.device.type for x in tree_leaves(out) if isinstance(x, torch.Tensor)}
        if "cpu" in made:
            raise RuntimeError(f"{function} made a tensor on the CPU.")
        return out


@large
def test_a_training_step_at_paper_size_stays_on_one_device(kind, name):
    with torch.device("meta"):
        model = kind.from_preset(name)
    batch = kind.example_batch(model.config, 2, generator=generator(0))
    batch = {key: value.to("meta") for key, value in batch.items()}
    for phase in model.phases():
        with only(model, phase) as learning:
            optimizer = torch.optim.AdamW(learning, lr=1e-3, foreach=False)
            with OneDevice():
                model.loss(batch, phase=phase)["loss"].backward()
            optimizer.step()
        with OneDevice():
            model.after_step(0, phase=phase)


def test_the_device_test_sees_a_tensor_on_another_device():
    x = torch.zeros(2, 2, device="meta")
    with OneDevice(), pytest.raises(RuntimeError, match="made a tensor on the CPU"):
        x @ torch.zeros(2, 2)
    w = torch.zeros(2, 2)
    with OneDevice(), pytest.raises(RuntimeError, match="met tensors on"):
        x @ w
