/* The table of all scored submodels: sorted by any column, filtered, one row per point of the plot. */

const number = (share) => fraction(share)[0] / fraction(share)[1];
const COLUMNS = [
  {
    key: "row",
    name: "Row",
    value: (one, view) => view.rowOf(one),
    text: (one, view) => String(view.rowOf(one) ?? "–"),
  },
  { key: "id", name: "Submodel", isText: true, value: (one) => one.id },
  {
    key: "accuracy",
    name: "Accuracy",
    unit: () => "%, 95 % interval",
    value: (one) => one.accuracy,
    text: (one, view) => percentText(view, one.accuracy),
    range: (one, view) => `${percentText(view, one.accuracy_low)}–${percentText(view, one.accuracy_high)}`,
  },
  {
    key: "latency",
    name: "Latency",
    unit: () => "ms",
    value: (one) => one.latency_ms,
    text: (one, view) => costText(view, "latency_ms", one.latency_ms),
  },
  {
    key: "high",
    name: "At most",
    unit: () => "ms",
    value: (one) => one.latency_high_ms,
    text: (one, view) => costText(view, "latency_ms", one.latency_high_ms),
  },
  {
    key: "gflops",
    name: "GFLOPs",
    value: (one) => one.gflops,
    text: (one, view) => costText(view, "gflops", one.gflops),
  },
  {
    key: "params",
    name: "Params",
    unit: (view) => view.parameters.prefix,
    value: (one) => one.parameters,
    text: parametersText,
  },
  {
    key: "size",
    name: "Size",
    unit: () => "MB",
    value: (one) => one.size_bytes,
    text: (one, view) => costText(view, "size_mb", one.size_bytes / 1e6),
  },
  {
    key: "memory",
    name: "Memory",
    unit: () => "MB, peak",
    value: (one, view) => deciding("memory_mb", one, view.budget),
    text: (one, view) => costText(view, "memory_mb", deciding("memory_mb", one, view.budget)),
  },
  { key: "width", name: "Width", value: (one) => number(one.width), text: (one) => one.width },
  { key: "depth", name: "Depth", value: (one) => number(one.depth), text: (one) => one.depth },
];

function parametersText(one, { parameters }) {
  return (one.parameters / parameters.factor).toFixed(parameters.decimals);
}

function makeTable(table, actions) {
  const [head, body] = [table.tHead.rows[0], table.tBodies[0]];
  for (const column of COLUMNS) {
    const button = el("button", { type: "button" }, column.name);
    button.addEventListener("click", () => actions.sort(column.key));
    head.append(el("th", { scope: "col", class: column.isText ? "text" : null }, button, el("small")));
  }
  body.addEventListener("pointerover", (event) => event.pointerType === "mouse" && actions.show(rowOf(event)));
  body.addEventListener("pointerleave", () => actions.show(null));
  body.addEventListener("focusin", (event) => actions.show(rowOf(event)));
  body.addEventListener("focusout", () => actions.show(null));
  body.addEventListener("click", (event) => rowOf(event) && actions.choose(rowOf(event)));
  return { head, body, rows: new Map() };
}

function rowOf(event) {
  return event.target.closest("tr")?.dataset.id ?? null;
}

function drawTable(table, view, { sort, text, isFrontOnly }) {
  COLUMNS.forEach((column, n) => drawHead(table.head.cells[n], column, view, sort));
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const isWanted = (one) =>
    (!isFrontOnly || view.rowOf(one) !== null) &&
    words.every((word) => `${one.id} ${STANDING[view.standingOf(one)]}`.includes(word));
  const wanted = sorted(view, sort).filter(isWanted);
  const none = el(
    "tr",
    {},
    el("td", { class: "empty", colspan: COLUMNS.length }, "No submodel matches. Clear the filter to see them all."),
  );
  arrange(table.body, wanted.length ? wanted.map((one) => drawRow(table, view, one)) : [none]);
  return `${wanted.length} of ${view.scored.length}`;
}

function drawHead(cell, column, view, sort) {
  const isSorted = sort.key === column.key;
  if (isSorted) cell.setAttribute("aria-sort", sort.isDescending ? "descending" : "ascending");
  else cell.removeAttribute("aria-sort");
  cell.lastChild.textContent = column.unit?.(view) ?? "";
}

function sorted(view, { key, isDescending }) {
  const { value } = COLUMNS.find((column) => column.key === key);
  const compare = (one, other) => {
    const [a, b] = [value(one, view), value(other, view)];
    if (a === null || b === null) return (a === null) - (b === null) || inOrder(one, other); // no row: always last
    return (a < b ? -1 : a > b ? 1 : 0) * (isDescending ? -1 : 1) || inOrder(one, other);
  };
  return [...view.scored].sort(compare);
}

function drawRow(table, view, one) {
  const row = table.rows.get(one.id) ?? makeRow(one);
  table.rows.set(one.id, row);
  const standing = view.standingOf(one);
  row.className = [standing, ...["shown", "chosen"].filter((name) => row.classList.contains(name))].join(" ");
  COLUMNS.forEach((column, n) => column.text && row.cells[n].replaceChildren(...cellParts(column, one, view)));
  row.querySelector(".status").textContent = standing === "front" ? "" : STANDING[standing];
  return row;
}

function cellParts(column, one, view) {
  const text = column.text(one, view);
  return column.range ? [text, el("small", {}, ` (${column.range(one, view)})`)] : [text];
}

function makeRow(one) {
  const button = el("button", { type: "button", "aria-pressed": "false" }, el("code", {}, one.id));
  const cells = COLUMNS.map((column) =>
    column.isText ? el("th", { scope: "row" }, button, el("span", { class: "status" })) : el("td"),
  );
  return el("tr", { "data-id": one.id }, ...cells);
}

function markRows(table, shown, chosen) {
  for (const [id, row] of table.rows) {
    row.classList.toggle("shown", id === shown);
    row.classList.toggle("chosen", id === chosen);
    row.querySelector("button").setAttribute("aria-pressed", String(id === chosen));
  }
}
