/* Several fronts of any supernets: for each value of the first cost the best that each of them has for so much. */

function drawLevels(table, views) {
  const [{ first, data, costs, metric }] = views;
  const levels = levelsOf(
    views.map((view) => view.front),
    data.trade,
  );
  const heads = views.map((view) => el("th", { scope: "col" }, view.name, el("small", {}, metric.unit)));
  const cost = el("th", { scope: "col", class: "text" }, costs[first].axis, el("small", {}, costs[first].unit));
  table.tHead.rows[0].replaceChildren(cost, ...heads);
  table.tBodies[0].replaceChildren(...levels.map((level, n) => drawLevel(level, levels[n - 1] ?? null, views)));
  find("shared").textContent = `${leadsOf(levels, views)} * is best there, ~ is best by no more than chance makes likely.`;
}

/* How often the fronts cross, and which leads beyond doubt from where. */
function leadsOf(levels, views) {
  const runs = [];
  for (const { leader, cost, isApart: isClear } of levels) {
    if (runs.at(-1)?.leader !== leader) runs.push({ leader, cost, isClear: false });
    runs.at(-1).isClear ||= isClear;
  }
  const clear = runs.filter(({ isClear }) => isClear).filter(({ leader }, n, all) => leader !== all[n - 1]?.leader);
  const words = clear.map(({ leader, cost }) => `${views[leader].name} from ${levelText(cost, views[0])}`);
  return `Crossings: ${Math.max(0, runs.length - 1)}. Best beyond doubt: ${words.join(", then ") || "none"}.`;
}

/* Three digits, as the command line has them. */
function levelText(cost, { first, costs }) {
  return `${cost.toFixed(decimalsOf(cost, 3))} ${costs[first].unit}`.trim();
}

function drawLevel({ cost, best, leader, isApart: isClear }, before, views) {
  const cells = best.map((one, n) => {
    if (one === null) return el("td", {}, "–", el("span", { class: "sign" }));
    const sign = n === leader ? (isClear ? "*" : "~") : "";
    const row = one === before?.best[n] ? "" : `row ${views[n].rowOf(one)}: `;
    return el(
      "td",
      { class: n === leader ? "on" : null },
      el("small", {}, row),
      views[n].metric.factor === 100 ? (100 * one.accuracy).toFixed(1) : scoreText(views[n], one.accuracy),
      el("span", { class: "sign" }, sign),
    );
  });
  return el("tr", {}, el("th", { scope: "row" }, levelText(cost, views[0])), ...cells);
}
