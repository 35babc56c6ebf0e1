"""run_suite: the tasks of a suite one by one, and the reports on them."""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from mgte._version import __version__
from mgte.config import to_dict
from mgte.errors import ConfigError, DataError, MgteError
from mgte.evaluate.embedding_cache import CachedEncoder
from mgte.evaluate.fine_tuning.averages import average_result
from mgte.evaluate.finished_tasks import has_finished, read_finished, task_key, write_finished
from mgte.evaluate.records import Failure, Report, TaskResult
from mgte.evaluate.retrieval_config import MODES, Mode, RetrievalConfig
from mgte.evaluate.subjects.subject import Subject
from mgte.evaluate.suite import Suite, build_task
from mgte.evaluate.suite_words import check_writable, spoken, summary
from mgte.evaluate.surroundings import machine_facts, package_versions
from mgte.evaluate.tasks.task import TaskContext

# Kinds of tasks that look at the model itself: vectors from a disk would spoil what they measure.
_WITHOUT_CACHE = frozenset({"efficiency", "fine_tuning"})
_MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """How a suite is run.

    Attributes:
        tasks: Names or kinds of the tasks that are measured; empty means all. Of the others, what
            was measured before stands in the report, and the rest is named as missing.
        seed: Decides whatever is drawn; None takes the suite's.
        modes: Ways of ranking; empty takes the suite's.
        retrieval: How collections are searched; None takes what the suite says.
        use_cache: Whether vectors are kept on disk.
        cache_folder: Where they are kept; None means `cache` below the out folder.
        save_runs: Whether rankings of retrieval tasks are written as TREC runs into `OUT/runs`.
        again: Whether finished tasks are measured again.
        offline: Whether data are looked for on this machine only; None leaves it to HF_HUB_OFFLINE.
        show_progress: Progress bars; None means on a terminal.
        tell: Gets a line of words now and then.
    """

    tasks: tuple[str, ...] = ()
    seed: int | None = None
    modes: tuple[Mode, ...] = ()
    retrieval: RetrievalConfig | None = None
    use_cache: bool = True
    cache_folder: Path | None = None
    save_runs: bool = False
    again: bool = False
    offline: bool | None = None
    show_progress: bool | None = None
    tell: Callable[[str], object] = field(default=lambda text: None)


def run_suite(
    suite: Suite, subject: Subject, out: Path, *, root: Path, options: RunOptions | None = None
) -> Report:
    """Measure a subject on the tasks of a suite.

    A file in `OUT/tasks` is written as each task ends. A task that has one there, of the same
    model, settings and data, is not measured again; those of other settings stay. A task that fails
    is reported and stops no other. `OUT/report.json`, `report.md` and `report.html` are written at
    the end, also after an interruption.

    Args:
        suite: The tasks.
        subject: What is measured.
        out: Folder of the results; made if it is not there.
        root: Folder from which paths of data count.
        options: How; None means the defaults.

    Returns:
        What was measured, and what could not be.

    Raises:
        ConfigError: A setting of the suite or of a task is wrong; nothing was measured.
        OSError: The out folder cannot be written.
        KeyboardInterrupt: The user interrupted; what was done is kept.
    """
    options = options or RunOptions()
    run = _Run(suite, subject, out, root, options)
    check_writable(out)
    try:
        run.measure_all()
    finally:
        report = run.report()
        if report.results or report.failures:
            from mgte.evaluate.reports.write import write_reports

            write_reports(report, out)
    run.tell_cache()
    return report


