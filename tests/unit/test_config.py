"""Settings: whatever is wrong is named with its place, and nothing is guessed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mgte.config import from_dict, override, parse_assignments, read_yaml, to_dict, write_yaml
from mgte.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Round:
    kind: Literal["round", "circle"] = "round"
    radius: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Square:
    kind: Literal["square"]
    side: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    low: int
    high: int = 10

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ConfigError(f"low: got {self.low}, expected at most {self.high}", hint="swap")


@dataclass(frozen=True, kw_only=True)
class Settings:
    name: str
    steps: int = 1
    rate: float = 0.5
    is_fast: bool = False
    mode: Literal["a", "b"] = "a"
    version: Literal[1, 2] = 1
    limits: Limits = field(default_factory=lambda: Limits(low=0))
    shape: Round | Square | None = None
    sizes: tuple[int, ...] | None = None
    span: tuple[int, float] = (0, 0.0)
    weights: dict[str, float | Limits] = field(default_factory=dict)
    more: tuple[Limits, ...] = ()


def refusal(values: Any, path: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        from_dict(Settings, values, path)
    return caught.value.message


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"stpes": 1}, "stpes"),
        ({"steps": "many"}, "steps"),
        ({"steps": 1.0}, "steps"),
        ({"steps": True}, "steps"),
        ({"rate": "fast"}, "rate"),
        ({"rate": True}, "rate"),
        ({"rate": None}, "rate"),
        ({"rate": ".nan"}, "rate"),
        ({"rate": "nan"}, "rate"),
        ({"rate": float("inf")}, "rate"),
        ({"rate": 10**400}, "rate"),
        ({"is_fast": 1}, "is_fast"),
        ({"is_fast": "yes"}, "is_fast"),
        ({"mode": "c"}, "mode"),
        ({"mode": ["a"]}, "mode"),
        ({"version": True}, "version"),
        ({"version": 1.0}, "version"),
        ({"limits": 3}, "limits"),
        ({"limits": {}}, "limits.low"),
        ({"limits": {"low": 1, "hihg": 2}}, "limits.hihg"),
        ({"limits": {"low": 11}}, "limits.low"),
        ({"shape": {"radius": 1}}, "shape.kind"),
        ({"shape": {"kind": "triangle"}}, "shape.kind"),
        ({"shape": {"kind": ["round"]}}, "shape.kind"),
        ({"shape": {"kind": "square", "radius": 1}}, "shape.radius"),
        ({"shape": {"kind": "circle", "radius": "big"}}, "shape.radius"),
        ({"shape": "round"}, "shape"),
        ({"sizes": [1, "two"]}, "sizes.1"),
        ({"sizes": 1}, "sizes"),
        ({"span": [1]}, "span"),
        ({"span": [1, "x"]}, "span.1"),
        ({"weights": {"en": "x"}}, "weights.en"),
        ({"weights": {"en": {"high": 1}}}, "weights.en.low"),
        ({"weights": {False: 1}}, "weights.False"),
        ({"weights": [1]}, "weights"),
        ({"more": [{"low": 1}, {"low": "x"}]}, "more.1.low"),
        ({"more": {"low": 1}}, "more"),
    ],
)
def test_every_refusal_names_the_key(values: dict[str, Any], place: str) -> None:
    assert refusal({"name": "n", **values}).startswith(f"{place}: ")
    assert refusal({"name": "n", **values}, "stages.3").startswith(f"stages.3.{place}: ")


def test_what_is_missing_and_what_is_no_mapping() -> None:
    assert refusal({}) == "name: missing, expected a text"
    assert refusal(None) == "settings: got None, expected a mapping of settings"
    assert refusal([1], "stages.0").startswith("stages.0: got [1]")


def test_a_misspelt_key_gets_the_right_one_as_a_hint() -> None:
    with pytest.raises(ConfigError) as caught:
        from_dict(Settings, {"name": "n", "limts": {}})
    assert caught.value.hint == "did you mean `limits`?"


def test_the_hint_of_a_records_own_check_is_kept() -> None:
    with pytest.raises(ConfigError) as caught:
        from_dict(Settings, {"name": "n", "limits": {"low": 11}})
    assert caught.value.hint == "swap"


def test_a_union_lists_each_kind_once() -> None:
    told = refusal({"name": "n", "shape": 3})
    assert told == "shape: got 3, expected a mapping of settings or nothing"


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


def test_yaml_traps(tmp_path: Path) -> None:
    values = read(tmp_path, "name: 2026-01-02\nrate: 1e-4\nweights: {'no': 1}\n")
    settings = from_dict(Settings, values)
    assert settings.name == "2026-01-02"
    assert settings.rate == 1e-4
    assert settings.weights == {"no": 1.0}
    for text, place in (("name: no", "name"), ("name: 1.10", "name"), ("name: ~", "name")):
        assert refusal(read(tmp_path, text)).startswith(f"{place}: ")
    norwegian = read(tmp_path, "name: n\nweights: {no: 1}")
    with pytest.raises(ConfigError) as caught:
        from_dict(Settings, norwegian)
    assert caught.value.hint == "put quotes around it"


def test_merged_keys_may_be_given_again_and_others_not(tmp_path: Path) -> None:
    merged = read(tmp_path, "a: &a {low: 1, high: 2}\nb:\n  <<: *a\n  high: 3\n")
    assert merged["b"] == {"low": 1, "high": 3}
    with pytest.raises(ConfigError, match=r"settings\.yaml.*key 'low' is given twice"):
        read(tmp_path, "a: {low: 1, low: 2}")


@pytest.mark.parametrize(
    "text",
    ["a: [1", "a: !!int x", "a: 1\n---\nb: 2", "\ta: 1", "? [a]\n: 1", "a: *b", "[" * 5000],
)
def test_what_is_no_yaml_is_refused_with_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"settings\.yaml: is not valid YAML"):
        read(tmp_path, text)
    with pytest.raises(ConfigError, match=r"^--set a\.b: .* is not valid YAML"):
        parse_assignments([f"a.b={text}"])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("name: Zürich".encode("latin-1"))
    for name in ("absent.yaml", "latin.yaml", "."):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_yaml(tmp_path / name)


def test_yaml_runs_no_code(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        read(tmp_path, "a: !!python/object/apply:os.getcwd []")


def test_assignments_are_read_as_yaml() -> None:
    assert parse_assignments(["a.b=1", "c = [x, 2]", "d=", "e=x=y"]) == {
        "a.b": 1,
        "c": ["x", 2],
        "d": None,
        "e": "x=y",
    }
    for text in ("a", "=1", " =1"):
        with pytest.raises(ConfigError, match="expected key=value"):
            parse_assignments([text])


def test_overrides_reach_inside_and_leave_the_original() -> None:
    values = {"stages": [{"name": "first", "steps": 1}, {"name": "last", "data": None}]}
    changed = override(
        values,
        {"stages.0.steps": 2, "stages.last.data.rows": 8, "seed": 1, "stages.last.lr.peak": 0.1},
    )
    assert changed == {
        "stages": [
            {"name": "first", "steps": 2},
            {"name": "last", "data": {"rows": 8}, "lr": {"peak": 0.1}},
        ],
        "seed": 1,
    }
    assert values == {"stages": [{"name": "first", "steps": 1}, {"name": "last", "data": None}]}
    assert override(values, {"stages.first": {"name": "z"}})["stages"][0] == {"name": "z"}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("stages.third.steps", "stages.third: no entry 'third', expected one of first"),
        ("stages.1.steps", "stages.1: no entry '1', expected one of first"),
        ("stages.-1.steps", "stages.-1: no entry '-1', expected one of first"),
        ("seed.value", "seed.value: got 7 above `value`, expected a mapping"),
        ("seed.value.deep", "seed.value: got 7, expected a mapping or a list"),
        ("none.0", "none.0: no entry '0', the list is empty"),
        ("seed..value", "seed..value: has an empty part, expected names between single dots"),
    ],
)
def test_overrides_that_lead_nowhere(path: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override({"stages": [{"name": "first"}], "seed": 7, "none": []}, {path: 1})
    assert caught.value.message == told


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
# What YAML can hold: no lone surrogates, no control characters.
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=12)
LIMITS = st.builds(Limits, low=st.integers(-9, 10), high=st.integers(10, 99))
SETTINGS = st.builds(
    Settings,
    name=TEXTS,
    steps=st.integers(),
    rate=FLOATS,
    is_fast=st.booleans(),
    mode=st.sampled_from(["a", "b"]),
    version=st.sampled_from([1, 2]),
    limits=LIMITS,
    shape=st.none()
    | st.builds(Round, kind=st.sampled_from(["round", "circle"]), radius=FLOATS)
    | st.builds(Square, kind=st.just("square"), side=FLOATS),
    sizes=st.none() | st.lists(st.integers(), max_size=3).map(tuple),
    span=st.tuples(st.integers(), FLOATS),
    weights=st.dictionaries(TEXTS, FLOATS | LIMITS, max_size=3),
    more=st.lists(LIMITS, max_size=3).map(tuple),
)


@given(settings=SETTINGS)
def test_records_survive_plain_values_and_yaml(settings: Settings) -> None:
    plain = to_dict(settings)
    assert from_dict(Settings, plain) == settings
    assert (
        from_dict(Settings, yaml.safe_load(yaml.safe_dump(plain, allow_unicode=True))) == settings
    )


@given(settings=SETTINGS)
def test_records_survive_a_file(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "settings.yaml"
    write_yaml(to_dict(settings), path)
    assert from_dict(Settings, read_yaml(path)) == settings


@given(settings=SETTINGS, steps=st.integers(), low=st.integers(max_value=10))
def test_an_override_changes_its_key_and_nothing_else(
    settings: Settings, steps: int, low: int
) -> None:
    changed = override(to_dict(settings), {"steps": steps, "limits.low": low})
    expected = to_dict(settings)
    expected["steps"], expected["limits"]["low"] = steps, low
    assert changed == expected
