/* The page: what is chosen, and everything drawn anew from it. */

const { fronts, costs, rules, has_same_scores: hasSameScores } = JSON.parse(find("data").textContent);
for (const { front } of fronts) front.candidates = unpacked(front.candidates);
const state = {
  device: 0,
  axis: fronts[0].front.trade.costs[0],
  budgets: fronts.map(({ front }) => ({ ...front.budget })),
  floors: fronts.map(({ front }) => front.min_accuracy),
  chosen: null, // an id; null: the panel follows what is recommended
  shown: null, // what the pointer or the focus is on
  sort: { key: "row", isDescending: false },
  text: "",
  isFrontOnly: false,
};
const actions = { show, choose, limit: setLimit, sort: sortBy };
const plot = makePlot(find("plot"), find("slider"), actions);
const table = makeTable(find("rows"), columnsFor(fronts[0].front, costs), actions);
let views;
let view;

/* Candidates are packed as a row of keys and rows of values. */
function unpacked({ keys, costs: names, rows }) {
  return rows.map((row) => ({
    ...Object.fromEntries(keys.map((key, n) => [key, row[n]])),
    costs: Object.fromEntries(names.map((name, n) => [name, row[keys.length + n]])),
  }));
}

function render() {
  views = fronts.map(({ name, front }, n) => makeView(name, front, state.budgets[n], state.floors[n], costs));
  view = views[state.device];
  find("title").textContent =
    document.title = `Pareto front of ${view.data.supernet.family} on ${view.data.device.name}`;
  find("plot-title").textContent = `${capital(view.metric.name)} over ${costs[state.axis].title}`;
  find("facts").textContent = facts(view);
  renderAnswer();
  renderBudget();
  drawPlot(plot, view, state.axis, others());
  renderRows();
  if (views.length > 1) (hasSameScores ? drawMatrix : drawLevels)(find("matrix"), views);
  renderShown();
}

/* The other fronts, each with its number, which is that of its colour. */
function others() {
  return views.map((other, n) => ({ other, n })).filter(({ n }) => n !== state.device);
}

function renderRows() {
  find("count").textContent = drawTable(table, view, state);
}

/* What the pointer or the focus is on, else what is chosen, else what is recommended, else what comes nearest. */
function renderShown() {
  const fallback = view.recommended ?? nearest(view.scored, view.budget);
  const chosen = view.scored.find((one) => one.id === state.chosen) ?? fallback;
  const one = view.scored.find((other) => other.id === state.shown) ?? chosen;
  markPoints(plot, state.shown, chosen.id, state.shown ?? chosen.id);
  markRows(table, state.shown, chosen.id);
  drawDetails(view, one, fronts[state.device].path);
}

function settle() {
  reserveHeight(view, fronts[state.device].path);
  renderShown();
}

function renderAnswer() {
  const { recommended, budget, data, floor, hasBudget } = view;
  const words = budgetWords(view);
  if (recommended) {
    const why = floor === null ? (hasBudget ? `${rules.within}: ${words}` : rules.free) : floorRule(words);
    find("answer").replaceChildren(
      "Recommended: ",
      el("strong", {}, recommended.id),
      ` (row ${view.rowOf(recommended)}), ${why}.`,
    );
  } else {
    const within = view.scored.filter((one) => admits(one, budget));
    const one = within.length ? bestOf(within, data.trade) : nearest(data.candidates, budget);
    const costsOf = limitsOf(budget).map((key) => costWords(view, key, deciding(key, one, budget)));
    const text = within.length
      ? `No scored submodel${hasBudget ? ` within ${words}` : ""} is good enough: ${floorWords(view)}; the nearest is ${one.id} with ${scoreWords(view, one.accuracy)}.`
      : admits(one, budget)
      ? `What fits within ${words} has not been scored.`
      : `No submodel fits within ${words}; the nearest is ${one.id} with ${costsOf.join(", ")}.`;
    find("answer").replaceChildren(text);
  }
  find("remark").textContent = remark();
}

function floorRule(budget) {
  const end = worseEnd(view.recommended, view.metric);
  const reach = keepsTo({ accuracy: end }, view.floor, view.metric)
    ? ""
    : ` (its 95 % interval reaches ${scoreWords(view, end)})`;
  return `${rules.first}${budget && ` within ${budget}`} whose ${floorWords(view)}${reach}`;
}

function remark() {
  const { data, budget, hasBudget } = view;
  const end = hasBudget ? ` A range counts with ${budget.at === "middle" ? "its middle" : "its upper end"}.` : "";
  const found = `${view.front.length} of ${view.scored.length} scored submodels are on the front`;
  if (isUnsearched()) {
    return `${found}.${end} The search looked no further than its own budget: "bstsearch pareto" with this one scores what else fits.`;
  }
  return `${found}${data.is_exact ? "" : `, sampled by ${data.sampler}`}.${end}`;
}

