"""Multi-head attention (Vaswani et al. 2017, arXiv 1706.03762, section 3.2)."""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_flags
from mmdl_lib.nn.positions import Rotary


class Cache:
    """Keys and values of all that one attention layer has read so far.

    Given to `MultiHeadAttention`, it spares the work for earlier positions: the layer
    then reads the new ones only, and adds them.
    """

    def __init__(self):
        self.keys = self.values = self.mask = None

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[2]

    def extend(
        self,
        keys: Float[Tensor, "b heads n d"],
        values: Float[Tensor, "b heads n d"],
        mask: Bool[Tensor, "b n"] | None = None,
    ) -> None:
        """Add positions; without a mask all of them are real."""
        if mask is None:
            mask = keys.new_ones(len(keys), keys.shape[2], dtype=torch.bool)
        if len(self):
            keys = torch.cat([self.keys, keys], 2)
            values = torch.cat([self.values, values], 2)
            mask = torch.cat([self.mask, mask], 1)
        self.keys, self.values, self.mask = keys, values, mask

    def select(self, rows: Int[Tensor, " b2"]) -> "Cache":
        """A new cache with these rows of the batch, in this order."""
        new = Cache()
        if len(self):
            new.extend(self.keys[rows], self.values[rows], self.mask[rows])
        return new


class MultiHeadAttention(nn.Module):
    """Each position of x asks all positions of x, or of a memory, what they hold.

    Masks say True where there is something real, the opposite of torch's own module. A
    query that may see nothing, such as one in a row of padding, gets weights of zero.

    Args:
        width: channels of x.
        heads: h; each has `head_width` channels of queries, keys and values.
        memory_width: channels of the memory of cross-attention; None: self-attention.
        head_width: d_k = d_v; None: `width / heads`.
        bias: whether the four projections have one.
        scale: what the products are multiplied by; None: 1 / sqrt(d_k).
        rotary: rotates queries and keys of self-attention by their positions.
        dropout: share of the attention weights that are dropped in training.

    Raises:
        ValueError: `width` is not a multiple of `heads`, and no `head_width` is given.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        memory_width: int | None = None,
        head_width: int | None = None,
        bias: bool = True,
        scale: float | None = None,
        rotary: Rotary | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        if head_width is None and width % heads:
            raise ValueError(
                f"expected a width that {heads} heads divide, got {width}."
            )
        inner = heads * (head_width or width // heads)
        self.heads, self.scale = heads, scale
        self.rotary, self.dropout = rotary, dropout
        self.crossed = memory_width is not None
        if self.crossed:
            self.q = nn.Linear(width, inner, bias=bias)
            self.kv = nn.Linear(memory_width, 2 * inner, bias=bias)
        else:
            self.qkv = nn.Linear(width, 3 * inner, bias=bias)
        self.out = nn.Linear(inner, width, bias=bias)

    def projections(self) -> list[Float[Tensor, "o i"]]:
        """Weights of q, k, v and out, to be initialized each by itself.

        They share memory with the layers. An initializer that looks at the sides of a
        matrix, such as Glorot's, draws too small numbers if q, k and v come as one.
        """
        if self.crossed:
            inputs = self.q.weight.detach(), *self.kv.weight.detach().chunk(2)
        else:
            inputs = self.qkv.weight.detach().chunk(3)
        return [*inputs, self.out.weight.detach()]

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        mask: Tensor | None = None,
        *,
        memory: Float[Tensor, "b m e"] | None = None,
        causal: bool = False,
        relative: Float[Tensor, "b2 heads n m2"] | None = None,
        cache: Cache | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Mix what the positions hold.

        Args:
            x: what asks; with a cache, the new positions only.
            mask: bool, True on real positions of x (b, n), or of the memory (b, m); or
                (b, n, m), for each query what it may see (with a cache, in
                cross-attention only).
            memory: what is asked in cross-attention.
            causal: hide later positions of x.
            relative: added to the scores before the softmax, such as `RelativeBias`.
            cache: earlier positions, which are also seen; grows by those of x. In
                cross-attention it keeps what the first call computed of the memory.

        Raises:
            ValueError: a mask of another type or shape, a memory missing or too much,
                `causal` in cross-attention.
        """
        q, k, v, allowed = self._inputs(x, mask, memory, causal, cache)
        if relative is not None and allowed is not None:
            relative = torch.where(allowed, relative, -torch.inf)
        y = F.scaled_dot_product_attention(
            *(q, k, v),
            attn_mask=allowed if relative is None else relative,
            dropout_p=self.dropout if self.training else 0.0,
            scale=self.scale,
        )
        return self.out(rearrange(y, "b heads n d -> b n (heads d)"))

    def weights(
        self,
        x: Float[Tensor, "b n d"],
        mask: Tensor | None = None,
        *,
        memory: Float[Tensor, "b m e"] | None = None,
        causal: bool = False,
        relative: Float[Tensor, "b2 heads n m2"] | None = None,
    ) -> Float[Tensor, "b heads n m2"]:
        """The attention weights themselves, for figures, without dropout.

        Each row sums to one, or to zero where nothing may be seen. Arguments and errors
        as in `forward`, which mixes the values with these very weights.
        """
        q, k, _, allowed = self._inputs(x, mask, memory, causal, None)
        # section 3.2.1: softmax(Q K^T / sqrt(d_k))
        scale = q.shape[-1] ** -0.5 if self.scale is None else self.scale
        scores = q @ k.transpose(-1, -2) * scale
        if relative is not None:
            scores = scores + relative
        if allowed is None:
            return scores.softmax(-1)
        # not -inf: where nothing may be seen it gives NaN, and NaN gradients
        lowest = torch.finfo(scores.dtype).min
        return scores.masked_fill(~allowed, lowest).softmax(-1) * allowed

    def _inputs(self, x, mask, memory, causal, cache) -> tuple:
        """Queries, keys, values, and which key each query may see."""
        if self.crossed != (memory is not None):
            wanted, got = ("a", "none") if self.crossed else ("no", "one")
            raise ValueError(f"expected {wanted} memory, got {got}.")
        if self.crossed and causal:
            raise ValueError("expected causal=False in cross-attention, got True.")
        if self.crossed:
            (q,) = self._split(self.q(x), 1)
            cache = Cache() if cache is None else cache
            if not len(cache):
                cache.extend(*self._split(self.kv(memory), 2))
            k, v = cache.keys, cache.values
            check_mask(mask, k, q)
            return q, k, v, visible(q, k, mask, causal=False)
        q, k, v = self._split(self.qkv(x), 3)
        check_mask(mask, k, q if cache is None else None)
        if self.rotary is not None:
            start = 0 if cache is None else len(cache)
            q, k = self.rotary(q, start), self.rotary(k, start)
        if cache is not None:
            cache.extend(k, v, mask)
            k, v, mask = cache.keys, cache.values, cache.mask
        return q, k, v, visible(q, k, mask, causal=causal)

    def _split(self, y: Tensor, parts: int) -> tuple[Tensor, ...]:
        pattern = "b n (parts heads d) -> parts b heads n d"
        return tuple(rearrange(y, pattern, parts=parts, heads=self.heads))


