"""DatasetFiles: files of a dataset, in a local folder or from the hub. Data only, never code."""

from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants, errors

from mgte.errors import DataError

_NUM_SHOWN = 4


class DatasetFiles:
    """Finds the files of datasets.

    A dataset is a folder below the root, by its full name or its last part, so that `BeIR/scifact`
    is also found as `scifact`; otherwise it is fetched from the hub, the wanted files only.

    Args:
        root: Folder of local datasets; None for the hub alone.
        offline: Whether to look into the hub's cache only; None leaves it to HF_HUB_OFFLINE.
    """

    def __init__(self, root: Path | None = None, *, offline: bool | None = None) -> None:
        self._root = root
        self._offline = offline

    def local_folder(self, dataset: str) -> Path | None:
        """The local folder of a dataset; None where there is none."""
        places = [self._root / dataset, self._root / Path(dataset).name] if self._root else []
        return next((place for place in places if place.is_dir()), None)

    def find(self, dataset: str, patterns: Sequence[str], *, revision: str = "") -> list[Path]:
        """Files of a dataset.

        Args:
            dataset: Folder below the root, or hub id.
            patterns: Patterns of file names, the preferred first; `*` stays inside a folder, `**/`
                stands for any folders.
            revision: Commit, tag or branch on the hub; "" means the newest.

        Returns:
            The files of the first pattern that has any, by name.

        Raises:
            DataError: The dataset is neither here nor on the hub, or has no such file.
        """
        folder = self.local_folder(dataset) or self._fetch(dataset, patterns, revision)
        for pattern in patterns:
            found = sorted(path for path in folder.glob(pattern) if path.is_file())
            if found:
                return found
        shown = ", ".join(patterns[:_NUM_SHOWN])
        raise DataError(f"{dataset}: {folder} has none of the files {shown}, expected one of them")

    def _fetch(self, dataset: str, patterns: Sequence[str], revision: str) -> Path:
        where = f"{dataset}@{revision}" if revision else dataset
        try:
            folder = huggingface_hub.snapshot_download(
                dataset,
                repo_type="dataset",
                revision=revision or None,
                local_files_only=bool(self._offline),
                allow_patterns=[*patterns, *(p.replace("**/", "") for p in patterns)],
            )
        except errors.GatedRepoError as error:
            raise DataError(
                f"{where}: access is restricted on the hub",
                hint="ask for access on its page, then log in with: hf auth login",
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise DataError(
                f"{where}: no such dataset on the hub, and no such folder{self._below()}"
            ) from error
        except errors.RevisionNotFoundError as error:
            raise DataError(f"{where}: the hub has the dataset, but not this revision") from error
        except errors.HFValidationError as error:
            raise DataError(
                f"{where}: no such folder{self._below()}, and not a valid hub id",
                hint="paths count from --data-root, or from MGTE_DATA",
            ) from error
        except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
            raise DataError(
                f"{where}: no such folder{self._below()}, not in the hub cache, and the hub "
                + ("is not asked in offline mode" if self._is_offline() else "cannot be reached"),
                hint="fetch it where there is a network, or put a folder of its files there",
            ) from error
        except OSError as error:
            reason = " ".join(str(error).split())[:120]
            raise DataError(f"{where}: the download failed ({reason})") from error
        return Path(folder)

    def _below(self) -> str:
        return f" below {self._root}" if self._root else ""

    def _is_offline(self) -> bool:
        return bool(self._offline) or constants.is_offline_mode()
