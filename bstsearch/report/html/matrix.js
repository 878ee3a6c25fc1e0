/* Several devices: every submodel on some front, and on each device its first cost and whether it is on the front there. */

function drawMatrix(table, views) {
  const all = onAll(views.map((view) => view.front));
  const one = new Map(views.flatMap((view) => view.front.map((member) => [member.id, member])));
  const ids = [...one.keys()].sort((a, b) => valueOf("gflops", one.get(a)) - valueOf("gflops", one.get(b)) || (a < b ? -1 : 1));
  const heads = views.map((view) =>
    el("th", { scope: "col" }, view.name, el("small", {}, `${headWords(view)}`)),
  );
  table.tHead.rows[0].replaceChildren(el("th", { scope: "col", class: "text" }, "Submodel"), ...heads);
  table.tBodies[0].replaceChildren(...ids.map((id) => drawMatrixRow(id, views, all.includes(id))));
  const known = all.length
    ? `On all ${views.length} fronts: ${all.join(", ")}.`
    : `No submodel is on all ${views.length} fronts.`;
  find("shared").textContent = `${known} + marks the front of a device, * what is recommended there.`;
}

function headWords(view) {
  const { unit, axis } = view.costs[view.first];
  return [unit || axis, kindWords(view.front, view.first)].filter(Boolean).join(", ");
}

function drawMatrixRow(id, views, isEverywhere) {
  const cells = views.map((view) =>
    drawMatrixCell(
      view,
      view.scored.find((one) => one.id === id),
    ),
  );
  return el(
    "tr",
    { class: isEverywhere ? "everywhere" : null },
    el("th", { scope: "row" }, el("code", {}, id)),
    ...cells,
  );
}

function drawMatrixCell(view, one) {
  if (!one) return el("td", {}, "not scored");
  const standing = view.standingOf(one);
  const isOn = view.rowOf(one) !== null;
  const sign = standing === "recommended" ? "*" : isOn ? "+" : "";
  const text = [costText(view, view.first, valueOf(view.first, one)), el("span", { class: "sign" }, sign)];
  return el("td", { class: isOn ? `on ${standing}` : null }, ...text);
}