/* Whether submodels fit that the search has not looked at. */
function isUnsearched() {
  const { data, budget } = view;
  if (data.candidates.length < fronts[state.device].size) return !covers(data.searched, budget);
  return data.candidates.some((one) => one.accuracy === null && one.beaten_by === null && admits(one, budget));
}

function renderBudget() {
  find("bars").textContent = barWords();
  const { metric, floor } = view;
  find("floor-label").textContent = `${capital(metric.name)} at ${metric.is_higher_better ? "least" : "most"}`;
  find("floor-unit").textContent = metric.unit;
  const least = find("floor");
  if (least.value === "" ? floor !== null : fromUnit(least.value) !== floor)
    least.value = floor === null ? "" : Number((metric.factor * floor).toPrecision(12));
  const [limit, asked] = [view.budget[state.axis], view.data.budget[state.axis]];
  const field = find("limit");
  if (Number(field.value) !== limit) field.value = limit ?? ""; // "0.50" is left as it was typed
  field.setAttribute("aria-label", `Budget: ${costs[state.axis].label} at most, ${costs[state.axis].unit}`.replace(/, $/, ""));
  find("unit").textContent = costs[state.axis].unit;
  find("none").hidden = limit === null;
  find("asked").hidden = asked === null || asked === limit;
  find("asked").textContent =
    asked === null ? "" : `Back to ${limitWords({ ...view, budget: view.data.budget }, state.axis)}`;
}

function barWords() {
  const hasRange = view.scored.some((one) => rangeText(view, state.axis, one));
  if (!hasRange) return "95 % interval";
  return `ranges; ${view.budget.at === "middle" ? "the point" : "the right end"} decides`;
}

function show(id) {
  if (state.shown === id) return;
  state.shown = id;
  renderShown();
}

/* Chooses a submodel; the chosen one again lets go of it. */
function choose(id) {
  state.chosen = state.chosen === id ? null : id;
  find("copied").textContent = "";
  renderShown();
}

function setLimit(value) {
  state.budgets[state.device] = { ...state.budgets[state.device], [state.axis]: value };
  render();
}

function setFloor(value) {
  state.floors[state.device] = value;
  render();
}

/* A score as it is stored, of what was typed in the metric's unit; in per cent to the last digit, as 97.3e-2. */
function fromUnit(text) {
  return Number(view.metric.factor === 100 ? `${Number(text)}e-2` : text);
}

function sortBy(key) {
  state.sort = { key, isDescending: state.sort.key === key && !state.sort.isDescending };
  renderRows();
  renderShown();
}

function addChoice(fieldset, name, words, isChecked, onChange) {
  const input = el("input", { type: "radio", name, checked: isChecked });
  input.addEventListener("change", onChange);
  fieldset.append(el("label", {}, input, el("span", {}, words)));
}

for (const [key, { axis }] of Object.entries(costs)) {
  addChoice(find("axes"), "axis", axis, key === state.axis, () => {
    state.axis = key;
    render();
  });
}
if (fronts.length > 1) {
  find("devices").hidden = find("matrix-card").hidden = false;
  find("matrix-title").textContent = hasSameScores ? "On all devices" : "For the same cost";
  fronts.forEach(({ name }, n) =>
    addChoice(find("devices"), "device", name, n === 0, () => {
      state.device = n;
      render();
      settle();
    }),
  );
}
find("limit").addEventListener("input", ({ target }) => {
  if (target.value === "" && !target.validity.badInput) setLimit(null);
  else if (Number(target.value) > 0) setLimit(Number(target.value));
});
find("limit").addEventListener("blur", renderBudget);
find("floor").addEventListener("input", ({ target }) => {
  if (target.value !== "") setFloor(fromUnit(target.value));
  else if (!target.validity.badInput) setFloor(null);
});
find("none").addEventListener("click", () => {
  setLimit(null);
  find("limit").focus();
});
find("asked").addEventListener("click", () => {
  setLimit(view.data.budget[state.axis]);
  find("limit").focus();
});
find("filter").addEventListener("input", ({ target }) => {
  state.text = target.value;
  renderRows();
  renderShown();
});
find("front-only").addEventListener("change", ({ target }) => {
  state.isFrontOnly = target.checked;
  renderRows();
  renderShown();
});
find("copy").addEventListener("click", copyCommand);
addEventListener("resize", settle);
new ResizeObserver(() => drawPlot(plot, view, state.axis, others())).observe(find("plot"));
render();
settle();
