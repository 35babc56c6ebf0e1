"""What is measured: our own models and those of others, behind one way of asking.

Resolved on first use, so that the protocols cost no torch.
"""

from typing import TYPE_CHECKING

from mgte.rooms import names_on_first_use

if TYPE_CHECKING:
    from mgte.evaluate.subjects.http_client import HttpClient, ServerError
    from mgte.evaluate.subjects.loading import (
        SubjectOptions,
        load_encoder,
        load_scorer,
        load_subject,
    )
    from mgte.evaluate.subjects.own_models import EmbedderSubject, RerankerSubject
    from mgte.evaluate.subjects.sentence_models import SentenceEncoder, SentenceScorer
    from mgte.evaluate.subjects.server_models import ServerEncoder, ServerScorer
    from mgte.evaluate.subjects.sparse_sentence_models import SparseSentenceEncoder
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
    "HttpClient": "http_client",
    "ServerError": "http_client",
    "SubjectOptions": "loading",
    "load_encoder": "loading",
    "load_scorer": "loading",
    "load_subject": "loading",
    "SentenceEncoder": "sentence_models",
    "SentenceScorer": "sentence_models",
    "ServerEncoder": "server_models",
    "ServerScorer": "server_models",
    "SparseSentenceEncoder": "sparse_sentence_models",
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
    "HttpClient",
    "PairScorer",
    "RerankerSubject",
    "Role",
    "SentenceEncoder",
    "SentenceScorer",
    "ServerEncoder",
    "ServerError",
    "ServerScorer",
    "SparseSentenceEncoder",
    "Subject",
    "SubjectOptions",
    "TextEncoder",
    "check_finite",
    "check_scores",
    "load_encoder",
    "load_scorer",
    "load_subject",
]
