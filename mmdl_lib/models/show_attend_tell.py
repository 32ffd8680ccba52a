"""Show, attend and tell: each word of a caption looks at its own part of the picture.

**Paper** Xu, Ba, Kiros, Cho, Courville, Salakhutdinov, Zemel, Bengio, "Show, Attend and
Tell: Neural Image Caption Generation with Visual Attention", ICML 2015,
arXiv 1502.03044; with `look="mean"` the decoder gets one vector at all times, as the
captioners before it did.

**Book** `sec-captioning`

**Symbols**
- `memory.values (b, n, d)` = a_i, the annotations: one vector for each place
- `h (b, w)`, `cell (b, w)` = h_t, c_t of the LSTM
- `weights (b, n)` = alpha_ti, `context (b, d)` = z_t, `gate (b, 1)` = beta_t
- `doubly` = lambda, the weight of the doubly stochastic term

**Start**
- Layers as in torch, embeddings normal; the place vectors normal with deviation 0.1.

**Differs from the paper**
- The convnet is small and trained with the decoder; the paper's annotations are the
  fixed features of a VGG net. A learned vector for each place is added to them.
- Soft attention only: the hard kind, which draws a place, is `hard_attention`.
- `doubly` weighs a sum over places and a mean over pictures, t over real words only.

**Builds on** `bahdanau` (its softmax over real places), `seq2seq` (loss and checks)
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mmdl_lib.borders import check_image, check_mask, check_number
from mmdl_lib.core import Config, Model
from mmdl_lib.models.bahdanau import Memory, attend
from mmdl_lib.models.seq2seq import END, START, check_tokens, word_loss
from mmdl_lib.nn import LearnedPositions, decode


@dataclass(frozen=True, kw_only=True)
class ShowAttendTellConfig(Config):
    """Hyperparameters; the defaults are our guess of sizes for MS COCO."""

    image_size: int = 224
    stages: tuple[int, ...] = (64, 128, 256, 512)  # channels; each halves the picture
    vocab: int = 10_000
    width: int = 1800
    embed: int = 512
    inner: int = 512  # width of the hidden layer of f_att
    look: Literal["soft", "mean"] = "soft"
    doubly: float = 1.0

    @property
    def places(self) -> int:
        """L, the number of annotations."""
        return (self.image_size >> len(self.stages)) ** 2


class Grid(nn.Module):
    """A small convnet: each cell of its last map is an annotation.

    Args:
        image_size: height and width of the pictures.
        stages: channels of each stage, which halves height and width.
    """

    def __init__(self, image_size: int, stages: tuple[int, ...]):
        super().__init__()
        layers = []
        for before, width in zip((3, *stages[:-1]), stages, strict=True):
            for inputs, stride in ((before, 2), (width, 1)):
                conv = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
                layers += [conv, nn.GroupNorm(8, width), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.side = image_size
        places = (image_size >> len(stages)) ** 2
        self.places = LearnedPositions(places, stages[-1], std=0.1)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        """Annotations, line by line.

        Raises:
            ValueError: no pictures in [-1, 1] of this size.
        """
        check_image(image)
        if image.shape[1:] != (3, self.side, self.side):
            raise ValueError(
                f"image expected shape (b, 3, {self.side}, {self.side}), got "
                f"{tuple(image.shape)}."
            )
        cells = rearrange(self.layers(image), "b d h w -> b (h w) d")
        return cells + self.places(cells.shape[1])


class Teller:
    """What all captioners of the chapter share: training, and decoding step by step.

    A subclass gives `memory`, all that the decoder may know of the pictures; `first`,
    its state before the first token; and `read`: tokens (b, t), state and memory in,
    logits (b, t, k) and the next state out. `SEEN` names what of a batch it sees.
    """

    SEEN = ("image",)

    def known(self, batch: dict):
        """The memory of a batch."""
        return self.memory(*(batch[key] for key in self.SEEN))

    def logits(
        self, tokens: Int[Tensor, "b t"], image: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b t k"]:
        """Scores of the token after each position, all earlier ones given.

        Raises:
            ValueError: as `check_tokens` and `memory`.
        """
        return self.told(tokens, self.memory(image))

    def told(self, tokens: Int[Tensor, "b t"], memory) -> Float[Tensor, "b t k"]:
        """As `logits`, of what is known already.

        Raises:
            ValueError: no token, or an unknown one.
        """
        check_tokens(tokens, self.config.vocab)
        return self.read(tokens, self.first(memory), memory)[0]

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Nats for each token of `tokens`, which are framed by start and end.

        Raises:
            ValueError: a caption without its end; as `logits`.
        """
        check_ended(batch["tokens"], batch["mask"])
        logits = self.told(batch["tokens"], self.known(batch))
        return {"loss": word_loss(logits, batch["tokens"], batch["mask"])}

    @torch.no_grad()
    def search(self, memory, method=decode.greedy, **options):
        """Decode with a function of `mmdl_lib.nn.decode`, which takes the options.

        Raises:
            ValueError: more beams than there are tokens; as the method.
        """
        options = {"end": END} | options
        if "beams" in options:
            check_number("beams", options["beams"], 1, self.config.vocab, whole=True)

        def step(tokens, known):
            logits, state = self.read(tokens[:, None], known[0], known[1])
            return logits[:, 0], (state, known[1])

        values = memory.values
        start = torch.full((len(values),), START, device=values.device)
        return method(step, start, (self.first(memory), memory), **options)

    def spoken(self, memory, *, beams: int | None = None, max_length: int = 30):
        """The likeliest captions found, without their start; greedy without beams."""
        options = {"max_length": max_length}
        if beams is None:
            return self.search(memory, **options).tokens
        options["beams"] = beams
        return self.search(memory, decode.beam_search, **options).tokens[:, 0]

    def generate(
        self,
        image: Float[Tensor, "b 3 h w"],
        *,
        beams: int | None = None,
        max_length: int = 30,
    ) -> Int[Tensor, "b t"]:
        """As `spoken`, of pictures.

        Raises:
            ValueError: as `search` and `memory`.
        """
        return self.spoken(self.memory(image), beams=beams, max_length=max_length)


