/* What a budget leaves and which row is recommended: the rules of pareto.py and budget.py, number by number the same. */

/* What a candidate has of a cost: [value, low end, high end, source], the ends left out where they are the value. */
const valueOf = (key, one) => one.costs[key][0];
const lowOf = (key, one) => one.costs[key][1] ?? one.costs[key][0];
const highOf = (key, one) => one.costs[key][2] ?? one.costs[key][0];
const sourceOf = (key, one) => one.costs[key][3] ?? "";

/* The end of a range that is held against a budget. */
function deciding(key, one, budget) {
  return budget.at === "middle" ? valueOf(key, one) : highOf(key, one);
}

function limitsOf(budget) {
  return Object.keys(budget).filter((key) => key !== "at" && budget[key] !== null);
}

/* The largest cost as a share of its bound; 0 where nothing is bounded. */
function overrun(one, budget) {
  return Math.max(0, ...limitsOf(budget).map((key) => deciding(key, one, budget) / budget[key]));
}

function admits(one, budget) {
  return overrun(one, budget) <= 1;
}

/* Whether a scored candidate is as good as was asked for; a floor of null asks for nothing. */
function keepsTo(one, floor, metric) {
  return floor === null || lossOf(one.accuracy, metric) <= lossOf(floor, metric);
}

/* What is traded, less of it always better: the costs in the order asked for, then the score. */
function losses(one, { costs, metric }) {
  return [...costs.map((key) => valueOf(key, one)), lossOf(one.accuracy, metric)];
}

function lossOf(score, { is_higher_better: isHigherBetter }) {
  return isHigherBetter ? -score : score;
}

function dominates(one, other, trade) {
  const [a, b] = [losses(one, trade), losses(other, trade)];
  return a.every((value, n) => value <= b[n]) && a.some((value, n) => value < b[n]);
}

/* Least of the first cost first, of equals least of the next one, then the better score, then by id. */
function inOrder(one, other, trade) {
  const [a, b] = [
    [...losses(one, trade), one.id],
    [...losses(other, trade), other.id],
  ];
  const n = a.findIndex((value, index) => value !== b[index]);
  return n < 0 ? 0 : a[n] < b[n] ? -1 : 1;
}

function findFront(candidates, trade) {
  const front = [];
  const scored = candidates.filter((other) => other.accuracy !== null);
  for (const one of scored.sort((a, b) => inOrder(a, b, trade))) {
    if (!front.some((member) => dominates(member, one, trade))) front.push(one);
  }
  return front;
}

/* The row of the best score; of equals the one with least of the first cost. */
function bestOf(front, { costs: [first], metric }) {
  return front.reduce((best, one) => {
    const [a, b] = [lossOf(one.accuracy, metric), lossOf(best.accuracy, metric)];
    return a < b || (a === b && valueOf(first, one) < valueOf(first, best)) ? one : best;
  });
}

/* The worse end of a score's interval. */
function worseEnd(one, { is_higher_better: isHigherBetter }) {
  return isHigherBetter ? one.accuracy_low : one.accuracy_high;
}

function recommend(front, hasBudget, trade, floor) {
  if (floor !== null) return front[0];
  const best = bestOf(front, trade);
  const least = lossOf(worseEnd(best, trade.metric), trade.metric);
  return hasBudget ? best : front.find((one) => lossOf(one.accuracy, trade.metric) <= least);
}

/* The front within a budget, no worse than a floor, and its recommended row: null where nothing that was scored fits. */
function solve(candidates, budget, trade, floor = null) {
  const front = findFront(
    candidates.filter((one) => admits(one, budget) && one.accuracy !== null && keepsTo(one, floor, trade.metric)),
    trade,
  );
  return { front, recommended: front.length ? recommend(front, limitsOf(budget).length > 0, trade, floor) : null };
}

const Z_95 = 1.959963984540054; // two-sided 95 % quantile of the normal distribution

/* Whether two rows of a front are significantly apart: by the values of each question where they were compared so, else
   by their scores alone. */
function isRowApart({ compared, not_apart: pairs }, one, other) {
  const places = [one, other].map(({ id }) => compared.indexOf(id)).sort((a, b) => a - b);
  if (places[0] < 0) return isApart(one, other);
  return !pairs.some((pair) => pair[0] === places[0] && pair[1] === places[1]);
}

/* Whether two scores differ by more than chance makes likely, as apart.py tests it. */
function isApart(one, other) {
  return Math.abs(one.accuracy - other.accuracy) > Z_95 * Math.sqrt(varianceOf(one, other));
}

function varianceOf(one, other) {
  if (one.correct === null || other.correct === null) {
    const parts = [one, other].map((each) => (each.accuracy_high - each.accuracy_low) / (2 * Z_95));
    return parts[0] ** 2 + parts[1] ** 2;
  }
  const share = (one.correct + other.correct) / (one.questions + other.questions);
  return share * (1 - share) * (1 / one.questions + 1 / other.questions);
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

/* The edge of a front: the points [cost, score] that have a better score than every cheaper one. */
function staircase(points, isHigherBetter = true) {
  const sign = isHigherBetter ? 1 : -1;
  const steps = [];
  for (const point of [...points].sort((a, b) => a[0] - b[0] || sign * (b[1] - a[1]))) {
    if (!steps.length || sign * point[1] > sign * steps.at(-1)[1]) steps.push(point);
  }
  return steps;
}

/* Every value of the first cost at which one of `fronts` gets better: the best row for it of each, the front that leads,
   and whether it does so beyond doubt. Of equals that one leads which led before. */
function levelsOf(fronts, { costs: [first], metric }) {
  const loss = (one) => lossOf(one.accuracy, metric);
  const levels = [];
  let best = fronts.map(() => null);
  let leader = -1;
  const costsOf = fronts.flatMap((front) => front.map((one) => valueOf(first, one)));
  for (const cost of [...new Set(costsOf)].sort((a, b) => a - b)) {
    const before = best;
    best = fronts.map((front, n) =>
      front
        .filter((one) => valueOf(first, one) === cost)
        .reduce((found, one) => (found === null || loss(one) < loss(found) ? one : found), before[n]),
    );
    if (best.every((one, n) => one === before[n])) continue;
    const there = best.map((one, n) => n).filter((n) => best[n] !== null);
    leader = there.reduce((a, b) => {
      const [x, y] = [loss(best[a]), loss(best[b])];
      return y < x || (y === x && b === leader) ? b : a;
    });
    levels.push({ cost, best, leader, isApart: there.every((n) => n === leader || isApart(best[leader], best[n])) });
  }
  return levels;
}

/* The submodels on every one of `fronts`, in the order of the first. */
function onAll(fronts) {
  return fronts[0].map((one) => one.id).filter((id) => fronts.every((front) => front.some((one) => one.id === id)));
}
