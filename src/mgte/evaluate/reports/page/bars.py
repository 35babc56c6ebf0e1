"""Horizontal bars with intervals and published values, as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from mgte.evaluate.reports.page.elements import Markup, element, joined
from mgte.evaluate.reports.page.scales import Scale, linear_scale, short_number
from mgte.evaluate.reports.page.series import legend, series_colors

_WIDTH, _LABELS, _VALUES, _TOP = 960, 290, 64, 8
_BAR, _GAP, _AXIS = 15, 11, 24
_LABEL_CHARACTERS = 44


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One value.

    Attributes:
        series: What it is a value of, such as a variant.
        value: How long the bar is.
        interval: Ends of the whisker; None without one.
        mark: Published value beside which it stands; None without one.
        detail: What is told when it is pointed at.
    """

    series: str
    value: float
    interval: tuple[float, float] | None = None
    mark: float | None = None
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BarGroup:
    """Bars under one label.

    Attributes:
        label: What they have in common, such as a task.
        bars: The bars.
    """

    label: str
    bars: tuple[Bar, ...]


def bar_chart(groups: Sequence[BarGroup], title: str) -> Markup:
    """Groups of bars below each other.

    Args:
        groups: The groups, from top to bottom.
        title: What the chart shows, for those who cannot see it.

    Returns:
        A figure with its legend; empty without bars.
    """
    bars = [bar for group in groups for bar in group.bars]
    if not bars:
        return Markup()
    names = list(dict.fromkeys(bar.series for bar in bars))
    colors = series_colors(names)
    held = [bar.value for bar in bars] + [bar.mark for bar in bars if bar.mark is not None]
    held += [end for bar in bars for end in bar.interval or ()]
    scale = linear_scale(held, _LABELS, _WIDTH - _VALUES)
    parts: list[Markup] = []
    top = float(_TOP)
    for group in groups:
        height = _BAR * len(group.bars)
        parts.append(_label(group.label, top + height / 2))
        for index, bar in enumerate(group.bars):
            parts.append(_bar(bar, top + index * _BAR, scale, colors[bar.series]))
        top += height + _GAP
    bottom = top - _GAP / 2
    svg = element(
        "svg",
        _grid(scale, bottom),
        *parts,
        viewBox=f"0 0 {_WIDTH} {bottom + _AXIS:g}",
        role="img",
        aria_label=title,
        class_="chart",
    )
    marks = any(bar.mark is not None for bar in bars)
    note = element("p", "Thick tick: published value.", class_="hint") if marks else Markup()
    return element("figure", legend(names, colors), svg, note)


def _grid(scale: Scale, bottom: float) -> Markup:
    lines = []
    for tick in scale.ticks:
        x = scale.place(tick)
        lines.append(element("line", x1=x, x2=x, y1=0, y2=bottom, class_="grid"))
        lines.append(element("text", short_number(tick), x=x, y=bottom + 15, class_="tick mid"))
    return joined(lines)


def _label(text: str, middle: float) -> Markup:
    cut = text if len(text) <= _LABEL_CHARACTERS else text[: _LABEL_CHARACTERS - 1] + "…"
    return element(
        "text", cut, element("title", text), x=_LABELS - 10, y=middle + 4, class_="label end"
    )


def _bar(bar: Bar, top: float, scale: Scale, color: str) -> Markup:
    zero, end = scale.place(0.0), scale.place(bar.value)
    middle = top + _BAR / 2
    parts = [
        element("title", bar.detail or f"{bar.series} {bar.value:.4f}".strip()),
        element(
            "rect",
            x=min(zero, end),
            y=top + 1,
            width=round(abs(end - zero), 2),
            height=_BAR - 2,
            class_=color,
        ),
    ]
    edge = max(zero, end)
    if bar.interval is not None:
        low, high = map(scale.place, bar.interval)
        edge = max(edge, high)
        parts.append(element("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker"))
        parts += [
            element("line", x1=x, x2=x, y1=middle - 3, y2=middle + 3, class_="whisker")
            for x in (low, high)
        ]
    if bar.mark is not None:
        x = scale.place(bar.mark)
        edge = max(edge, x)
        parts.append(element("line", x1=x, x2=x, y1=top, y2=top + _BAR, class_="mark"))
    number = f"{bar.value:.3f}" if abs(bar.value) < 10 else short_number(bar.value)
    parts.append(element("text", number, x=edge + 6, y=middle + 4, class_="value"))
    return element("g", *parts)
