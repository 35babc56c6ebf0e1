"""Measuring models: retrieval collections, suites of tasks, reports.

Resolved on first use, so that metrics cost no torch. The room may be called, `mgte.evaluate(...)`:
whoever imports a room makes it the attribute of that name, in the place of a function.
"""

from typing import TYPE_CHECKING

from mgte.rooms import make_callable, names_on_first_use

if TYPE_CHECKING:
    from mgte.evaluate.answer_recall import measure_answers
    from mgte.evaluate.bm25 import bm25_rankings
    from mgte.evaluate.collection import (
        Collection,
        make_answer_collection,
        make_collection,
        read_collection,
    )
    from mgte.evaluate.collections import CollectionConfig, DatasetFiles, load_collection
    from mgte.evaluate.curve import CurveConfig, measure_curve
    from mgte.evaluate.metrics import METRICS, mean_metrics, measure_rankings
    from mgte.evaluate.mteb import MtebCrossEncoder, MtebEncoder, MtebSearch, mteb_model
    from mgte.evaluate.rankings import hybrid_ranking, rerank
    from mgte.evaluate.records import (
        Failure,
        Report,
        TaskKind,
        TaskResult,
        WorstItem,
        read_report,
        write_report,
    )
    from mgte.evaluate.reports.compare import Comparison, compare_reports
    from mgte.evaluate.reports.comparison_text import write_comparison
    from mgte.evaluate.reports.html import write_html
    from mgte.evaluate.reports.markdown import write_markdown
    from mgte.evaluate.reports.published import all_published
    from mgte.evaluate.reports.write import write_reports
    from mgte.evaluate.result import ModeResult, RetrievalResult
    from mgte.evaluate.retrieval import evaluate, evaluate_retrieval
    from mgte.evaluate.retrieval_config import MODES, HybridConfig, Mode, RetrievalConfig
    from mgte.evaluate.run_files import evaluate_run, read_run, write_qrels, write_run
    from mgte.evaluate.significance import PairedTest, bootstrap_interval, paired_test
    from mgte.evaluate.subjects import (
        PairScorer,
        Subject,
        SubjectOptions,
        TextEncoder,
        load_subject,
    )
    from mgte.evaluate.suite import Suite, build_task, read_suite, suite_names
    from mgte.evaluate.suite_run import RunOptions, run_suite
    from mgte.evaluate.training_evaluator import RetrievalEvaluator

_HOMES = {
    "measure_answers": "answer_recall",
    "bm25_rankings": "bm25",
    "Collection": "collection",
    "make_answer_collection": "collection",
    "make_collection": "collection",
    "read_collection": "collection",
    "CollectionConfig": "collections",
    "DatasetFiles": "collections",
    "load_collection": "collections",
    "Comparison": "reports.compare",
    "compare_reports": "reports.compare",
    "CurveConfig": "curve",
    "measure_curve": "curve",
    "METRICS": "metrics",
    "mean_metrics": "metrics",
    "measure_rankings": "metrics",
    "MtebCrossEncoder": "mteb",
    "MtebEncoder": "mteb",
    "MtebSearch": "mteb",
    "mteb_model": "mteb",
    "all_published": "reports.published",
    "hybrid_ranking": "rankings",
    "rerank": "rankings",
    "Failure": "records",
    "Report": "records",
    "TaskKind": "records",
    "TaskResult": "records",
    "WorstItem": "records",
    "read_report": "records",
    "write_report": "records",
    "write_comparison": "reports.comparison_text",
    "write_html": "reports.html",
    "write_markdown": "reports.markdown",
    "ModeResult": "result",
    "RetrievalResult": "result",
    "evaluate": "retrieval",
    "evaluate_retrieval": "retrieval",
    "evaluate_run": "run_files",
    "read_run": "run_files",
    "write_qrels": "run_files",
    "write_run": "run_files",
    "write_reports": "reports.write",
    "RunOptions": "suite_run",
    "run_suite": "suite_run",
    "MODES": "retrieval_config",
    "HybridConfig": "retrieval_config",
    "Mode": "retrieval_config",
    "RetrievalConfig": "retrieval_config",
    "PairedTest": "significance",
    "bootstrap_interval": "significance",
    "paired_test": "significance",
    "PairScorer": "subjects",
    "Subject": "subjects",
    "SubjectOptions": "subjects",
    "TextEncoder": "subjects",
    "load_subject": "subjects",
    "Suite": "suite",
    "build_task": "suite",
    "read_suite": "suite",
    "suite_names": "suite",
    "RetrievalEvaluator": "training_evaluator",
}


__getattr__ = names_on_first_use(__name__, _HOMES)
make_callable(__name__, "evaluate")


__all__ = [
    "METRICS",
    "MODES",
    "Collection",
    "CollectionConfig",
    "Comparison",
    "CurveConfig",
    "DatasetFiles",
    "Failure",
    "HybridConfig",
    "Mode",
    "ModeResult",
    "MtebCrossEncoder",
    "MtebEncoder",
    "MtebSearch",
    "PairScorer",
    "PairedTest",
    "Report",
    "RetrievalConfig",
    "RetrievalEvaluator",
    "RetrievalResult",
    "RunOptions",
    "Subject",
    "SubjectOptions",
    "Suite",
    "TaskKind",
    "TaskResult",
    "TextEncoder",
    "WorstItem",
    "all_published",
    "bm25_rankings",
    "bootstrap_interval",
    "build_task",
    "compare_reports",
    "evaluate",
    "evaluate_retrieval",
    "evaluate_run",
    "hybrid_ranking",
    "load_collection",
    "load_subject",
    "make_answer_collection",
    "make_collection",
    "mean_metrics",
    "measure_answers",
    "measure_curve",
    "measure_rankings",
    "mteb_model",
    "paired_test",
    "read_collection",
    "read_report",
    "read_run",
    "read_suite",
    "rerank",
    "run_suite",
    "suite_names",
    "write_comparison",
    "write_html",
    "write_markdown",
    "write_qrels",
    "write_report",
    "write_reports",
    "write_run",
]
