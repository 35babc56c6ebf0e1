"""What is measured: our own models and those of others, behind one way of asking.

Resolved on first use, so that the protocols cost no torch.
"""

from typing import TYPE_CHECKING

from mgte.rooms import names_on_first_use

if TYPE_CHECKING:
    from mgte.evaluate.subjects.own_models import EmbedderSubject, RerankerSubject
    from mgte.evaluate.subjects.subject import (
        ROLES,
        PairScorer,
        Role,
        Subject,
        TextEncoder,
        check_finite,
        check_scores,
    )

_HOMES = {
    "EmbedderSubject": "own_models",
    "RerankerSubject": "own_models",
    "ROLES": "subject",
    "PairScorer": "subject",
    "Role": "subject",
    "Subject": "subject",
    "TextEncoder": "subject",
    "check_finite": "subject",
    "check_scores": "subject",
}


__getattr__ = names_on_first_use(__name__, _HOMES)

__all__ = [
    "ROLES",
    "EmbedderSubject",
    "PairScorer",
    "RerankerSubject",
    "Role",
    "Subject",
    "TextEncoder",
    "check_finite",
    "check_scores",
]
