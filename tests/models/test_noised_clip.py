"""A CLIP that has seen noise: lengths, steps, and a gradient for one picture each."""

import torch

from mmdl_lib.core import generator
from mmdl_lib.models.glide import GLIDE
from mmdl_lib.models.noised_clip import NoisedCLIP


def make():
    torch.manual_seed(0)
    model = NoisedCLIP.from_preset("tiny").eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(3))
    return model


def batch_of(model, n=5):
    return NoisedCLIP.example_batch(model.config, n, generator=generator(1))


def test_both_towers_give_vectors_of_length_one():
    model, batch = make(), batch_of(make())
    step = torch.tensor([0, 9, 20, 30, 49])
    for vector in (
        model.encode_image(batch["image"], step),
        model.encode_text(batch["tokens"], batch["mask"]),
    ):
        assert torch.allclose(vector.norm(dim=1), torch.ones(5))


def test_the_step_is_heard():
    model, batch = make(), batch_of(make())
    one, two = (
        model.encode_image(batch["image"], torch.full((5,), step)) for step in (0, 40)
    )
    assert (one - two).abs().max() > 1e-3


def test_padding_is_not_read():
    model, batch = make(), batch_of(make())
    other = torch.where(batch["mask"], batch["tokens"], 25 - batch["tokens"])
    one, two = (model.encode_text(t, batch["mask"]) for t in (batch["tokens"], other))
    assert torch.allclose(one, two, atol=1e-6)


def test_what_it_likes_is_the_scaled_cosine_of_each_picture_and_its_caption():
    model, batch = make(), batch_of(make())
    step = torch.full((5,), 7)
    table = model(batch["image"], step, batch["tokens"], batch["mask"])
    liking = model.liking(batch["tokens"], batch["mask"])(batch["image"], step)
    assert torch.allclose(liking, table.diagonal(), atol=1e-5)
    cosines = table / model.log_scale.exp()
    assert cosines.abs().max() <= 1 and model.log_scale.exp() > 5
    # the wrong version: a cosine without the learned factor
    assert not torch.allclose(liking, cosines.diagonal(), rtol=0.1)


def test_steps_of_a_batch_are_taken_and_otherwise_drawn():
    model, batch = make(), batch_of(make())
    seen = []
    encode = model.encode_image
    model.encode_image = lambda x, step: seen.append(step) or encode(x, step)
    model.loss(batch | {"step": torch.arange(5)})
    del batch["step"]
    model.loss(batch, generator=generator(0))
    assert seen[0].tolist() == [0, 1, 2, 3, 4]
    assert sorted((seen[1] // 10).tolist()) == [0, 1, 2, 3, 4]


def test_a_guided_draw_is_liked_more():
    torch.manual_seed(0)
    glide, clip = GLIDE.from_preset("tiny").eval(), make()
    batch = batch_of(clip, 8)
    given = batch["tokens"], batch["mask"]
    pull, liked = clip.liking(*given), []
    for scale in (0, 3):
        how = {"pull": pull, "pull_scale": scale, "generator": generator(0)}
        image = glide.sample(*given, scale=0, steps=10, **how)
        with torch.no_grad():
            liked.append(pull(image, torch.zeros(8, dtype=torch.long)).mean())
    assert liked[1] > liked[0] + 0.1
