"""Lines over categories, and points with their Pareto front, as inline SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mgte.evaluate.reports.page.elements import Markup, element, joined
from mgte.evaluate.reports.page.scales import Scale, linear_scale, log_scale, short_number
from mgte.evaluate.reports.page.series import legend, series_colors

_WIDTH, _HEIGHT = 640, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 26, 46


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One point of a scatter plot.

    Attributes:
        series: What it belongs to, such as a precision.
        x: Cost, above 0.
        y: Quality.
        label: What stands beside it.
        detail: What is told when it is pointed at.
    """

    series: str
    x: float
    y: float
    label: str = ""
    detail: str = ""


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Points than which none is both cheaper and better.

    Args:
        points: The points.

    Returns:
        Those of the front, by rising cost and quality.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.x, -point.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def scatter_chart(points: Sequence[Point], x_name: str, y_name: str) -> Markup:
    """Points over a logarithmic cost, with their Pareto front.

    Args:
        points: The points; at least one.
        x_name: Name of the cost.
        y_name: Name of the quality.

    Returns:
        A figure with its legend.
    """
    names = list(dict.fromkeys(point.series for point in points))
    colors = series_colors(names)
    x = log_scale([point.x for point in points], _LEFT, _WIDTH - _RIGHT)
    y = _vertical([point.y for point in points])
    front = pareto_front(points)
    path = " ".join(f"{x.place(point.x)},{y.place(point.y)}" for point in front)
    drawn = [element("polyline", points=path, class_="front")]
    for point in points:
        place_x, place_y = x.place(point.x), y.place(point.y)
        label = point.label if point in front else ""
        drawn.append(
            element(
                "g",
                element("title", point.detail or f"{point.x:g}, {point.y:.4f}"),
                element("circle", cx=place_x, cy=place_y, r=5, class_=colors[point.series]),
                element("text", label, x=place_x, y=place_y - 9, class_="tick mid"),
            )
        )
    marks = [(x.place(tick), short_number(tick)) for tick in x.ticks]
    return _figure(names, colors, [_axes(y, marks, x_name, y_name), *drawn], f"{y_name}, {x_name}")


def line_chart(
    series: Mapping[str, Sequence[float | None]],
    places: Sequence[str],
    x_name: str,
    y_name: str,
    *,
    from_zero: bool = False,
) -> Markup:
    """Values of several series over the same categories.

    Args:
        series: Name to one value per category; None where there is none.
        places: Names of the categories.
        x_name: What the categories are.
        y_name: What the values are.
        from_zero: Whether 0 is on the axis, so that heights compare as times and speeds do.

    Returns:
        A figure with its legend; empty without values.
    """
    if not any(value is not None for values in series.values() for value in values):
        return Markup()
    colors = series_colors(series)
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(places), 1)
    centres = [round(_LEFT + step * (index + 0.5), 2) for index in range(len(places))]
    held = [value for values in series.values() for value in values if value is not None]
    y = _vertical([*held, 0.0] if from_zero else held)
    drawn = []
    for name, values in series.items():
        known = [(i, value) for i, value in enumerate(values) if value is not None]
        path = " ".join(f"{centres[i]},{y.place(value)}" for i, value in known)
        drawn.append(element("polyline", points=path, class_=f"line {colors[name]}"))
        drawn += [
            element(
                "circle",
                element("title", f"{name} {places[i]}: {value:.4g}".strip()),
                cx=centres[i],
                cy=y.place(value),
                r=4,
                class_=colors[name],
            )
            for i, value in known
        ]
    marks = list(zip(centres, places, strict=True))
    axes = _axes(y, marks, x_name, y_name)
    return _figure(list(series), colors, [axes, *drawn], f"{y_name}, {x_name}")


def _vertical(values: Sequence[float]) -> Scale:
    return linear_scale(values, _HEIGHT - _BOTTOM, _TOP, from_zero=False)


def _axes(y: Scale, marks: Sequence[tuple[float, str]], x_name: str, y_name: str) -> Markup:
    bottom = _HEIGHT - _BOTTOM
    parts = []
    for tick in y.ticks:
        place = y.place(tick)
        parts.append(
            element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=place, y2=place, class_="grid")
        )
        parts.append(
            element("text", short_number(tick), x=_LEFT - 7, y=place + 4, class_="tick end")
        )
    for place, text in marks:
        parts.append(element("line", x1=place, x2=place, y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(element("text", text, x=place, y=bottom + 18, class_="tick mid"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(element("text", x_name, x=middle, y=_HEIGHT - 8, class_="axis-name mid"))
    turned = f"rotate(-90 12 {(_TOP + bottom) / 2:g})"
    parts.append(
        element(
            "text",
            y_name,
            x=12,
            y=round((_TOP + bottom) / 2, 1),
            transform=turned,
            class_="axis-name mid",
        )
    )
    return joined(parts)


def _figure(
    names: Sequence[str], colors: dict[str, str], parts: Sequence[Markup], title: str
) -> Markup:
    svg = element(
        "svg",
        *parts,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=title,
        class_="chart small",
    )
    return element("figure", legend(names, colors), svg)
