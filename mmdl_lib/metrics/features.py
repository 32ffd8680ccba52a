r"""Features with the name of what made them, for metrics that compare two sets of them.

$$x_i = f(\text{picture}_i) \in \mathbb{R}^d$$

A distance between features says nothing without the network $f$: FID on Inception's
features and FID on ours are different scales. So features carry their source, results
carry it on, and two sources are never mixed.

**Source** The warning is Parmar et al.'s, CVPR 2022, arXiv 2104.11222: even the way in
which pictures are resized before the network changes FID. Name that in the source too.
"""

from dataclasses import dataclass

from torch import Tensor

from mmdl_lib.borders import check_numbers, check_text


@dataclass(frozen=True)
class Features:
    """What a network says about n pictures or texts, d numbers each.

    Attributes:
        values: (n, d), floating point and finite.
        source: the network, its weights and how pictures were prepared.

    Raises:
        ValueError: another shape or type, no row, NaN or infinity, or no source.

    Example:
        >>> import torch
        >>> Features(torch.zeros(5, 3), "shapes classifier, 32 x 32").values.shape
        torch.Size([5, 3])
    """

    values: Tensor
    source: str

    def __post_init__(self):
        check_numbers("features", self.values, "n d")
        if 0 in self.values.shape:
            shape = tuple(self.values.shape)
            raise ValueError(f"features expected some, got shape {shape}.")
        check_text("source", self.source)
        if not self.source.strip():
            raise ValueError("source expected what made the features, got no name.")

    def __len__(self) -> int:
        return len(self.values)


def check_features(features) -> None:
    """Check that features say where they are from.

    Raises:
        ValueError: a bare tensor, or something else.
    """
    if not isinstance(features, Features):
        kind = type(features).__name__
        raise ValueError(f"features expected Features(values, source), got a {kind}.")


def check_same_source(one: Features, two: Features) -> str:
    """The common source of two sets of features.

    Raises:
        ValueError: two sources, or features of unequal width.

    Example:
        >>> import torch
        >>> check_same_source(Features(torch.ones(2, 3), "CLIP, ViT-B/32"),
        ...                   Features(torch.ones(9, 3), "CLIP, ViT-B/32"))
        'CLIP, ViT-B/32'
    """
    check_features(one)
    check_features(two)
    if one.source != two.source:
        raise ValueError(
            f"features expected one source, got {one.source!r} and {two.source!r}."
        )
    if one.values.shape[1] != two.values.shape[1]:
        raise ValueError(
            f"features expected one width, got {one.values.shape[1]} and "
            f"{two.values.shape[1]} of {one.source!r}."
        )
    return one.source
