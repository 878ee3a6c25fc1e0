/* One submodel: its numbers, its layers, the command that exports it. */

const LONGEST = 12; // ids whose panels are tried for the height to reserve

function drawDetails(view, one, path) {
  const standing = view.standingOf(one);
  const row = view.rowOf(one);
  const near = view.isNear(one) ? `; not significantly apart from row ${row - 1}` : "";
  find("details-kind").textContent =
    row === null ? sentence(view, one, standing) : `Row ${row}, ${STANDING[standing]}${near}`;
  find("details-kind").className = `kind ${standing}`;
  find("details-title").textContent = one.id;
  find("details").replaceChildren(
    numbersOf(view, one),
    ...stacksOf(one, view.data.space, view.data.stacks).map(drawStack),
  );
  find("command").textContent = `bstsearch export --pick ${one.id} --front ${path}`;
}

/* Makes room for those submodels that take most of it, so that the page stands still whatever is pointed at. */
function reserveHeight(view, path) {
  const card = find("details-card");
  card.style.minHeight = "";
  const longest = [...view.scored].sort((a, b) => b.id.length - a.id.length).slice(0, LONGEST);
  const heights = longest.map((one) => {
    drawDetails(view, one, path);
    return card.offsetHeight;
  });
  card.style.minHeight = `${Math.max(...heights)}px`;
}

/* Why it is not on the front. */
function sentence(view, one, standing) {
  if (standing === "dominated")
    return `Dominated: ${view.front.find((member) => dominates(member, one, view.data.trade)).id} is nowhere worse`;
  if (standing === "low") return `Not good enough: ${view.metric.name} ${scoreWords(view, one.accuracy)}`;
  const share = (key) => deciding(key, one, view.budget) / view.budget[key];
  const [key] = limitsOf(view.budget).sort((a, b) => share(b) - share(a));
  const upTo = view.budget.at !== "middle" && rangeText(view, key, one) ? "up to " : "";
  return `Over the budget: ${view.costs[key].label} ${upTo}${costWords(view, key, deciding(key, one, view.budget))}`;
}

function numbersOf(view, one) {
  const isTraded = (key) => view.data.trade.costs.includes(key);
  const costs = Object.keys(view.costs).map((key) => [
    capital(view.costs[key].label),
    costWords(view, key, isTraded(key) ? valueOf(key, one) : deciding(key, one, view.budget)),
    isTraded(key) ? rangeText(view, key, one) : "",
  ]);
  const ends = `${scoreText(view, one.accuracy_low)}–${scoreText(view, one.accuracy_high)}`;
  const facts = [
    [capital(view.metric.name), scoreWords(view, one.accuracy), ends],
    ...costs,
    ["Width, depth", `${one.width}, ${one.depth}`, ""],
  ];
  const pairs = facts.flatMap(([name, value, more]) => [
    el("dt", {}, name),
    el("dd", {}, value, ...(more ? [el("small", {}, ` (${more})`)] : [])),
  ]);
  return el("dl", { class: "facts" }, ...pairs);
}

/* Every layer of the full model has its line, so that two submodels can be compared and the page stands still. */
function drawStack({ name, total, layers }) {
  const isKnown = layers.every(({ layer }) => layer !== null);
  const places = Array.from({ length: total }, (_, n) =>
    isKnown ? layers.find(({ layer }) => layer === n) : layers[n],
  );
  const rows = places.map((kept, n) => drawLayer(isKnown ? `layer ${n}` : kept ? `kept ${n + 1}` : "", kept));
  const heading = el("h3", {}, el("code", {}, name), el("span", {}, `keeps ${layers.length} of ${total}`));
  const head = el("tr", {}, el("td"), el("th", { scope: "col" }, "heads"), el("th", { scope: "col" }, "FFN units"));
  return el("div", { class: "stack" }, heading, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}

function drawLayer(name, kept) {
  if (!kept) return el("tr", { class: "dropped" }, el("td", {}, name), el("td", { colspan: 2 }, "left out"));
  return el("tr", {}, el("td", {}, name), el("td", {}, drawSize(kept.heads)), el("td", {}, drawSize(kept.ffn)));
}

/* A gauge, and the number or, where it is not known, the share. */
function drawSize({ share, whole, size }) {
  const bar = el("i");
  bar.style.width = `${100 * number(share)}%`;
  return el(
    "div",
    { class: "size" },
    el("span", { class: "gauge", "aria-hidden": "true" }, bar),
    whole === null ? share : `${size} of ${whole}`,
  );
}

/* Copies the command; a page from a file may not use the clipboard in every browser, so there is an older way. */
async function copyCommand() {
  const code = find("command");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    if (!document.execCommand("copy")) {
      find("copied").textContent = "Selected: copy it with the keyboard";
      return;
    }
  }
  find("copied").textContent = "Copied";
}
