"""principal_projection: a teacher's vectors in the student's width, inner products kept."""

import torch
from jaxtyping import Float
from torch import Tensor


def principal_projection(
    vectors: Float[Tensor, "texts from_width"], width: int
) -> Float[Tensor, "from_width width"]:
    """Orthonormal projection that keeps inner products of the given vectors best.

    Components are those of the vectors' second moments (not centred: inner products are not),
    largest first, so every prefix of a projected vector is the best one of its width too. A wider
    target than the vectors is filled with zeros; then inner products are kept exactly.

    Args:
        vectors: A sample of the teacher's vectors, or all of them.
        width: Width after projection.

    Returns:
        float32 matrix: vectors @ matrix are the projected vectors. The sign of each component is
        fixed, so that the same vectors always give the same matrix.

    Source: Eckart and Young (1936): the truncated decomposition is the closest Gram matrix.
    """
    exact = vectors.double()
    _, components = torch.linalg.eigh(exact.T @ exact)
    kept = components.flip(1)[:, :width]
    strongest = kept.abs().argmax(0, keepdim=True)
    kept = kept * kept.gather(0, strongest).sign()
    missing = width - kept.shape[1]
    return torch.nn.functional.pad(kept, (0, missing)).float()
