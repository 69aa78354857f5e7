"""How many speakers there are, and which embedding is whose: agglomerative clustering with average linkage.

The one rule for both the segments of a window and the speakers of several windows; its two thresholds stand here.

Distances are cosine distances between L2-normalised vectors, 0..2.

Shape letters: N vectors, E embedding size, K groups.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmer_ray.records import Embedding

WITHIN_WINDOW_THRESHOLD = 0.32
"""What the embedded speaker model was calibrated to, on 15 synthetic calls of its validation voices: from 0.28 to 0.36
the error changes by 0.03 at most; below, one voice in two moods becomes two, above, like voices become one."""
BETWEEN_WINDOWS_THRESHOLD = 0.25
"""Between the mean embeddings of two windows, which are steadier than those of single segments. On 15 synthetic calls
cut into windows of 20 or 30 s, every value from 0.2 to 0.35 joins the same speakers; at 0.15 some stay apart."""
FORBIDDEN_DISTANCE = 1e12
"""Distance between two vectors that must not meet."""


def cluster(
    embeddings_NE: NDArray[np.float32],
    distance_threshold: float,
    max_groups: int,
    *,
    window_N: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Group vectors until the closest two groups are further apart than the threshold: labels 0.., shape (N,).

    More than `max_groups` groups go on merging, closest first. Vectors with equal `window_N` (the speakers of one
    window) never meet, which `max_groups` cannot override. Labels count in order of first appearance.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(embeddings_NE) < 2:
        return np.zeros(len(embeddings_NE), dtype=np.int64)
    distances_NN = cosine_distances(embeddings_NE, embeddings_NE)
    if window_N is not None:
        distances_NN[window_N[:, None] == window_N[None, :]] = FORBIDDEN_DISTANCE
    np.fill_diagonal(distances_NN, 0.0)
    # With a mean over all pairs, one forbidden pair keeps its groups further apart than any threshold.
    tree = linkage(squareform(distances_NN, checks=False), method="average")
    labels_N = fcluster(tree, distance_threshold, criterion="distance")
    if labels_N.max() > max_groups:
        heights = tree[:, 2]
        allowed = heights[heights < FORBIDDEN_DISTANCE / len(heights) ** 2]
        num_merges = min(len(embeddings_NE) - max_groups, len(allowed))
        # A cut just above the height of the last merge that is needed.
        labels_N = fcluster(tree, np.nextafter(heights[num_merges - 1], np.inf), criterion="distance")
    return by_first_appearance(labels_N.astype(np.int64))


def by_first_appearance(labels_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Renumber labels 0, 1, .. in the order in which they first appear, shape (N,)."""
    _, firsts, inverse_N = np.unique(labels_N, return_index=True, return_inverse=True)
    rank = np.empty(len(firsts), dtype=np.int64)
    rank[np.argsort(firsts)] = np.arange(len(firsts))
    return np.asarray(rank[inverse_N], dtype=np.int64)


def absorb_small(
    labels_N: NDArray[np.int64], embeddings_NE: NDArray[np.float32], min_members: int
) -> NDArray[np.int64]:
    """Give the members of groups below `min_members` to the nearest larger group; with none, all become one."""
    sizes_K = np.bincount(labels_N)
    large = np.flatnonzero(sizes_K >= min_members)
    if len(large) == 0:
        return np.zeros_like(labels_N)
    centroids_KE = centroids(embeddings_NE, labels_N)
    small_N = ~np.isin(labels_N, large)
    absorbed_N = labels_N.copy()
    if small_N.any():
        distances = cosine_distances(embeddings_NE[small_N], centroids_KE[large])
        absorbed_N[small_N] = large[distances.argmin(axis=1)]
    return by_first_appearance(absorbed_N)


def centroids(embeddings_NE: NDArray[np.float32], labels_N: NDArray[np.int64]) -> NDArray[np.float32]:
    """Average each group's vectors: L2-normalised, float32, shape (K, E); labels are 0..K-1, none missing."""
    sums_KE = np.zeros((int(labels_N.max()) + 1, embeddings_NE.shape[1]))
    np.add.at(sums_KE, labels_N, embeddings_NE)
    return normalised(sums_KE)


def normalised(vectors_NE: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale vectors to length 1; a zero vector stays zero."""
    lengths_N1 = np.linalg.norm(vectors_NE, axis=1, keepdims=True)
    return np.asarray(vectors_NE / np.maximum(lengths_N1, 1e-12), dtype=np.float32)


def cosine_distances(left_NE: NDArray[np.float32], right_KE: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compare normalised vectors: 0 same direction, 2 opposite; float64, shape (N, K)."""
    similarity_NK = left_NE.astype(np.float64) @ right_KE.astype(np.float64).T
    return np.asarray(np.clip(1.0 - similarity_NK, 0.0, 2.0), dtype=np.float64)


def stack(embeddings: list[Embedding]) -> NDArray[np.float32]:
    """Put vectors of shape (E,) on top of each other: float32, shape (N, E)."""
    return np.stack(embeddings).astype(np.float32) if embeddings else np.empty((0, 0), dtype=np.float32)
