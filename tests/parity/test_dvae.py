"""Same weights in, same numbers out: encoder, decoder, pixels of OpenAI's package."""

import pytest
import torch
from dall_e import Decoder, Encoder, map_pixels, unmap_pixels

from mmdl_lib.core import generator
from mmdl_lib.models import dvae

NAMES = {
    "ours": "mmdl_lib.models.dvae",
    "package": "dall-e",
    "reference": "dall-e 0.1 (OpenAI)",
}
CONFIG = dvae.DVAEConfig(image_size=32, hidden=64, init=16, blocks=2, codes=512)


def copied():
    """Our model with the weights of a small pair of theirs."""
    torch.manual_seed(0)
    sizes = {"n_hid": 64, "n_blk_per_group": 2, "vocab_size": 512}
    theirs = Encoder(**sizes), Decoder(n_init=16, **sizes)
    for part in theirs:
        for name, p in part.named_parameters():
            if name.endswith(".b"):
                p.data += 0.1 * torch.randn(p.shape, generator=generator(len(name)))
    model = dvae.DVAE(CONFIG).eval()
    for ours, part in zip((model.encoder, model.decoder), theirs, strict=True):
        blocks = [m for m in ours if isinstance(m, dvae.ResBlock)]
        others = [m for m in part.modules() if type(m).__name__.endswith("Block")]
        for one, two in zip(blocks, others, strict=True):
            assert one.gain == two.post_gain
            for i, conv in enumerate(one.convs):
                put(conv, getattr(two.res_path, f"conv_{i + 1}"))
            if isinstance(one.path, dvae.Conv):
                put(one.path, two.id_path)
        ends = [m for m in ours if isinstance(m, dvae.Conv)]
        put(ends[0], part.blocks.input)
        put(ends[1], part.blocks.output.conv)
    return model, *theirs


def put(conv, other):
    conv.weight.data.copy_(other.w)
    conv.bias.data.copy_(other.b)


@torch.no_grad()
def test_dall_e_agrees_on_scores_codes_and_the_density(agree):
    model, encoder, decoder = copied()
    x = torch.rand(2, 3, 32, 32, generator=generator(1))
    theirs = encoder(map_pixels(x))
    ours = model.scores(2 * x - 1)
    agree("dVAE, scores", ours, theirs, tolerance=1e-5, **NAMES)
    codes = model.encode(2 * x - 1)
    what = "dVAE, likeliest codes"
    agree(what, codes.tolist(), theirs.argmax(1).flatten(1).tolist(), tolerance=0,
          **NAMES)  # fmt: skip
    one_hot = torch.nn.functional.one_hot(theirs.argmax(1), 512).movedim(-1, 1).float()
    found = model.decoder(one_hot)
    agree("dVAE, density", found, decoder(one_hot), tolerance=1e-5, **NAMES)
    shown = unmap_pixels(torch.sigmoid(decoder(one_hot)[:, :3]))
    agree("dVAE, pictures", (model.decode(codes) + 1) / 2, shown, tolerance=1e-5,
          **NAMES)  # fmt: skip


def test_dall_e_agrees_on_the_map_of_pixels(agree):
    x = torch.rand(2, 3, 5, 5, generator=generator(1))
    agree("dVAE, mapped pixels", dvae.map_pixels(2 * x - 1), map_pixels(x),
          tolerance=1e-6, **NAMES)  # fmt: skip
    wide = 2 * x - 0.5
    agree("dVAE, unmapped pixels", (dvae.unmap_pixels(wide) + 1) / 2,
          unmap_pixels(wide), tolerance=1e-6, **NAMES)  # fmt: skip


@pytest.mark.parametrize("wrong", ["gain", "relu"])
def test_a_wrong_block_is_noticed(wrong):
    model, encoder, _ = copied()
    x = torch.rand(1, 3, 32, 32, generator=generator(1))
    if wrong == "gain":
        for m in model.modules():
            if isinstance(m, dvae.ResBlock):
                m.gain = 1.0
    else:
        model.encoder[-2] = torch.nn.Identity()
    with torch.no_grad():
        difference = model.scores(2 * x - 1) - encoder(map_pixels(x))
    assert difference.abs().max() > 1e-2
