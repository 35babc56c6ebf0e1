"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    root.dataset.theme = isDark ? "light" : "dark";
  });

  const compareTexts = new Intl.Collator("en", { numeric: true }).compare;
  // Empty cells stand last, whichever way the column is sorted.
  const compare = (a, b, sign) => {
    const [x, y] = [a.textContent.trim(), b.textContent.trim()];
    if (!x || !y) return (x ? 0 : 1) - (y ? 0 : 1);
    const numbers = [a.dataset.order, b.dataset.order];
    if (numbers.every((text) => text !== undefined)) return sign * (numbers[0] - numbers[1]);
    return sign * compareTexts(x, y);
  };

  const sort = (table, column, head) => {
    const isAscending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", isAscending ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(a.cells[column], b.cells[column], isAscending ? 1 : -1));
    table.tBodies[0].append(...rows);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.firstElementChild.addEventListener("click", () => sort(table, column, head));
    });
  }

  // What is hidden behind an edge is told: scroll bars are not always drawn.
  const frames = [...document.querySelectorAll(".frame")];
  const mark = () => {
    for (const frame of frames) {
      frame.toggleAttribute("data-wide", frame.scrollWidth > frame.clientWidth + 1);
    }
  };
  addEventListener("resize", mark);
  mark();

  // A print shows what is folded on a screen.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const part of opened) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of opened) part.open = false;
  });
})();
