/* What is shown of one front within one budget: its rows, their standing, and how its numbers are written. */

const STANDING = { recommended: "recommended", front: "on the front", dominated: "dominated", low: "not good enough", over: "over the budget" };

function makeView(name, data, budget, floor, costs) {
  const scored = data.candidates.filter((one) => one.accuracy !== null);
  const { front, recommended } = solve(data.candidates, budget, data.trade, floor);
  const rows = new Map(front.map((one, index) => [one.id, index + 1]));
  const hasBudget = limitsOf(budget).length > 0;
  const { metric } = data.trade;
  const [first] = data.trade.costs;
  const view = { name, data, budget, floor, costs, metric, first, scored, front, recommended, hasBudget };
  const near = new Set(front.filter((one, n) => n && !isRowApart(data, front[n - 1], one)));
  view.isNear = (one) => near.has(one); // to the row above
  view.rowOf = (one) => rows.get(one.id) ?? null;
  view.standingOf = (one) => {
    if (one === recommended) return "recommended";
    if (rows.has(one.id)) return "front";
    if (!admits(one, budget)) return "over";
    return keepsTo(one, floor, metric) ? "dominated" : "low";
  };
  view.formats = Object.fromEntries(Object.keys(costs).map((key) => [key, formatIn(view, key)]));
  const end = front.length && !hasBudget ? worseEnd(bestOf(front, data.trade), metric) : null;
  view.percentDecimals = percentDecimals(
    (floor === null ? front : scored).map((one) => one.accuracy),
    floor ?? end,
  );
  return view;
}

/* How a cost is written: plain numbers in units of a prefix, all others in the cost's unit. */
function formatIn({ scored, budget, costs }, key) {
  const values = scored.map((one) => deciding(key, one, budget));
  if (!costs[key].unit) return wholeFormat(values);
  return { factor: 1, prefix: "", decimals: columnDecimals(values, budget[key] ?? null) };
}

function costText(view, key, value) {
  const { factor, decimals } = view.formats[key];
  return (value / factor).toFixed(decimals);
}

/* The same with its unit. */
function costWords(view, key, value) {
  return `${costText(view, key, value)} ${view.costs[key].unit || view.formats[key].prefix}`.trim();
}

function scoreText(view, score) {
  if (view.metric.factor === 100) return (100 * score).toFixed(view.percentDecimals);
  return String(Number(score.toPrecision(4)));
}

function scoreWords(view, score) {
  return `${scoreText(view, score)} ${view.metric.unit}`.trim();
}

/* "accuracy is at least 97.0 %" */
function floorWords({ metric, floor }) {
  const number = String(Number((metric.factor * floor).toPrecision(6)));
  return `${metric.name} is at ${metric.is_higher_better ? "least" : "most"} ${number} ${metric.unit}`.trim();
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

/* A budget's limit, in as many digits as leave each submodel on its side. */
function limitWords(view, key) {
  const limit = view.budget[key];
  const text = limitText(
    limit,
    view.scored.map((one) => deciding(key, one, view.budget)),
  );
  return `${text} ${view.costs[key].unit}`.trim();
}

function budgetWords(view) {
  return limitsOf(view.budget)
    .map((key) => `${view.costs[key].label} ${limitWords(view, key)}`)
    .join(", ");
}

/* Where their costs come from: "estimated", or of several kinds "composed or measured"; empty where counted. */
function kindWords(candidates, key) {
  const kinds = candidates.map((one) => sourceOf(key, one)).filter(Boolean);
  return [...new Set(kinds)].sort().join(" or ");
}

function rangeText(view, key, one) {
  const [low, high] = [lowOf(key, one), highOf(key, one)];
  return low === high ? "" : `${costText(view, key, low)}–${costText(view, key, high)}`;
}

/* One submodel in a sentence, for those who cannot see the plot. */
function summary(view, one) {
  const row = view.rowOf(one);
  const place =
    row === null ? STANDING[view.standingOf(one)] : `row ${row}${one === view.recommended ? ", recommended" : ""}`;
  const [value, high] = [valueOf(view.first, one), highOf(view.first, one)];
  const upTo = rangeText(view, view.first, one) ? ` to at most ${costText(view, view.first, high)}` : "";
  const { label, unit } = view.costs[view.first];
  const cost = `${label} ${costText(view, view.first, value)}${upTo} ${unit}`.trim();
  return `${one.id}, ${place}, ${view.metric.name} ${scoreWords(view, one.accuracy)}, ${cost}`;
}

/* What the numbers rest on. */
function facts({ data, front, scored }) {
  const { supernet, device, created, bstsearch } = data;
  const { runtime, latency_error: error } = device;
  const kind = kindWords(front.length ? front : scored, "latency_ms");
  const range = error && kind !== "measured" ? ` (±${(100 * error).toFixed(0)} %)` : "";
  const how = [runtime.words ?? `${runtime.name} ${runtime.version}`, runtime.provider, `threads: ${runtime.threads}`];
  const latencies = `Latencies ${kind}${range} with ${how.join(", ")}, ${runtime.precision}, batch 1.`;
  return `Supernet ${supernet.path} (${supernet.digest}). ${latencies} Made ${created} by bstsearch ${bstsearch}.`;
}
