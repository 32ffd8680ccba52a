"""Clusters and directions beside scikit-learn, neighbors beside gensim."""

import numpy as np
import torch
from gensim.models import KeyedVectors
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD

from mmdl_lib.core import generator
from mmdl_lib.models.bovw_svd import BoVWSVD, lloyd, nearest_center
from mmdl_lib.models.concat_fusion import fuse, nearest

SKLEARN = {"package": "scikit-learn", "reference": "scikit-learn"}
GENSIM = {"package": "gensim", "reference": "gensim"}


def joined(n=60):
    g = generator(0)
    text, image = torch.randn(n, 20, generator=g), torch.randn(n, 30, generator=g)
    return fuse(text, image, 0.6)


def test_lloyds_rounds_are_those_of_kmeans(agree):
    g = generator(1)
    points = torch.rand(400, 6, generator=g)
    centers = points[:8]
    peer = KMeans(8, init=centers.numpy(), n_init=1, max_iter=5, tol=0)
    peer.fit(points.numpy())
    for _ in range(peer.n_iter_):
        centers = lloyd(points, centers)
    ours = {"ours": "mmdl_lib.models.bovw_svd"} | SKLEARN
    theirs = torch.from_numpy(peer.cluster_centers_)
    agree("centers after five rounds", centers, theirs, tolerance=1e-5, **ours)
    owner = torch.from_numpy(peer.predict(points.numpy())).long()
    agree("the cluster of each", nearest_center(points, centers).tolist(),
          owner.tolist(), tolerance=0, **ours)  # fmt: skip


def test_directions_are_those_of_truncated_svd_up_to_their_sign(agree):
    table = joined()
    found = BoVWSVD.mix(table, 7)
    peer = TruncatedSVD(7, algorithm="arpack").fit(table.double().numpy())
    theirs = torch.from_numpy(peer.transform(table.double().numpy())).float()
    ours = {"ours": "mmdl_lib.models.bovw_svd", "tolerance": 2e-5} | SKLEARN
    strength = torch.from_numpy(np.ascontiguousarray(peer.singular_values_)).float()
    agree("singular values", found.strength, strength, **ours)
    inner = (found.vectors @ found.vectors.T, theirs @ theirs.T)
    agree("inner products of words", *inner, **ours)


def test_neighbors_are_those_of_gensim(agree):
    table = joined()
    peer = KeyedVectors(table.shape[1])
    names = [str(i) for i in range(len(table))]
    peer.add_vectors(names, table.numpy())
    cosines, rows = nearest(table, torch.arange(len(table)), 4)
    theirs = [peer.most_similar(name, topn=4) for name in names]
    ours = {"ours": "mmdl_lib.models.concat_fusion"} | GENSIM
    said = [[int(name) for name, _ in row] for row in theirs]
    agree("four neighbors of each", rows.tolist(), said, tolerance=0, **ours)
    values = torch.tensor([[value for _, value in row] for row in theirs])
    agree("their cosines", cosines, values, tolerance=1e-6, **ours)
