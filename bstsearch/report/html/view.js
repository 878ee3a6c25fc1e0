/* What is shown of one front within one budget: its rows, their standing, and how its numbers are written. */

const WORDS = {
  latency_ms: {
    axis: "Latency",
    title: "latency",
    caption: "latency, ms",
    beyond: "beyond the slowest",
    below: "below the fastest",
  },
  gflops: {
    axis: "GFLOPs",
    title: "GFLOPs",
    caption: "GFLOPs, two per multiply-add",
    beyond: "beyond the largest",
    below: "below the smallest",
  },
  size_mb: { axis: "Size", title: "size", caption: "size of the parameters, MB" },
  memory_mb: {
    axis: "Memory",
    title: "peak memory",
    caption: "peak memory, MB",
    beyond: "beyond the largest",
    below: "below the smallest",
  },
};
const STANDING = { recommended: "recommended", front: "on the front", dominated: "dominated", over: "over the budget" };

function makeView(data, budget, costs) {
  const scored = data.candidates.filter((one) => one.accuracy !== null);
  const { front, recommended } = solve(data.candidates, budget);
  const rows = new Map(front.map((one, index) => [one.id, index + 1]));
  const hasBudget = limitsOf(budget).length > 0;
  const view = { data, budget, costs, scored, front, recommended, hasBudget };
  view.rowOf = (one) => rows.get(one.id) ?? null;
  view.standingOf = (one) => {
    if (one === recommended) return "recommended";
    if (rows.has(one.id)) return "front";
    return admits(one, budget) ? "dominated" : "over";
  };
  view.decimals = Object.fromEntries(Object.keys(GETTERS).map((key) => [key, decimalsIn(view, key)]));
  view.parameters = wholeFormat(scored.map((one) => one.parameters));
  const least = front.length && !hasBudget ? bestOf(front).accuracy_low : null;
  view.percentDecimals = percentDecimals(
    front.map((one) => one.accuracy),
    least,
  );
  return view;
}

function decimalsIn({ scored, budget }, key) {
  return columnDecimals(
    scored.map((one) => deciding(key, one, budget)),
    budget[key] ?? null,
  );
}

function costText(view, key, value) {
  return value.toFixed(view.decimals[key]);
}

function percentText(view, share) {
  return (100 * share).toFixed(view.percentDecimals);
}

/* A budget's limit, in as many digits as leave each submodel on its side. */
function limitWords(view, key) {
  const limit = view.budget[key];
  const text = limitText(
    limit,
    view.scored.map((one) => deciding(key, one, view.budget)),
  );
  return `${text} ${view.costs[key].unit}`;
}

function budgetWords(view) {
  return limitsOf(view.budget)
    .map((key) => `${view.costs[key].label} ${limitWords(view, key)}`)
    .join(", ");
}

/* Where latencies come from: "estimated", or of several kinds "composed or measured". */
function kindWords(candidates) {
  return [...new Set(candidates.map((one) => one.latency_source))].sort().join(" or ");
}

function rangeText(view, key, one) {
  const [low, high] = [GETTERS[key].low(one), GETTERS[key].high(one)];
  return low === high ? "" : `${costText(view, key, low)}–${costText(view, key, high)}`;
}

/* One submodel in a sentence, for those who cannot see the plot. */
function summary(view, one) {
  const row = view.rowOf(one);
  const place =
    row === null ? STANDING[view.standingOf(one)] : `row ${row}${one === view.recommended ? ", recommended" : ""}`;
  const latency = `latency ${costText(view, "latency_ms", one.latency_ms)} to at most ${costText(view, "latency_ms", one.latency_high_ms)} ms`;
  return `${one.id}, ${place}, accuracy ${percentText(view, one.accuracy)} %, ${latency}`;
}

/* What the numbers rest on. */
function facts({ data, front, scored }) {
  const { supernet, device, created, bstsearch } = data;
  const { runtime, latency_error: error } = device;
  const kind = kindWords(front.length ? front : scored);
  const range = error && kind !== "measured" ? ` (±${(100 * error).toFixed(0)} %)` : "";
  const how = [runtime.words ?? `${runtime.name} ${runtime.version}`, runtime.provider, `threads: ${runtime.threads}`];
  const latencies = `Latencies ${kind}${range} with ${how.join(", ")}, ${runtime.precision}, batch 1.`;
  return `Supernet ${supernet.path} (${supernet.digest}). ${latencies} Made ${created} by bstsearch ${bstsearch}.`;
}
