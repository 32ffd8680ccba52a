"""What every model of the book keeps; found in the folder, so none can be forgotten."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmdl_lib.core import generator, models

ROOT = Path(__file__).resolve().parents[1]
SLUGS = sorted(
    p.stem for p in (ROOT / "mmdl_lib/models").glob("*.py") if p.stem != "__init__"
)
PARTS = ["**Paper**", "**Book**", "**Symbols**", "**Differs from the paper**"]
PARTS += ["**Builds on**"]


def tiny_presets():
    for label, kind in models().items():
        for name in kind.PRESETS:
            if name.startswith("tiny"):
                yield pytest.param(kind, name, id=f"{label}-{name}")


def paper_presets():
    for label, kind in models().items():
        for name in kind.PAPER_PARAMS:
            yield pytest.param(kind, name, id=f"{label}-{name}")


def fresh(kind, name):
    torch.manual_seed(0)
    return kind.from_preset(name)


def batch_of(model, n=4):
    return type(model).example_batch(model.config, n, generator=generator(5))


def losses(model):
    for phase in model.phases():
        yield phase, model.loss(batch_of(model), phase=phase)


def chapter_of(slug):
    """The chapter that a model file names: its own slug, or that of a shared one."""
    said = (ROOT / f"mmdl_lib/models/{slug}.py").read_text()
    return re.search(r"^\*\*Book\*\* `sec-([\w]+)`", said, re.M).group(1)


@pytest.mark.parametrize("slug", SLUGS)
def test_the_slug_names_all_that_belongs_to_a_model(slug):
    chapter = chapter_of(slug)
    files = [f"tests/models/test_{slug}.py", f"recipes/{chapter}.py"]
    files += [f"results/{chapter}.json"]
    assert [f for f in files if not (ROOT / f).exists()] == []
    # one model of a chapter with weights is enough: `alexnet_*` serves `history`
    fellows = [other for other in SLUGS if chapter_of(other) == chapter]
    weights = [p.stem.rsplit("_", 1)[0] for p in (ROOT / "mmdl_lib/weights").glob("*")]
    assert set(weights) & {chapter, *fellows}
    notebook = list((ROOT / "notebooks").glob(f"*/{chapter}.ipynb"))
    assert len(notebook) == 1
    assert f"(sec-{chapter})=" in notebook[0].read_text()
    assert f"(sec-{slug})=" in notebook[0].read_text()


def test_nothing_measured_lacks_its_recipe():
    recipes = {p.stem for p in (ROOT / "recipes").glob("*.py")}
    for file in (ROOT / "results").glob("*.json"):
        assert file.stem in recipes, file.name
    for file in (ROOT / "mmdl_lib/weights").glob("*"):
        slug = file.stem.rsplit("_", 1)[0]
        assert slug in recipes or chapter_of(slug) in recipes, file.name


def test_weights_keep_to_their_budget():
    sizes = [p.stat().st_size for p in (ROOT / "mmdl_lib/weights").glob("*")]
    assert max(sizes) <= 2_000_000
    assert sum(sizes) <= 25_000_000


@pytest.mark.parametrize("slug", SLUGS)
def test_a_model_file_has_the_parts_of_its_docstring_and_at_most_400_lines(slug):
    text = (ROOT / f"mmdl_lib/models/{slug}.py").read_text()
    said = ast.get_docstring(ast.parse(text))
    places = [said.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert re.search(r"arXiv \d{4}\.\d{4,5}|doi", said)
    assert len(text.splitlines()) <= 400


@pytest.mark.parametrize("folder", ["models", "nn", "metrics"])
def test_models_and_blocks_neither_print_nor_log_nor_read_files(folder):
    for file in (ROOT / "mmdl_lib" / folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "open", "tqdm"), file.name
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", "")]
                assert not {"logging", "tqdm", "pathlib"} & set(names), file.name


@pytest.mark.parametrize("kind", list(models().values()))
def test_configs_are_frozen_and_keyword_only(kind):
    for config in kind.PRESETS.values():
        assert dataclasses.is_dataclass(config)
        assert type(config).__dataclass_params__.frozen
        assert all(field.kw_only for field in dataclasses.fields(config))
        assert hash(config) is not None


@pytest.mark.parametrize(("kind", "name"), list(tiny_presets()))
def test_losses_are_finite_numbers_under_loss(kind, name):
    for _, terms in losses(fresh(kind, name)):
        assert terms["loss"].ndim == 0
        assert all(torch.isfinite(value) for value in terms.values())


@pytest.mark.parametrize(("kind", "name"), list(tiny_presets()))
def test_every_trainable_parameter_gets_a_gradient_in_its_phase(kind, name):
    model = fresh(kind, name)
    for phase, terms in losses(model):
        model.zero_grad(set_to_none=True)
        terms["loss"].backward()
        names = {id(p): n for n, p in model.named_parameters()}
        without = [names[id(p)] for p in model.trainable(phase) if p.grad is None]
        still = [
            names[id(p)]
            for p in model.trainable(phase)
            if p.grad is not None and not p.grad.any() and p.numel() > 1
        ]
        assert without == []
        # an embedding row that no token used has none, but never a whole tensor
        assert still == []


@pytest.mark.parametrize(("kind", "name"), list(tiny_presets()))
def test_one_batch_is_learned(kind, name):
    model = fresh(kind, name)
    batch = batch_of(model, 6)
    for phase in model.phases():
        optimizer = torch.optim.AdamW(model.trainable(phase), lr=1e-3)
        first = model.loss(batch, phase=phase)["loss"].item()
        for _ in range(40):
            optimizer.zero_grad()
            loss = model.loss(batch, phase=phase)["loss"]
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.5 * first


@pytest.mark.parametrize(("kind", "name"), list(tiny_presets()))
def test_a_state_dict_makes_the_same_model(kind, name):
    model = fresh(kind, name).eval()
    torch.manual_seed(1)
    other = kind.from_preset(name).eval()
    batch = batch_of(model)
    before = other.loss(batch)["loss"]
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.loss(batch)["loss"], model.loss(batch)["loss"])
    assert not torch.equal(before, model.loss(batch)["loss"])


@pytest.mark.parametrize(("kind", "name"), list(tiny_presets()))
def test_the_same_seed_gives_the_same_output(kind, name):
    one, two = (fresh(kind, name) for _ in range(2))
    torch.manual_seed(2)
    first = one.loss(batch_of(one))["loss"]
    torch.manual_seed(2)
    assert torch.equal(first, two.loss(batch_of(two))["loss"])


def encoders(model):
    """Public encoders and the batch keys that they take, by their arguments' names."""
    for name, method in inspect.getmembers(model, inspect.ismethod):
        if name.startswith("encode_"):
            yield name, method, list(inspect.signature(method).parameters)


