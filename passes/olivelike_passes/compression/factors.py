"""Two thin matrices whose product comes closest to a weight, measured on the weight or on what it makes of real inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from olivelike_passes.slices import one_thread_of_blas

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]
    Wide: TypeAlias = NDArray[np.float64]

DAMPING = 0.01
"""Of the mean of the Gram matrix's diagonal, added to it: directions that the data never took must not be free."""


class Spectrum:
    """A weight's directions, by how much each contributes.

    `W [inputs, outputs]` is split so that `|X (W - A B)|` is least for a given rank, where `gram = X^T X`; without data `X` is
    the identity. By the singular values of `L^T W` with `gram = L L^T`: X. Wang et al., "SVD-LLM", 2024 (arXiv 2403.07378);
    the best approximation without data is that of C. Eckart and G. Young, 1936.

    Attributes:
        shares: of the squared magnitude of the output, for each direction, in falling order; they add up to 1.
    """

    def __init__(self, weight: Floats, gram: Floats | None = None) -> None:
        """Decomposes a finite float32 weight `[inputs, outputs]`; `gram` is `[inputs, inputs]`."""
        import numpy as np

        self._root: Wide | None = None
        seen = weight.astype(np.float64)
        with one_thread_of_blas():
            self._decompose(seen, gram)
        power = self._values**2
        self.shares: Wide = power / (power.sum() or 1.0)

    def _decompose(self, seen: Wide, gram: Floats | None) -> None:
        import numpy as np

        if gram is not None:
            wide = gram.astype(np.float64)
            damped = wide + np.eye(wide.shape[0]) * max(DAMPING * float(np.trace(wide)) / wide.shape[0], 1e-12)
            self._root = np.linalg.cholesky(damped)
            seen = self._root.T @ seen
        self._left, self._values, self._right = np.linalg.svd(seen, full_matrices=False)

    def rank_for(self, energy: float) -> int:
        """Returns the fewest directions that keep a share of the output's squared magnitude."""
        import numpy as np

        return int(np.searchsorted(np.cumsum(self.shares), energy - 1e-12)) + 1

    def factors(self, rank: int) -> tuple[Floats, Floats]:
        """Returns `A [inputs, rank]` and `B [rank, outputs]`, both float32."""
        import numpy as np
        from scipy.linalg import solve_triangular

        scale = np.sqrt(self._values[:rank])
        left = self._left[:, :rank] * scale
        if self._root is not None:
            with one_thread_of_blas():
                left = solve_triangular(self._root, left, lower=True, trans="T")
        return left.astype(np.float32), (scale[:, None] * self._right[:rank]).astype(np.float32)