def check_ended(tokens: Int[Tensor, "b t"], mask: Bool[Tensor, "b t"]) -> None:
    """Check that the last real token of each caption is its end.

    Raises:
        ValueError: a caption without its end; as `check_mask`.
    """
    check_mask(mask, shape=tokens.shape)
    if tokens.is_meta:
        return
    without = int((tokens.gather(1, mask.sum(1, keepdim=True) - 1) != END).sum())
    if without:
        raise ValueError(
            f"tokens expected captions that end with the token {END}, got {without} "
            "without their end."
        )


def example_captions(vocab: int, n: int, generator=None) -> dict[str, Tensor]:
    """Random captions of 4 to 7 tokens, start and end among them, and their mask."""
    tokens = torch.randint(3, vocab, (n, 7), generator=generator)
    size = torch.randint(4, 8, (n, 1), generator=generator)
    mask = torch.arange(7) < size
    tokens[:, 0] = START
    tokens.scatter_(1, size - 1, END)
    return {"tokens": tokens * mask, "mask": mask}


class Score(nn.Module):
    """f_att: e_ti = v . tanh(W h_{t-1} + U a_i)."""

    def __init__(self, width: int, annotation: int, inner: int):
        super().__init__()
        self.query = nn.Linear(width, inner, bias=False)  # W
        self.key = nn.Linear(annotation, inner)  # U; one bias is enough
        self.v = nn.Linear(inner, 1, bias=False)

    def forward(self, h: Float[Tensor, "b w"], keys: Float[Tensor, "b n k"]):
        """Scores (b, n)."""
        return self.v((self.query(h)[:, None] + keys).tanh())[..., 0]


class State(NamedTuple):
    """h and c of the LSTM."""

    h: Float[Tensor, "b w"]
    cell: Float[Tensor, "b w"]


def doubly_stochastic(
    weights: Float[Tensor, "b t n"], mask: Bool[Tensor, "b t"]
) -> Float[Tensor, ""]:
    """How far the looks of a caption are from one for each place in all.

    The sum over places of (1 - sum over words of the weight)^2, then the mean over
    pictures. C words that look everywhere alike give L (1 - C / L)^2.

    Args:
        weights: of word t on place i; each row sums to one.
        mask: True for words that count; padding adds no looks.

    Source: the paper's eq. (14), in which lambda multiplies this sum.
    """
    looks = (weights * mask[..., None]).sum(1)
    return (1 - looks).square().sum(1).mean()