def check_mask(mask: Tensor | None, k: Tensor, q: Tensor | None) -> None:
    """Check a mask over keys (b, m) or, if q is given, over both (b, n, m).

    Raises:
        ValueError: another type or shape.
    """
    if mask is None:
        return
    shapes = [(len(k), k.shape[2])]
    if q is not None:
        shapes.append((len(k), q.shape[2], k.shape[2]))
    check_flags("mask", mask)
    if mask.shape not in shapes:
        wanted = " or ".join(map(str, shapes))
        raise ValueError(f"mask expected shape {wanted}, got {tuple(mask.shape)}.")


def visible(
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    mask: Tensor | None,
    *,
    causal: bool,
) -> Bool[Tensor, "b2 1 n2 m"] | None:
    """Which key (last axis) each query may see; None where all may see all."""
    n, m = q.shape[2], k.shape[2]
    allowed = None
    if mask is not None:
        pattern = "b m -> b 1 1 m" if mask.ndim == 2 else "b n m -> b 1 n m"
        allowed = rearrange(mask, pattern)
    if causal:
        # the queries are the last n of m positions; `is_causal` of torch's function
        # would take them for the first n, and one query would see one key
        past = torch.ones(1, 1, n, m, dtype=torch.bool, device=q.device).tril(m - n)
        allowed = past if allowed is None else allowed & past
    return allowed
