/* What a budget leaves and which row is recommended: the rules of pareto.py and budget.py, number by number the same. */

const GETTERS = {
  latency_ms: { middle: (one) => one.latency_ms, low: (one) => one.latency_low_ms, high: (one) => one.latency_high_ms },
  gflops: { middle: (one) => one.gflops, low: (one) => one.gflops, high: (one) => one.gflops },
  memory_mb: {
    middle: (one) => one.memory_bytes / 1e6,
    low: (one) => (one.memory_source === "measured" ? one.memory_bytes : one.memory_low_bytes) / 1e6,
    high: (one) => (one.memory_source === "measured" ? one.memory_bytes : one.memory_high_bytes) / 1e6,
  },
  size_mb: {
    middle: (one) => one.size_bytes / 1e6,
    low: (one) => one.size_bytes / 1e6,
    high: (one) => one.size_bytes / 1e6,
  },
};
const LIMITED = ["latency_ms", "gflops", "memory_mb"]; // what the command line takes a budget for

/* The end of a range that is held against a budget. */
function deciding(key, one, budget) {
  return GETTERS[key][budget.at === "middle" ? "middle" : "high"](one);
}

function limitsOf(budget) {
  return LIMITED.filter((key) => budget[key] !== null);
}

/* The largest cost as a share of its bound; 0 where nothing is bounded. */
function overrun(one, budget) {
  return Math.max(0, ...limitsOf(budget).map((key) => deciding(key, one, budget) / budget[key]));
}

function admits(one, budget) {
  return overrun(one, budget) <= 1;
}

function losses(one) {
  return [one.latency_ms, one.macs, -one.accuracy];
}

function dominates(one, other) {
  const [a, b] = [losses(one), losses(other)];
  return a.every((value, n) => value <= b[n]) && a.some((value, n) => value < b[n]);
}

/* Fastest first, of equals the one with fewer MACs, then the more accurate, then by id. */
function inOrder(one, other) {
  const [a, b] = [
    [...losses(one), one.id],
    [...losses(other), other.id],
  ];
  const n = a.findIndex((value, index) => value !== b[index]);
  return n < 0 ? 0 : a[n] < b[n] ? -1 : 1;
}

function findFront(candidates) {
  const front = [];
  for (const one of candidates.filter((other) => other.accuracy !== null).sort(inOrder)) {
    if (!front.some((member) => dominates(member, one))) front.push(one);
  }
  return front;
}

/* The most accurate row; of equals the fastest. */
function bestOf(front) {
  return front.reduce((best, one) => {
    const isBetter =
      one.accuracy > best.accuracy || (one.accuracy === best.accuracy && one.latency_ms < best.latency_ms);
    return isBetter ? one : best;
  });
}

function recommend(front, hasBudget) {
  const best = bestOf(front);
  return hasBudget ? best : front.find((one) => one.accuracy >= best.accuracy_low);
}

/* The front within a budget and its recommended row, which is null where nothing that was scored fits. */
function solve(candidates, budget) {
  const front = findFront(candidates.filter((one) => admits(one, budget)));
  return { front, recommended: front.length ? recommend(front, limitsOf(budget).length > 0) : null };
}

/* The candidate that comes nearest to a budget. */
function nearest(candidates, budget) {
  return candidates.reduce((best, one) => (overrun(one, budget) < overrun(best, budget) ? one : best));
}

/* Whether a search within `searched` has looked at all that `budget` admits. */
function covers(searched, budget) {
  const isAsLenient = searched.at === "middle" || searched.at === budget.at || !limitsOf(searched).length;
  return isAsLenient && limitsOf(searched).every((key) => (budget[key] ?? Infinity) <= searched[key]);
}

/* The edge of a front: the points [cost, accuracy] that are more accurate than every cheaper one. */
function staircase(points) {
  const steps = [];
  for (const point of [...points].sort((a, b) => a[0] - b[0] || b[1] - a[1])) {
    if (!steps.length || point[1] > steps.at(-1)[1]) steps.push(point);
  }
  return steps;
}

/* The submodels on every one of `fronts`, in the order of the first. */
function onAll(fronts) {
  return fronts[0].map((one) => one.id).filter((id) => fronts.every((front) => front.some((one) => one.id === id)));
}