class _Run:
    """One run of a suite."""

    def __init__(
        self, suite: Suite, subject: Subject, out: Path, root: Path, options: RunOptions
    ) -> None:
        self._suite, self._subject, self._out, self._root = suite, subject, out, root
        self._options = options
        cache_folder = options.cache_folder or out / "cache"
        self._context = _context(suite, options, cache_folder, out)
        self._cached = None
        if subject.encoder is not None and options.use_cache:
            self._cached = CachedEncoder(subject.encoder, cache_folder / "embeddings")
        self._shared = self._shared_settings()
        # What is wrong with a task's record is told before the first of them takes its time.
        self._tasks = {entry["name"]: build_task(entry, root) for entry in suite.tasks}
        self._chosen = {entry["name"] for entry in suite.only(options.tasks).tasks}
        self._results: dict[str, list[TaskResult]] = {}
        self._failures: dict[str, Failure] = {}

    def measure_all(self) -> None:
        """Measure the tasks in their order."""
        entries = [entry for entry in self._suite.tasks if entry["name"] in self._chosen]
        for entry in self._suite.tasks:
            # So that measuring a few of them again loses none of the others.
            name = entry["name"]
            # What was never measured needs no look at its data.
            if name not in self._chosen and has_finished(self._out / "tasks", name):
                kept = read_finished(self._out / "tasks", name, self._key(entry))
                if kept is not None:
                    self._results[name] = kept
        is_hidden = None if self._options.show_progress is None else not self._options.show_progress
        with tqdm(total=len(entries), desc="tasks", unit="task", disable=is_hidden) as bar:
            for number, entry in enumerate(entries, start=1):
                bar.set_postfix_str(entry["name"])
                self._measure(entry, f"[{number}/{len(entries)}] {entry['name']}")
                bar.update()
        if self._suite.average and not self._missing:
            self._add_average(self._suite.average)

    def report(self) -> Report:
        """All that was measured so far."""
        encoder, reranker = self._subject.encoder, self._subject.reranker
        named = encoder or reranker
        names = (*self._suite.task_names, self._suite.average)
        return Report(
            model=self._subject.name,
            revision="" if named is None else named.revision,
            reranker="" if reranker is None or encoder is None else reranker.name,
            suite=self._suite.name,
            settings=self._shared,
            versions=package_versions(),
            machine=machine_facts("cpu" if encoder is None else encoder.device),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            results=tuple(result for name in names for result in self._results.get(name, ())),
            failures=tuple(self._failures[name] for name in names if name in self._failures),
            missing=self._missing,
        )

    @property
    def _missing(self) -> tuple[str, ...]:
        done = {*self._results, *self._failures}
        return tuple(name for name in self._suite.task_names if name not in done)

    def tell_cache(self) -> None:
        """Say what the cache held and how large it is."""
        if self._cached is None or not self._cached.num_bytes:
            return
        found, computed = self._cached.num_found, self._cached.num_computed
        self._tell(
            f"cache of vectors: {found:,} of {found + computed:,} texts were there, "
            f"{self._cached.num_bytes / _MIB:,.0f} MiB"
        )

    def _add_average(self, name: str) -> None:
        try:
            results = [result for found in self._results.values() for result in found]
            average = average_result(name, results)
        except MgteError as error:
            self._failures[name] = Failure(task=name, error=spoken(error))
            return
        self._results[name] = [average]
        self._tell(f"{name}: {summary([average])}")

    def _measure(self, entry: Mapping[str, Any], place: str) -> None:
        name, folder = entry["name"], self._out / "tasks"
        try:
            key = self._key(entry)
            kept = None if self._options.again else read_finished(folder, name, key)
            if kept is not None:
                self._results[name] = kept
                self._tell(f"{place}: {summary(kept)} (measured before)")
                return
            began = time.perf_counter()
            results = self._tasks[name].run(self._subject_for(entry), self._context)
            _check_results(results, name)
            write_finished(folder, name, key, results)
        except Exception as error:
            self._failures[name] = Failure(task=name, error=spoken(error))
            self._tell(f"{place}: failed: {spoken(error)}")
            return
        self._results[name] = results
        self._tell(f"{place}: {summary(results)} ({time.perf_counter() - began:.1f} s)")

    def _key(self, entry: Mapping[str, Any]) -> str:
        return task_key(entry, self._key_settings(), self._root)

    def _subject_for(self, entry: Mapping[str, Any]) -> Subject:
        if self._cached is None or entry["kind"] in _WITHOUT_CACHE:
            return self._subject
        return replace(self._subject, encoder=self._cached)

    def _shared_settings(self) -> dict[str, Any]:
        encoder = self._subject.encoder
        context = self._context
        return {
            "seed": context.seed,
            "modes": list(context.modes),
            "max_length": None if encoder is None else encoder.max_length,
            "retrieval": to_dict(context.retrieval),
        }

    def _key_settings(self) -> dict[str, Any]:
        encoder, reranker = self._subject.encoder, self._subject.reranker
        retrieval = dict(self._shared["retrieval"])
        # How much is held at once changes no result.
        for name in ("show_progress", "max_tokens_per_batch", "documents_per_part"):
            retrieval.pop(name, None)
        return self._shared | {
            "mgte": __version__,
            "encoder": "" if encoder is None else encoder.fingerprint,
            "reranker": None
            if reranker is None
            else [reranker.name, reranker.revision, reranker.max_length],
            "retrieval": retrieval,
            # Only a task that is measured writes its run.
            "save_runs": self._options.save_runs,
        }

    def _tell(self, text: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            self._options.tell(text)


def _context(suite: Suite, options: RunOptions, cache_folder: Path, out: Path) -> TaskContext:
    settings = suite.settings
    modes = options.modes or settings.modes
    for mode in modes:
        if mode not in MODES:
            raise ConfigError(f"settings.modes: got {mode!r}, expected some of {', '.join(MODES)}")
    retrieval = options.retrieval
    if retrieval is None:
        retrieval = RetrievalConfig(show_progress=options.show_progress).changed(settings.retrieval)
    return TaskContext(
        seed=settings.seed if options.seed is None else options.seed,
        show_progress=options.show_progress,
        cache_folder=cache_folder,
        retrieval=retrieval,
        modes=cast(tuple[Mode, ...], tuple(modes)),
        again=options.again,
        offline=options.offline,
        runs_folder=out / "runs" if options.save_runs else None,
    )


def _check_results(results: Sequence[TaskResult], name: str) -> None:
    if not results:
        raise DataError(f"{name}: gave no results, expected at least one")
    for result in results:
        for metric, value in result.metrics.items():
            if not math.isfinite(value):
                raise DataError(f"{name}: got {value} as {metric}, expected a number")
