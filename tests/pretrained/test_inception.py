"""Inception-v3 of the FID weights: a file in the public format, pieces by hand, and the
numbers of torch-fidelity's network on the same random weights."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmdl_lib.core import generator
from mmdl_lib.metrics.fid import fid
from mmdl_lib.metrics.inception_score import inception_score
from mmdl_lib.pretrained import inception
from mmdl_lib.pretrained.features import (
    inception_features,
    inception_logits,
    shapes_features,
)
from mmdl_lib.pretrained.inception import ConvNorm, Inception, Mixed
from tests.parity.inception_reference import (
    STORE,
    few,
    file_shapes,
    pictures,
    random_state,
)

STORED = json.loads(STORE.read_text())


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Random weights in the format of the public file."""
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(random_state(STORED["convs"]), path)
    return path


@pytest.fixture(scope="module")
def model(file):
    return inception.load(file)


@pytest.fixture
def empty():
    """The network without numbers: shapes only."""
    with torch.device("meta"):
        return Inception().eval()


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed)) * 2 - 1


def test_names_and_shapes_are_those_of_the_public_file(empty):
    found = {
        name: tuple(value.shape)
        for name, value in empty.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert found == file_shapes(STORED["convs"])
    for name in (
        "Conv2d_1a_3x3.conv.weight",
        "Mixed_5b.branch1x1.bn.running_mean",
        "Mixed_7c.branch3x3dbl_3b.conv.weight",
        "fc.weight",
    ):
        assert name in found


def test_the_size_is_that_of_torchvision_with_eight_classes_more_and_no_second_head(
    empty,
):
    assert sum(isinstance(m, nn.Conv2d) for m in empty.modules()) == 94
    # the auxiliary head: 1 x 1 to 128, 5 x 5 to 768, their BatchNorms, 1,000 classes
    second = 768 * 128 + 2 * 128 + 128 * 768 * 25 + 2 * 768 + 768 * 1000 + 1000
    count = sum(p.numel() for p in empty.parameters())
    assert count == 27_161_264 - second + 8 * (2048 + 1)


@pytest.mark.parametrize("size", [(1, 1), (299, 299), (480, 200)])
def test_every_size_becomes_8_x_8_positions_and_2048_features(empty, size):
    image = torch.zeros(3, 3, *size, device="meta")
    assert inception.resize(image).shape == (3, 3, 299, 299)
    out = empty(image)
    assert empty.feature_map(image).shape == (3, 2048, 8, 8)
    assert [tuple(x.shape) for x in out] == [(3, 2048), (3, 1008), (3, 1008)]


def test_resizing_has_half_pixel_centers_and_no_antialiasing():
    ramp = torch.tensor([-1.0, 1.0]).expand(1, 3, 2, 2)
    # output pixel i lies at (i + 1/2) 2 / 299 - 1/2 between the pixels 0 and 1
    place = ((torch.arange(299) + 0.5) * 2 / 299 - 0.5).clamp(0, 1)
    assert torch.allclose(inception.resize(ramp)[0, 0, 7], 2 * place - 1, atol=1e-5)
    # three times as large: the middle one of three pixels is taken, not their mean
    large = noise(1, 3, 897, 897)
    assert torch.allclose(inception.resize(large), large[:, :, 1::3, 1::3], atol=1e-3)
    same = noise(1, 3, 299, 299)
    assert torch.equal(inception.resize(same), same)


def piece(kind, inputs, **options):
    """A block whose convolution after the pool does nothing."""
    block = Mixed(kind, inputs, **options).eval()
    if not block.halves:
        block.branch_pool = nn.Identity()
    return block


@pytest.mark.parametrize("kind", "ACE")
def test_the_mean_at_the_border_is_over_the_pixels_that_are_there(kind):
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])[None, None]
    found = piece(kind, 1, c=2, pooled=1).pooled(x)[0, 0]
    assert found[0].tolist() == [3, 3.5, 4]  # (1 + 2 + 4 + 5) / 4, not / 9
    assert found[1].tolist() == [4.5, 5, 5.5]


