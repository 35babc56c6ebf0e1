"""Learning the geometry of a teacher's vectors: directions, and who is similar to whom."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mgte.losses.sums import LossSum


def cosine_distance(
    students: Float[Tensor, "texts dim"], teachers: Float[Tensor, "texts dim"]
) -> LossSum:
    """1 - cosine between student and teacher.

    Args:
        students: Student's vectors, of any length.
        teachers: Teacher's vectors of the same texts and width.

    Returns:
        Sum over texts, and their number.
    """
    losses = 1.0 - functional.cosine_similarity(students, teachers, dim=-1)
    return LossSum(losses.sum(), losses.shape[0])


def similarity_divergence(
    students: tuple[Float[Tensor, "rows dim"], Float[Tensor, "texts dim"]],
    teachers: tuple[Float[Tensor, "rows width"], Float[Tensor, "texts width"]],
    own: Int[Tensor, " rows"],
    *,
    temperature: float,
) -> LossSum:
    """KL(teacher || student) between each text's similarities to all other texts.

    Args:
        students: Student's unit vectors of this process's texts, and of all texts.
        teachers: Teacher's unit vectors of the same; their width may differ from the student's.
        own: Place of each of this process's texts among all.
        temperature: Divides cosines before both softmaxes.

    Returns:
        Sum over this process's texts, and their number; 0 where there is no other text.
    """
    rows, texts = students[0].shape[0], students[1].shape[0]
    student = (students[0] @ students[1].T) / temperature
    if rows == 0 or texts < 2:
        return LossSum(student.sum() * 0.0, rows)
    is_other = torch.ones_like(student, dtype=torch.bool).scatter(1, own[:, None], False)
    teacher = (teachers[0] @ teachers[1].T).to(student.dtype) / temperature
    # A text's similarity to itself is 1 for everybody and says nothing.
    log_student = student[is_other].view(rows, texts - 1).log_softmax(1)
    log_teacher = teacher[is_other].view(rows, texts - 1).log_softmax(1)
    losses = (log_teacher.exp() * (log_teacher - log_student)).sum(1)
    return LossSum(losses.sum(), rows)