class ShowAttendTell(Teller, Model):
    """A convnet, attention over its cells, and an LSTM that tells what it sees.

    Example:
        >>> model = ShowAttendTell.from_preset("tiny")
        >>> batch = ShowAttendTell.example_batch(model.config, 2)
        >>> model.attention(batch["tokens"], batch["image"]).shape
        torch.Size([2, 7, 16])
    """

    PRESETS = {
        "tiny": ShowAttendTellConfig(
            image_size=16, stages=(8, 16), vocab=40, width=32, embed=16, inner=16
        ),
        "shapes": ShowAttendTellConfig(
            image_size=32,
            stages=(32, 96),
            vocab=38,
            width=128,
            embed=64,
            inner=32,
            doubly=0.0,
        ),
        "coco": ShowAttendTellConfig(),
    }
    LEARNED = {"main": 0.9}

    def __init__(self, config: ShowAttendTellConfig):
        super().__init__(config)
        c, d = config, config.stages[-1]
        self.encoder = Grid(c.image_size, c.stages)
        self.score = Score(c.width, d, c.inner)
        self.gate = nn.Linear(c.width, 1)
        self.embedding = nn.Embedding(c.vocab, c.embed)
        self.init_h = nn.Sequential(nn.Linear(d, c.width), nn.Tanh())
        self.init_c = nn.Sequential(nn.Linear(d, c.width), nn.Tanh())
        self.lstm = nn.LSTMCell(c.embed + d, c.width)
        self.from_h = nn.Linear(c.width, c.embed)
        self.from_z = nn.Linear(d, c.embed, bias=False)
        self.out = nn.Linear(c.embed, c.vocab, bias=False)

    def memory(self, image: Float[Tensor, "b 3 h w"]) -> Memory:
        """Annotations, and what the scores need of them.

        Raises:
            ValueError: no pictures in [-1, 1] of the right size.
        """
        values = self.encoder(image)
        mask = torch.ones_like(values[..., 0], dtype=torch.bool)
        return Memory(values, self.score.key(values), mask)

    def first(self, memory: Memory) -> State:
        """c_0 = f_init,c(mean of a_i), h_0 = f_init,h(mean of a_i)."""
        mean = averaged(memory)
        return State(self.init_h(mean), self.init_c(mean))

    def step(self, y: Float[Tensor, "b e"], state: State, memory: Memory):
        """What the word after y is chosen from, the weights, and the next state."""
        # eq. (4)-(6): e_ti = f_att(a_i, h_{t-1}), alpha_t = softmax(e_t)
        context, weights = self.look(state.h, memory)
        # z_t = beta_t sum_i alpha_ti a_i, beta_t = sigmoid(f_beta(h_{t-1})), a scalar
        context = self.gate(state.h).sigmoid() * context
        # eq. (1)-(3): the LSTM reads E y_{t-1}, h_{t-1} and z_t
        state = State(*self.lstm(torch.cat([y, context], -1), tuple(state)))
        # eq. (7): p(y_t) ~ exp(L_o (E y_{t-1} + L_h h_t + L_z z_t))
        said = y + self.from_h(state.h) + self.from_z(context)
        return said, weights, state

    def look(self, h: Float[Tensor, "b w"], memory: Memory):
        """The mean of the annotations, weighted by the scores or not at all."""
        scores = self.score(h, memory.keys)
        return attend(scores * (self.config.look == "soft"), memory)

    def read(self, tokens: Int[Tensor, "b t"], state: State, memory: Memory):
        """Logits after each token, and the state after the last."""
        said, _, state = self._walk(tokens, state, memory)
        return self.out(said), state

    def loss(self, batch: dict, *, phase="main", generator=None) -> dict[str, Tensor]:
        """Nats for each token, and `doubly` times the doubly stochastic term.

        Raises:
            ValueError: as `Teller.loss`.
        """
        tokens, mask, memory = batch["tokens"], batch["mask"], self.known(batch)
        check_tokens(tokens, self.config.vocab)
        check_ended(tokens, mask)
        said, weights, _ = self._walk(tokens, self.first(memory), memory)
        nats = word_loss(self.out(said), tokens, mask)
        # the look of position t chooses the word at t + 1
        term = doubly_stochastic(weights, F.pad(mask[:, 1:], (0, 1)))
        total = nats + self.config.doubly * term
        return {"loss": total, "nats": nats.detach(), "doubly": term.detach()}

    def attention(
        self, tokens: Int[Tensor, "b t"], image: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b t n"]:
        """Weights with which the token after each position was chosen.

        Row t belongs to the token at position t + 1; each row sums to one.

        Raises:
            ValueError: as `check_tokens` and `memory`.
        """
        check_tokens(tokens, self.config.vocab)
        memory = self.memory(image)
        return self._walk(tokens, self.first(memory), memory)[1]

    def _walk(self, tokens: Tensor, state: State, memory: Memory):
        """For each token what the next is chosen from, and where it looked."""
        found = []
        for y in self.embedding(tokens).unbind(1):
            said, weights, state = self.step(y, state, memory)
            found.append((said, weights))
        said, weights = (torch.stack(parts, 1) for parts in zip(*found, strict=True))
        return said, weights, state

    def encode_image(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        """Annotations, line by line.

        Raises:
            ValueError: no pictures in [-1, 1] of the right size.
        """
        return self.encoder(image)

    @classmethod
    def example_batch(cls, config, n: int, *, generator=None) -> dict[str, Tensor]:
        """Random pictures and captions."""
        side = config.image_size
        image = 2 * torch.rand(n, 3, side, side, generator=generator) - 1
        return {"image": image} | example_captions(config.vocab, n, generator)


def averaged(memory: Memory) -> Float[Tensor, "b d"]:
    """The mean of the annotations that are real; zero rows of padding do not count."""
    real = memory.mask[..., None]
    total = reduce(memory.values * real, "b n d -> b d", "sum")
    return total / real.sum(1)
