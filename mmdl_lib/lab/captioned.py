"""What recipes of pictures with captions share: batches, foils, retrieval."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import Scenes
from mmdl_lib.lab.runs import rows
from mmdl_lib.metrics.retrieval import median_rank, ranks, recall_at


def captioned(
    batch_size: int,
    seed: int,
    *,
    image: Tensor,
    texts: Sequence[tuple[Tensor, Tensor]],
    **data: Tensor,
) -> Callable[[int], dict]:
    """`batches(step)` of pictures, all with the same of their captions in one step.

    Args:
        batch_size, seed: as in `lab.rows`.
        image: bytes or floats.
        texts: tokens and mask of the first captions, the second captions, and so on.
        data: more tensors by name, such as labels.
    """

    def change(batch: dict, random: torch.Generator) -> dict:
        tokens, mask = texts[int(torch.randint(len(texts), (), generator=random))]
        row = batch.pop("row")
        return batch | {"tokens": tokens[row], "mask": mask[row]}

    row = torch.arange(len(image))
    return rows(batch_size, seed, change=change, image=image, row=row, **data)


@torch.no_grad()
def foil_accuracy(
    model: nn.Module, tokenizer: Callable, scenes: Scenes, phenomenon: str
) -> tuple[float, int]:
    """Share of pictures nearer to the true caption than to its foil, and how many."""
    index, true, false = zip(*shapes.foils(scenes, phenomenon), strict=True)
    image = model.encode_image(shapes.to_float(scenes[list(index)].render()))
    near, far = (model.encode_text(*tokenizer(list(t))) for t in (true, false))
    right = (image * near).sum(1) > (image * far).sum(1)
    return right.double().mean().item(), len(index)


def retrieval(similarity: Float[Tensor, "n n"]) -> dict[str, float]:
    """Recall at 1, 5 and 10 and the median rank, by row; right is the diagonal."""
    rank = ranks(similarity, torch.eye(len(similarity), dtype=torch.bool))
    found = {f"R@{k}": recall_at(rank, k) for k in (1, 5, 10)}
    return found | {"median_rank": median_rank(rank)}
