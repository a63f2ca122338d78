"""Wide vectors made narrower, so that a student learns from a teacher of another width."""

import numpy as np
import numpy.typing as npt
import torch

from inference.similarity import Vectors, normalize


def alignment(wide: Vectors, onto: Vectors) -> npt.NDArray[np.float32]:
    """The map from the wide space that keeps cosines best and ends nearest to other vectors.

    Its first half are the principal axes of the wide vectors, not centred, since cosines are not;
    its second the rotation of them onto the others (P. Schoenemann, A generalized solution of the
    orthogonal Procrustes problem, Psychometrika 1966), so that a student that stands in the other
    space moves no farther than it has to.

    Args:
        wide: unit vectors (n, w) of some texts.
        onto: unit vectors (n, d) of the same texts, d <= w <= n.

    Returns:
        (w, d), with orthonormal columns.
    """
    axes = np.linalg.svd(wide, full_matrices=False)[2][: onto.shape[1]].T
    left, _, right = np.linalg.svd((wide @ axes).T @ onto)
    found: npt.NDArray[np.float32] = (axes @ left @ right).astype(np.float32)
    return found


def project(vectors: torch.Tensor, through: npt.NDArray[np.float32]) -> torch.Tensor:
    """Unit vectors (n, d) of unit vectors (n, w)."""
    return torch.from_numpy(normalize(vectors.numpy() @ through))
