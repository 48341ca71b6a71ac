"use strict";
// A click on the head of a column sorts its table by it, and again the other
// way round. Cells that begin with a number are sorted by it.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) continue;
  const value = (row, i) => {
    const text = row.cells[i].textContent.trim();
    const found = text.replace("−", "-").match(/^[-+]?[\d,]*\.?\d+/);
    const units = { k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };
    if (!found) return text;
    const unit = units[text[found[0].length]] || 1;
    return Number(found[0].replaceAll(",", "")) * unit;
  };
  const compare = (a, b) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    if (typeof a === "number") return a - b;
    return a.localeCompare(b, "en", { numeric: true });
  };
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of head.parentNode.cells) {
        other.removeAttribute("aria-sort");
      }
      head.setAttribute("aria-sort", up > 0 ? "ascending" : "descending");
      const rows = [...body.rows].map((row) => [value(row, i), row]);
      rows.sort((a, b) => up * compare(a[0], b[0]));
      body.append(...rows.map(([, row]) => row));
    });
  });
}