def test_the_last_block_takes_the_maximum_and_the_one_before_the_mean(empty):
    x = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, -1.0], [-1.0, -1.0, -7.0]])
    found = piece("E", 1, pooled=1, pool="max").pooled(x[None, None])[0, 0]
    assert found.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 0]]
    pools = {n: m.pool for n, m in empty.named_children() if isinstance(m, Mixed)}
    assert [n for n, pool in pools.items() if pool == "max"] == ["Mixed_7c"]


def test_a_block_that_halves_drops_the_border_and_keeps_the_channels():
    x = noise(2, 5, 9, 9)
    block = piece("B", 5)
    with torch.no_grad():
        found = block(x)
    assert found.shape == (2, 384 + 96 + 5, 4, 4)
    assert found[0, -1, 1, 2] == x[0, -1, 2:5, 4:7].max()


def test_branches_are_stacked_in_the_order_of_the_file():
    block = piece("E", 4, pooled=4)
    for i, name in enumerate(("1x1", "3x3_2a", "3x3_2b", "3x3dbl_3a", "3x3dbl_3b")):
        norm = block.get_submodule(f"branch{name}").bn
        nn.init.zeros_(norm.weight)
        nn.init.constant_(norm.bias, i + 1.0)
    with torch.no_grad():
        found = block(torch.full((1, 4, 5, 5), 9.0))[0, :, 2, 2]
    counts = torch.tensor([320, 384, 384, 384, 384, 4])
    want = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 9.0]).repeat_interleave(counts)
    assert torch.equal(found, want)


def test_the_norm_adds_a_thousandth_to_the_variance_and_cuts_below_zero():
    layer = ConvNorm(1, 1, 1).eval()
    nn.init.ones_(layer.conv.weight)
    nn.init.zeros_(layer.bn.running_var)
    found = layer(torch.tensor([[[[2.0, -2.0]]]])).flatten().tolist()
    assert found == [pytest.approx(2 / 0.001**0.5, rel=1e-5), 0]


@torch.no_grad()
def test_the_numbers_are_those_of_torch_fidelity(model):
    found = model((pictures().float() - 128) / 128)
    for name in ("features", "logits", "unbiased"):
        mine, theirs = (
            torch.tensor(v) for v in (few(getattr(found, name)), STORED[name])
        )
        # float32 through 94 layers, in any order of summation
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-3 * theirs.std()), name


def test_a_loaded_network_is_in_eval_mode_and_frozen(model, file):
    assert not any(m.training for m in model.modules())
    assert not any(p.requires_grad for p in model.parameters())
    state = torch.load(file, weights_only=True)
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in state)


def test_features_are_repeatable_batch_by_batch_and_named_after_the_file(
    file, model, monkeypatch
):
    monkeypatch.setattr(inception, "load", lambda path: model)
    image = noise(2, 3, 40, 30)
    both = inception_features(image, file)
    single = inception_features(image, file, batch=1)
    assert torch.allclose(both.values, single.values, rtol=1e-3, atol=1e-3)
    again = inception_features(image[:1], file)
    assert torch.equal(again.values, single.values[:1])
    # pictures count, and so does the size to which somebody brought them
    assert (single.values[0] - single.values[1]).abs().max() > 0.1
    assert single.values.shape == (2, 2048)
    assert both.source == single.source and "Inception-v3 " in both.source
    logits = inception_logits(image[:1], file)
    want = single.values[:1] @ model.fc.weight.T
    assert torch.allclose(logits.values, want, rtol=1e-3, atol=1e-3)
    assert inception_score(logits, splits=1).source == logits.source
    # two networks: no distance
    ours = shapes_features(noise(2, 3, 32, 32))
    with pytest.raises(ValueError, match="one source, got 'resnet_shapes' and 'Incep"):
        fid(ours, both)
    with pytest.raises(ValueError, match="features expected one source"):
        fid(both, logits)


