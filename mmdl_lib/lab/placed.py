"""BERT that says where a token's picture lies, beside BERT that says its number."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdl_lib.borders import check_integers, check_numbers
from mmdl_lib.core import seeded
from mmdl_lib.models.bert import hide
from mmdl_lib.models.vokenization import IGNORE, Vokenization, VokenizationConfig


class Placed(Vokenization):
    """The voken head has as many outputs as a picture has numbers, and points at it.

    For the loss of numbers, two pictures of one look are as different as any two; here
    an answer that points at the one points nearly at the other.
    """

    def __init__(self, config: VokenizationConfig, places: Float[Tensor, "k d"]):
        """
        Args:
            config: `vokens` are the numbers of a picture.
            places: of all pictures of the store, of length one.

        Raises:
            ValueError: no finite floats, places of another size, not of length one.
        """
        super().__init__(config)
        check_numbers("places", places, "k d")
        length = places.norm(dim=1)
        if places.shape[1] != config.vokens or (length - 1).abs().max() > 1e-4:
            raise ValueError(
                f"places expected rows of {config.vokens} numbers and of length one, "
                f"got {tuple(places.shape)}, of lengths {length.min():.2f} to "
                f"{length.max():.2f}."
            )
        self.register_buffer("places", places)

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """As in `Vokenization`, with one minus the cosine in the place of log q."""
        config, tokens, mask = self.config, batch["tokens"], batch["mask"]
        check_integers("vokens", batch["vokens"], IGNORE, len(self.places) - 1)
        words = self.words(tokens, mask)
        names = {"vocab": config.vocab, "mask_token": config.mask_token}
        read, chosen = hide(tokens, words, **names, generator=generator)
        with seeded(generator):
            x = self.hidden(read, mask)
        each = F.cross_entropy(self.guess(x).mT, tokens, reduction="none")
        terms = {"words": (each * chosen).sum() / chosen.sum()}
        given = batch["vokens"].masked_fill(~words, IGNORE)
        there = given != IGNORE
        place = self.places[given.clamp(min=0)]
        # mean over i of 1 - cos(h_i, x_v(i))
        apart = 1 - F.cosine_similarity(self.voken_head(x), place, dim=-1)
        terms["vokens"] = (apart * there).sum() / there.sum().clamp(min=1)
        return {"loss": terms["words"] + config.share * terms["vokens"]} | terms
