/* The table of all scored submodels: sorted by any column, filtered, one row per point of the plot. */

const number = (share) => fraction(share)[0] / fraction(share)[1];
/* The columns for fronts that trade these costs: what they trade, then what else is known. */
function columnsFor({ candidates, split, trade }, costs) {
  const isTested = candidates.some((one) => one.test_accuracy !== null);
  return [
    {
      key: "row",
      name: "Row",
      value: (one, view) => view.rowOf(one),
      text: (one, view) => String(view.rowOf(one) ?? "–"),
    },
    { key: "id", name: "Submodel", isText: true, value: (one) => one.id },
    scoreColumn("accuracy", isTested ? `${split} ${trade.metric.name}` : trade.metric.name, trade),
    ...(isTested ? [scoreColumn("test_accuracy", `test ${trade.metric.name}`, trade)] : []),
    ...Object.keys(costs).flatMap((key) => costColumns(key, costs[key], candidates, trade)),
    { key: "width", name: "Width", value: (one) => number(one.width), text: (one) => one.width },
    { key: "depth", name: "Depth", value: (one) => number(one.depth), text: (one) => one.depth },
  ];
}

/* A score and its interval; only members of a front have one on the test part. */
function scoreColumn(key, name, trade) {
  const ends = (one) => [one[`${key}_low`], one[`${key}_high`]];
  return {
    key,
    name: capital(name),
    unit: () => [trade.metric.unit, "95 % interval"].filter(Boolean).join(", "),
    value: (one) => one[key],
    text: (one, view) => (one[key] === null ? "–" : `${nearSign(key, one, view)}${scoreText(view, one[key])}`),
    range: (one, view) =>
      one[key] === null
        ? ""
        : ends(one)
            .map((end) => scoreText(view, end))
            .join("–"),
  };
}

/* Before the score that rows are chosen by, where it is not significantly apart from that of the row above. */
function nearSign(key, one, view) {
  return key === "accuracy" && view.isNear(one) ? "~ " : "";
}

/* Of a traded cost its value and, where it is not just counted, its upper end; of another one what is held against a
   budget. */
function costColumns(key, words, candidates, trade) {
  const column = (name, value, end = "") => ({
    key: key + end,
    name,
    unit: (view) => words.head || view.formats[key].prefix,
    value,
    text: (one, view) => costText(view, key, value(one, view)),
  });
  if (!trade.costs.includes(key)) return [column(words.axis, (one, view) => deciding(key, one, view.budget))];
  const hasEnds = candidates.some((one) => sourceOf(key, one));
  const most = column("At most", (one) => highOf(key, one), " at most");
  return [column(words.axis, (one) => valueOf(key, one)), ...(hasEnds ? [most] : [])];
}

function makeTable(table, columns, actions) {
  const [head, body] = [table.tHead.rows[0], table.tBodies[0]];
  for (const column of columns) {
    const button = el("button", { type: "button" }, column.name);
    button.addEventListener("click", () => actions.sort(column.key));
    head.append(el("th", { scope: "col", class: column.isText ? "text" : null }, button, el("small")));
  }
  body.addEventListener("pointerover", (event) => event.pointerType === "mouse" && actions.show(rowOf(event)));
  body.addEventListener("pointerleave", () => actions.show(null));
  body.addEventListener("focusin", (event) => actions.show(rowOf(event)));
  body.addEventListener("focusout", () => actions.show(null));
  body.addEventListener("click", (event) => rowOf(event) && actions.choose(rowOf(event)));
  return { head, body, columns, rows: new Map() };
}

function rowOf(event) {
  return event.target.closest("tr")?.dataset.id ?? null;
}

function drawTable(table, view, { sort, text, isFrontOnly }) {
  table.columns.forEach((column, n) => drawHead(table.head.cells[n], column, view, sort));
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const isWanted = (one) =>
    (!isFrontOnly || view.rowOf(one) !== null) &&
    words.every((word) => `${one.id} ${STANDING[view.standingOf(one)]}`.includes(word));
  const wanted = sorted(table, view, sort).filter(isWanted);
  const none = el(
    "tr",
    {},
    el("td", { class: "empty", colspan: table.columns.length }, "No submodel matches. Clear the filter to see them all."),
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

function sorted({ columns }, view, { key, isDescending }) {
  const { value } = columns.find((column) => column.key === key);
  const compare = (one, other) => {
    const [a, b] = [value(one, view), value(other, view)];
    if (a === null || b === null) return (a === null) - (b === null) || inOrder(one, other, view.data.trade); // no row: always last
    return (a < b ? -1 : a > b ? 1 : 0) * (isDescending ? -1 : 1) || inOrder(one, other, view.data.trade);
  };
  return [...view.scored].sort(compare);
}

function drawRow(table, view, one) {
  const row = table.rows.get(one.id) ?? makeRow(table.columns, one);
  table.rows.set(one.id, row);
  const standing = view.standingOf(one);
  row.className = [standing, ...["shown", "chosen"].filter((name) => row.classList.contains(name))].join(" ");
  table.columns.forEach((column, n) => column.text && row.cells[n].replaceChildren(...cellParts(column, one, view)));
  row.querySelector(".status").textContent = standing === "front" ? "" : STANDING[standing];
  return row;
}

function cellParts(column, one, view) {
  const text = column.text(one, view);
  const range = column.range?.(one, view);
  return range ? [text, el("small", {}, ` (${range})`)] : [text];
}

function makeRow(columns, one) {
  const button = el("button", { type: "button", "aria-pressed": "false" }, el("code", {}, one.id));
  const cells = columns.map((column) =>
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
