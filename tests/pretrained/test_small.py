"""Our own files: saved and read for every preset, with digest, recipe and kind."""

import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from mmdl_lib import pretrained
from mmdl_lib.core import generator, models
from mmdl_lib.models.clip import CLIP
from mmdl_lib.models.clip import ViTConfig as Vision
from mmdl_lib.models.dino import DINO, DINOConfig
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.models.perceptron import Adaline
from mmdl_lib.models.resnet import ResNet, ResNetConfig
from mmdl_lib.models.vit import ViTConfig
from mmdl_lib.pretrained import files, small

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 1_000_000  # numbers; beyond, the shapes must do
SLUGS = [p.stem for p in (ROOT / "mmdl_lib/models").glob("*.py")]
SHIPPED = sorted(small.WEIGHTS.glob("*.safetensors"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Nothing is written among the weights of the book."""
    monkeypatch.setattr(small, "WEIGHTS", tmp_path)


def presets():
    for label, kind in models().items():
        for name in kind.PRESETS:
            slug = label.partition(".")[0]
            yield pytest.param(slug, kind, name, id=f"{label}-{name}")


def random_model(kind, name):
    """Random parameters, and running statistics that half precision would lose."""
    torch.manual_seed(0)
    model = kind.from_preset(name).eval()
    for name, value in model.named_buffers():
        if name.endswith("running_mean"):
            value.uniform_(-1e-7, 1e-7)
        if name.endswith("running_var"):
            value.uniform_(1e5, 2e5)
    return model


@pytest.mark.parametrize("form", ["new", "old"])
@pytest.mark.parametrize(("slug", "kind", "name"), list(presets()))
def test_the_config_of_every_preset_comes_back(slug, kind, name, form):
    config = kind.PRESETS[name]
    told = config.to_dict() if form == "new" else asdict(config)
    again = small.config(kind, json.loads(json.dumps(told)))
    assert again == config and type(again) is type(config)
    assert hash(again) == hash(config)  # tuples all the way down, no lists


def shapes_of(kind, config):
    with torch.device("meta"):
        return {name: v.shape for name, v in kind(config).state_dict().items()}


@pytest.mark.parametrize(("slug", "kind", "name"), list(presets()))
def test_every_preset_is_saved_and_comes_back(slug, kind, name):
    shapes = shapes_of(kind, kind.PRESETS[name])
    if sum(shape.numel() for shape in shapes.values()) > LARGEST:
        told = json.loads(json.dumps(kind.PRESETS[name].to_dict()))
        assert shapes_of(kind, small.config(kind, told)) == shapes
        return
    model = random_model(kind, name)
    path = pretrained.save(model, slug, "noise")
    assert [path] == list(small.WEIGHTS.iterdir())
    again = small.load(slug, "noise")
    assert type(again) is kind and again.config == model.config
    assert not any(module.training for module in again.modules())
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, value in model.state_dict().items():
        stored = again.state_dict()[name]
        want = value.half().float() if name in parameters else value
        assert torch.equal(stored, want) and stored.dtype == value.dtype, name


def test_parameters_are_stored_in_half_precision_and_buffers_as_they_are():
    model = random_model(ResNet, "tiny")
    stored, _ = files.read(pretrained.save(model, "resnet", "noise"))
    kinds = {name: value.dtype for name, value in stored.items()}
    assert kinds["classifier.weight"] == torch.float16
    running = {v for k, v in kinds.items() if "running" in k}
    assert running == {torch.float32}
    assert {v for k, v in kinds.items() if "num_batches" in k} == {torch.int64}


@pytest.mark.parametrize("place", ["parameter", "buffer"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 1e6])
def test_numbers_that_cannot_be_stored_are_refused(place, bad):
    model = random_model(ResNet, "tiny")
    values = dict(
        model.named_parameters() if place == "parameter" else model.named_buffers()
    )
    name = next(n for n in values if n.endswith(("running_var", "classifier.weight")))
    values[name].data.flatten()[0] = bad
    if place == "buffer" and bad == 1e6:  # small enough for 32 bits
        pretrained.save(model, "resnet", "noise")
        return
    with pytest.raises(ValueError, match=f"got NaN or infinity in {name}"):
        pretrained.save(model, "resnet", "noise")
    assert list(small.WEIGHTS.iterdir()) == []


def test_weights_that_two_modules_share_are_saved():
    model = random_model(ResNet, "tiny")
    model.again, model.norm = model.classifier, model.stem[0]
    stored, _ = files.read(pretrained.save(model, "resnet", "noise"))
    assert stored.keys() == model.state_dict().keys()
    assert torch.equal(stored["again.weight"], stored["classifier.weight"])
    assert stored["again.weight"].dtype == torch.float16
    assert torch.equal(stored["norm.1.running_var"], stored["stem.0.1.running_var"])


class Noting(ResNet):
    """What a recipe trains to take notes."""


def test_a_subclass_is_saved_as_the_model_of_the_file_and_a_stranger_refused():
    torch.manual_seed(0)
    model = Noting(ResNet.PRESETS["tiny"])
    pretrained.save(model, "resnet", "noise")
    assert type(pretrained.load("resnet", "noise")) is ResNet
    with pytest.raises(ValueError, match="model of mmdl_lib.models.vit, got Noting"):
        pretrained.save(model, "vit", "noise")


def test_a_file_with_several_models_is_read_by_the_name_of_its_class(monkeypatch):
    module = SimpleNamespace(Noting=Noting, Adaline=Adaline, other=3)
    monkeypatch.setitem(sys.modules, "mmdl_lib.models.two", module)
    module.__name__ = Noting.__module__
    assert small.model_class("two") is Noting  # the other is imported
    module.Second = type("Second", (Noting,), {"__module__": Noting.__module__})
    assert small.model_class("two", "Second") is module.Second
    for name in (None, "Third", "Adaline"):
        with pytest.raises(ValueError, match="one of Noting, Second as model, got"):
            small.model_class("two", name)


def test_the_words_of_a_tokenizer_come_back_in_their_order():
    torch.manual_seed(0)
    model = CLIP(replace(CLIP.PRESETS["tiny-vit"], vocab=6))
    path = pretrained.save(model, "clip", "noise", words=["c", "a", "ß"])
    again, tokenizer = pretrained.load("clip", path)
    assert tokenizer.words == ["c", "a", "ß"] and tokenizer.vocab == 6
    assert again.config == model.config
    assert tokenizer.length == model.config.context
    pretrained.save(model, "clip", "noise")
    with pytest.raises(ValueError, match="expected the words of the tokenizer in"):
        pretrained.load("clip", path)


@pytest.mark.parametrize(
    "slug", sorted({label.partition(".")[0] for label in models()})
)
def test_missing_weights_name_the_recipe_of_their_chapter(slug):
    with pytest.raises(FileNotFoundError, match="run `python recipes/") as caught:
        small.load(slug, "none")
    recipe = str(caught.value).split("`")[1].removeprefix("python ")
    assert (ROOT / recipe).is_file()
    # models that share a chapter share its recipe
    shared = {"alexnet": "history", "perceptron": "history", "dino": "byol"}
    shared |= {"fasttext": "word2vec", "glove": "word2vec", "bahdanau": "seq2seq"}
    shared |= {"t5": "bert", "captioner": "captioning", "scst": "captioning"}
    shared |= {"show_attend_tell": "captioning", "hard_attention": "captioning"}
    shared |= {"up_down": "captioning", "dcgan": "gan", "stackgan": "gan_int_cls"}
    shared |= {"attngan": "gan_int_cls", "vqvae": "vae", "vqgan": "vae"}
    shared |= {"dvae": "dalle", "ddpm": "glide", "noised_clip": "glide"}
    shared |= {"noised_classifier": "glide"}
    shared |= {"dalle2_prior": "dalle2", "parti": "imagen"}
    shared |= {"vit_vqgan": "imagen"}
    shared |= {"multimodal_skipgram": "grounded_space"}
    shared |= {"bovw_svd": "concat_fusion"}
    shared |= dict.fromkeys(["autoencoder_kl", "vqgan_clip"], "latent_diffusion")
    shared |= dict.fromkeys(["imagined", "iace", "flava"], "vokenization")
    assert recipe == f"recipes/{(shared | {'swav': 'byol'}).get(slug, slug)}.py"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_missing_weights_name_the_recipe_that_writes_them(path):
    slug = max((s for s in SLUGS if path.stem.startswith(f"{s}_")), key=len)
    source = path.stem.removeprefix(f"{slug}_")
    with pytest.raises(FileNotFoundError) as caught:
        small.load(slug, source)
    recipe = str(caught.value).split("`")[1].removeprefix("python ")
    text = (ROOT / recipe).read_text("utf-8")
    assert "save_weights(" in text and slug in text
    # where the source stands in the call, or is the usual one, no other recipe has it
    usual = r'(, "shapes")?(\)|, \w+=)' if source == "shapes" else f', "{source}"'
    said = re.compile(rf'save_weights\([^\n]*"{slug}"{usual}')
    named = [p for p in (ROOT / "recipes").glob("*.py") if said.search(p.read_text())]
    assert named in ([], [ROOT / recipe])


def test_the_two_other_nets_of_glide_have_a_recipe_of_their_own():
    for source in ("shapes-upsampler", "shapes-inpaint"):
        assert small.recipe("glide", f"glide_{source}") == "recipes/glide_further.py"
    assert small.recipe("glide", "glide_shapes") == "recipes/glide.py"
    (path,) = (p for p in SHIPPED if p.stem == "glide_shapes-inpaint")
    assert small.load("glide", path).config == GLIDE.PRESETS["shapes-inpaint"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_are_sealed_and_as_their_writer_would_write_them(path, tmp_path):
    slug = max((s for s in SLUGS if path.stem.startswith(f"{s}_")), key=len)
    again = tmp_path / "again.safetensors"
    again.write_bytes(path.read_bytes())
    small.seal(slug, again)
    assert again.read_bytes() == path.read_bytes()
    assert small.load(slug, path).config.to_dict() == files.read(path)[1]["config"]


@pytest.mark.parametrize("name", ["tiny", "ViT-XS/4"])
def test_a_file_of_the_form_before_the_digest_is_read_and_sealed(tmp_path, name):
    model = random_model(DINO, name)
    path = tmp_path / "old.safetensors"
    state = {k: v.clone() for k, v in model.state_dict().items()}
    facts = {"config": json.dumps(asdict(model.config)), "words": "a b"}
    save_file(state, path, metadata=facts)
    assert small.load("dino", path).config == model.config
    small.seal("dino", path)
    with safe_open(path, "pt") as file:
        assert list(file.metadata()) == ["mmdl"]
    again, facts = small.load_with_facts("dino", path)
    assert again.config == model.config and facts["words"] == ["a", "b"]
    assert all(torch.equal(again.state_dict()[k], v) for k, v in state.items())


def test_the_kind_inside_a_union_is_told_by_its_name_or_else_by_its_fields():
    for backbone in (ViTConfig(width=96), ResNetConfig(width=96)):
        config = DINOConfig(backbone=backbone)
        told = config.to_dict()
        assert told["backbone"]["class"] == type(backbone).__name__
        assert small.config(DINO, told) == config
        # a width alone could be of both: the name decides
        told["backbone"] = {"class": type(backbone).__name__, "width": 96}
        assert small.config(DINO, told) == config
    told["backbone"] = {"width": 96}
    with pytest.raises(
        ValueError, match="expected ResNetConfig or ViTConfig, got None"
    ):
        small.config(DINO, told)
    told = CLIP.PRESETS["tiny-vit"].to_dict()
    assert type(small.config(CLIP, told).vision) is Vision


@pytest.mark.parametrize(
    "change",
    [
        lambda state, facts: facts.pop("config"),
        lambda state, facts: facts.update(model="VGG"),
        lambda state, facts: facts["config"].update({"class": "ViTConfig"}),
        lambda state, facts: facts["config"].update(widht=3),
        lambda state, facts: facts["config"].update(width=17),
        lambda state, facts: facts.update(config=[1]),
        lambda state, facts: state.pop("classifier.bias"),
        lambda state, facts: state.update(x=torch.zeros(1)),
    ],
)
def test_a_foreign_file_is_named_with_the_recipe(change):
    path = pretrained.save(random_model(ResNet, "tiny"), "resnet", "noise")
    state, facts = files.read(path)
    change(state, facts)
    files.write(path, state, facts)
    with pytest.raises(ValueError, match="written by recipes/resnet.py in .*foreign"):
        pretrained.load("resnet", path)


@torch.no_grad()
def test_what_was_saved_computes_the_same():
    model = random_model(ResNet, "tiny-bottleneck")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
    again = small.load("resnet", pretrained.save(model, "resnet", "noise"))
    image = ResNet.example_batch(model.config, 2, generator=generator(0))["image"]
    # half precision on disk: eleven bits
    assert torch.allclose(again(image), model(image), rtol=1e-2, atol=1e-2)