def test_the_source_changes_with_the_file_and_not_with_its_name(
    tmp_path, model, monkeypatch
):
    monkeypatch.setattr(inception, "load", lambda path: model)
    # the network is not what is tested here
    monkeypatch.setattr(model, "forward", lambda x: inception.InceptionOutput(x, x, x))
    sources = []
    for name, text in (("a.pth", "one"), ("b.pth", "one"), ("c.pth", "two")):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(
            "mmdl_lib.pretrained.features._each", lambda *_: torch.ones(2, 2)
        )
        sources.append(inception_features(noise(2, 3, 8, 8), tmp_path / name).source)
    assert sources[0] == sources[1] != sources[2]
    # sha256 of "one"
    assert "7692c3ad" in sources[0]


@pytest.mark.parametrize("kind", ["half", "counted"])
def test_files_in_half_precision_or_with_batch_counts_are_read(tmp_path, kind):
    state = random_state(STORED["convs"])
    if kind == "half":
        state = {name: value.half() for name, value in state.items()}
    else:
        for name in STORED["convs"]:
            state[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    model = inception.load(path)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.fc.weight, state["fc.weight"].float())
    counts = model.Mixed_7c.branch_pool.bn.num_batches_tracked
    assert counts == (7 if kind == "counted" else 0)


def test_missing_damaged_and_foreign_files_are_named_in_one_sentence(tmp_path, file):
    with pytest.raises(FileNotFoundError, match="fetch pt_inception-2015-12-05"):
        inception.load(tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError, match="expected the FID weights"):
        inception.load(tmp_path)
    path = tmp_path / "weights.pth"
    path.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="a damaged file or one of another kind"):
        inception.load(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="a damaged file or one of another kind"):
        inception.load(path)
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"Conv2d_1a_3x3.conv.weight of .*got None"):
        inception.load(path)


def torchvisions(state):
    return state | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}


@pytest.mark.parametrize(
    "change, sentence",
    [
        (torchvisions, r"fc.weight of shape \(1008, 2048\), got \(1000, 2048\)"),
        (
            lambda s: s | {"AuxLogits.fc.bias": s["fc.bias"]},
            r"AuxLogits.fc.bias .*None",
        ),
        (
            lambda s: {k: v for k, v in s.items() if "7c.branch1x1.bn.b" not in k},
            "None",
        ),
        (lambda s: s | {"fc.bias": 3}, "a damaged file or one of another kind"),
    ],
)
def test_the_weights_of_other_inceptions_are_refused(tmp_path, change, sentence):
    # no numbers needed: zeros that share their memory
    shapes = file_shapes(STORED["convs"])
    state = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}
    path = tmp_path / "weights.pth"
    torch.save(change(state), path)
    with pytest.raises(ValueError, match=sentence):
        inception.load(path)


@pytest.mark.parametrize(
    "image, sentence",
    [
        (torch.zeros(2, 1, 9, 9), "three channels"),
        (torch.zeros(0, 3, 9, 9), "at least one"),
        (torch.full((1, 3, 9, 9), 255.0), r"pixels in \[-1, 1\]"),
        (torch.zeros(1, 3, 9, 9, dtype=torch.uint8), "pictures as floats"),
        (torch.full((1, 3, 9, 9), torch.nan), r"pixels in \[-1, 1\]"),
    ],
)
def test_bad_pictures_are_named_in_one_sentence(model, image, sentence):
    with pytest.raises(ValueError, match=sentence):
        model(image)


def test_the_bias_moves_the_logits_and_not_what_the_score_takes(model):
    x = torch.zeros(1, 3, 299, 299)
    features = torch.rand(1, 2048, generator=generator(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "feature_map", lambda x: features[..., None, None])
        out = model(x)
    assert torch.equal(out.features, features)
    assert torch.allclose(out.logits, F.linear(features, *model.fc.parameters()))
    assert torch.allclose(out.logits - out.unbiased, model.fc.bias, atol=1e-5)
