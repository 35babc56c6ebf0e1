import pytest

from mgte.errors import BackendUnavailableError
from mgte.kernels import NativeKernels, best_kernels, loader


@pytest.fixture(autouse=True)
def _forget_the_loaded_library() -> object:
    loader.load_library.cache_clear()
    yield
    loader.load_library.cache_clear()


def test_the_switch_turns_them_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGTE_KERNELS", "0")
    assert not loader.is_available()
    assert best_kernels().name == "torch"
    with pytest.raises(BackendUnavailableError, match="MGTE_KERNELS=0"):
        NativeKernels()


def test_a_missing_build_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(loader, "__file__", f"{tmp_path}/loader.py")
    assert "not built" in loader.load_library().reason


def test_a_damaged_build_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    with open(f"{tmp_path}/_native.so", "wb") as file:  # noqa: PTH123
        file.write(b"not a library")
    monkeypatch.setattr(loader, "__file__", f"{tmp_path}/loader.py")
    assert "cannot be loaded" in loader.load_library().reason


def test_a_stale_build_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    if not loader.is_available():
        pytest.skip("compiled kernels are not built")
    loader.load_library.cache_clear()
    monkeypatch.setattr(loader, "_ABI_VERSION", 999)
    assert "this package needs 999" in loader.load_library().reason
