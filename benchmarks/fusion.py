"""Neighbors and evaluation of fused words, beside gensim and a plain loop.

Run: python benchmarks/fusion.py     (needs gensim)

30,000 words, of which 2,000 have a picture: their fused vectors, five neighbors of each
of them among each other and among all words by text, and correlations with 10,000
scored pairs for eleven weights. Ours is to take less than two seconds on one core. The
other side asks gensim word by word and fuses anew for each weight.
"""

import time

import numpy as np
import torch
from gensim.models import KeyedVectors
from scipy.stats import spearmanr

from mmdl_lib.core import generator
from mmdl_lib.data import words
from mmdl_lib.metrics.spearman import spearman
from mmdl_lib.models.concat_fusion import fuse, fused_cosine, nearest

PICTURED, WIDTH, PAIRS, K = 2000, 128, 10_000, 5
GAMMAS = [i / 10 for i in range(11)]


def data():
    g = generator(0)
    text = words.glove().value
    image = torch.randn(PICTURED, WIDTH, generator=g)
    pairs = torch.randint(PICTURED, (PAIRS, 2), generator=g)
    return text, image, pairs, torch.rand(PAIRS, generator=g)


def ours(text, image, pairs, said):
    own = text[:PICTURED]
    near = nearest(fuse(own, image, 0.5), torch.arange(PICTURED), K)[1]
    all_words = nearest(text, torch.arange(PICTURED), K)[1]
    a, b = pairs.T
    cosines = [torch.cosine_similarity(x[a], x[b]) for x in (own, image)]
    scores = [spearman(fused_cosine(*cosines, gamma), said) for gamma in GAMMAS]
    return near, all_words, scores


def plain(text, image, pairs, said):
    own = text[:PICTURED]
    tables = [fuse(own, image, 0.5).numpy(), text.numpy()]
    found = []
    for table in tables:
        names = [str(i) for i in range(len(table))]
        peer = KeyedVectors(table.shape[1])
        peer.add_vectors(names, table)
        rows = [peer.most_similar(name, topn=K) for name in names[:PICTURED]]
        found.append(torch.tensor([[int(name) for name, _ in row] for row in rows]))
    scores = []
    for gamma in GAMMAS:
        joined = fuse(own, image, gamma).double().numpy()
        joined /= np.linalg.norm(joined, axis=1, keepdims=True)
        cosine = [joined[i] @ joined[j] for i, j in pairs.tolist()]
        scores.append(float(spearmanr(cosine, said.numpy())[0]))
    return *found, scores


if __name__ == "__main__":
    torch.set_num_threads(1)
    given, results = data(), []
    for name, run in (("ours", ours), ("plain", plain)):
        begin = time.perf_counter()
        results.append(run(*given))
        print(f"{name}: {time.perf_counter() - begin:.2f} s")
    # equal cosines may change places
    for mine, theirs in zip(*(result[:2] for result in results), strict=True):
        equal = (mine == theirs).float().mean().item()
        assert equal > 0.999, f"expected the same neighbors, got {equal:.4f} of them"
    np.testing.assert_allclose(results[0][2], results[1][2], atol=1e-4)