@pytest.mark.parametrize(("kind", "name"), list(tiny_presets()))
def test_rows_of_a_batch_are_independent_in_eval_mode(kind, name):
    model = fresh(kind, name).eval()
    batch = batch_of(model)
    for label, encode, keys in encoders(model):
        whole = encode(*(batch[key] for key in keys))
        alone = encode(*(batch[key][1:2] for key in keys))
        assert torch.allclose(whole[1:2], alone, atol=1e-5), label


@pytest.mark.parametrize(("kind", "name"), list(tiny_presets()))
def test_padding_changes_nothing(kind, name):
    model = fresh(kind, name).eval()
    batch = batch_of(model)
    for label, encode, keys in encoders(model):
        if "mask" in keys:
            noise = (batch["tokens"] + 7) % 11
            other = batch | {
                "tokens": torch.where(batch["mask"], batch["tokens"], noise)
            }
            before, after = (encode(*(b[key] for key in keys)) for b in (batch, other))
            assert torch.allclose(before, after, atol=1e-6), label


@pytest.mark.parametrize(("kind", "name"), list(paper_presets()))
def test_paper_sizes_are_within_one_percent(kind, name):
    with torch.device("meta"):
        model = kind.from_preset(name)
    count = sum(p.numel() for p in model.parameters())
    assert count == pytest.approx(kind.PAPER_PARAMS[name], rel=0.01)


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


def step_on_meta(kind, name):
    with torch.device("meta"):
        model = kind.from_preset(name)
    batch = kind.example_batch(model.config, 2, generator=generator(0))
    batch = {key: value.to("meta") for key, value in batch.items()}
    for phase in model.phases():
        optimizer = torch.optim.AdamW(model.trainable(phase), lr=1e-3, foreach=False)
        with OneDevice():
            model.loss(batch, phase=phase)["loss"].backward()
        optimizer.step()


@pytest.mark.parametrize(("kind", "name"), list(paper_presets()))
def test_a_training_step_at_paper_size_stays_on_one_device(kind, name):
    step_on_meta(kind, name)


def test_the_device_test_sees_a_tensor_on_another_device():
    x = torch.zeros(2, 2, device="meta")
    with OneDevice(), pytest.raises(RuntimeError, match="made a tensor on the CPU"):
        x @ torch.zeros(2, 2)
    w = torch.zeros(2, 2)
    with OneDevice(), pytest.raises(RuntimeError, match="met tensors on"):
        x @ w
