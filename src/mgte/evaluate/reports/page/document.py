"""The page around a report's sections: one file with its own style and script, nothing fetched."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from mgte.evaluate.reports.page.elements import Markup, element, joined

_FOLDER = Path(__file__).parent
# A page that may load nothing: a text that slipped through could not call home either.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page_document(title: str, intro: Markup, sections: Mapping[str, Markup]) -> str:
    """A whole HTML file.

    Args:
        title: Title of the page.
        intro: What stands above the sections.
        sections: Title to content; empty ones are left out.

    Returns:
        The file's text.
    """
    kept = {name: content for name, content in sections.items() if content}
    links = [element("li", element("a", name, href=f"#{_anchor(name)}")) for name in kept]
    body = [
        element("section", element("h2", name), content, id=_anchor(name))
        for name, content in kept.items()
    ]
    button = element("button", "Dark or light", type="button", id="theme")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", title),
        # Style and script are ours and hold no text of the report.
        Markup(f"<style>{_packaged('page.css')}</style>"),
    )
    page = element(
        "body",
        element("a", "To the results", href="#main", class_="skip"),
        element("header", element("h1", title), button, intro),
        element("nav", element("ul", joined(links)), aria_label="Sections"),
        element("main", *body, id="main"),
        Markup(f"<script>{_packaged('page.js')}</script>"),
    )
    return f"<!DOCTYPE html>\n{element('html', head, page, lang='en')}\n"


def _anchor(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


@lru_cache(maxsize=2)
def _packaged(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")
