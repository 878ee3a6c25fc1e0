/* The plot: every scored submodel a point with its ranges, the front's edge, and the budget as a line to drag. */

const MARGIN = { left: 48, right: 22, top: 42, bottom: 58 };
const COLORS = 6; // of fronts, in page.css
const THUMB = 24; // px, as wide as page.css makes the slider's
const NEAR = 26; // px around a point in which it is meant
const NEAR_LIMIT = 14; // px beside the budget's line
const LABEL = 21; // px between the middles of two row numbers, at least
const CROWD = 40; // with more points than this, only the bars of the front and of what is shown are drawn

function makePlot(svg, slider, actions) {
  const parts = Object.fromEntries(["beyond", "grid", "others", "near", "steps", "limit", "points"].map((name) => [name, draw("g")]));
  for (const name of ["beyond", "grid", "others", "near", "steps", "limit"]) parts[name].setAttribute("aria-hidden", "true");
  svg.append(...Object.values(parts));
  const points = new Map();
  const plot = { svg, slider, parts, points, actions, order: [] };
  listen(plot);
  return plot;
}

/* `others` are the fronts that are drawn behind the one of `view`, each with its number. */
function drawPlot(plot, view, axis, others) {
  const [width, height] = [plot.svg.clientWidth || 640, plot.svg.clientHeight || 400];
  plot.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  const { factor } = view.metric;
  const behind = others.flatMap(({ other }) => other.front);
  const x = makeScale([
    ...view.scored.flatMap((one) => [lowOf(axis, one), valueOf(axis, one), highOf(axis, one)]),
    ...behind.map((one) => valueOf(axis, one)),
  ]);
  const y = makeScale(
    [...view.scored, ...behind].flatMap((one) => [factor * one.accuracy_low, factor * one.accuracy_high]),
    false,
  );
  const place = {
    x: (value) => box.left + Math.min(1, Math.max(0, x.at(value))) * (box.right - box.left),
    y: (score) => box.bottom - y.at(factor * score) * (box.bottom - box.top),
  };
  Object.assign(plot, { view, axis, box, x, place, numbered: numberedRows(view, axis, place) });
  drawGrid(plot, y);
  drawOthers(plot, others);
  drawNear(plot);
  drawSteps(plot);
  drawPoints(plot);
  drawLimit(plot);
  placeSlider(plot);
}

function drawGrid({ parts, box, x, place, view, axis }, y) {
  const across = ticks(x, (box.right - box.left) / 70);
  const { metric } = view;
  const ends = [metric.worst, metric.best].filter((end) => end !== null).map((end) => metric.factor * end);
  const most = ends.length > 1 ? Math.max(...ends) : Infinity;
  const up = ticks(y, (box.bottom - box.top) / 42).filter((value) => value <= most);
  const kind = kindWords(view.scored, axis);
  const source = kind && ` (${kind})`;
  parts.grid.replaceChildren(
    ...up.map((value) => draw("path", { class: "grid", d: `M${box.left} ${place.y(value / metric.factor)}H${box.right}` })),
    ...up.map((value) => label(box.left - 10, place.y(value / metric.factor) + 4.5, "end", tickText(value))),
    ...across.map((value) => draw("path", { class: "grid", d: `M${place.x(value)} ${box.bottom}v6` })),
    draw("path", { class: "grid", d: `M${box.left} ${box.bottom}H${box.right}` }),
    ...across.map((value) => label(place.x(value), box.bottom + 27, "middle", tickText(value))),
    label(2, 14, "start", metric.title.replace(metric.name, `${metric.name} on ${view.data.split}`)),
    label(box.right, box.bottom + 50, "end", `${view.costs[axis].caption}${source}${x.isLog ? ", logarithmic" : ""}`),
  );
}

function label(x, y, anchor, text, name = null) {
  return draw("text", { x, y, "text-anchor": anchor, class: name }, text);
}

/* The rows that have room for their number: the recommended one first, then the others in order. */
function numberedRows(view, axis, place) {
  const found = [];
  for (const one of [...(view.recommended ? [view.recommended] : []), ...view.front]) {
    const at = [place.x(valueOf(axis, one)), place.y(one.accuracy)];
    if (found.every(([, x, y]) => Math.hypot(at[0] - x, at[1] - y) >= LABEL)) found.push([one, ...at]);
  }
  return new Set(found.map(([one]) => one));
}

function drawSteps({ parts, view, axis, place }) {
  const d = stepsPath(view, axis, place);
  parts.steps.replaceChildren(...(d ? [draw("path", { class: "steps", d })] : []));
}

function stepsPath(view, axis, place) {
  const steps = staircase(
    view.front.map((one) => [valueOf(axis, one), one.accuracy]),
    view.metric.is_higher_better,
  );
  return steps
    .map(([cost, share], n) =>
      n ? `H${place.x(cost)}V${place.y(share)}` : `M${place.x(cost)} ${place.y(share)}`,
    )
    .join("");
}

/* Fronts behind the one that is looked at: their edges and rows, in colours of their own. */
function drawOthers({ parts, axis, place }, others) {
  parts.others.replaceChildren(
    ...others.flatMap(({ other, n }) => [
      draw("path", { class: `other other-${n % COLORS}`, d: stepsPath(other, axis, place) }),
      ...other.front.map((one) =>
        draw("circle", {
          class: `other other-${n % COLORS}`,
          cx: place.x(valueOf(axis, one)),
          cy: place.y(one.accuracy),
          r: 3,
        }),
      ),
    ]),
  );
  find("others").hidden = !others.length;
  find("others").replaceChildren(
    ...others.map(({ other, n }) =>
      el(
        "li",
        {},
        draw("svg", { viewBox: "0 0 18 18" }, draw("path", { class: `other other-${n % COLORS}`, d: "M1 9h16" })),
        other.name,
      ),
    ),
  );
}

/* A band between rows that are not significantly apart. */
function drawNear({ parts, view, axis, place }) {
  const at = (one) => `${place.x(valueOf(axis, one))} ${place.y(one.accuracy)}`;
  const d = view.front.map((one, n) => (view.isNear(one) ? `M${at(view.front[n - 1])}L${at(one)}` : "")).join("");
  parts.near.replaceChildren(...(d ? [draw("path", { class: "near", d })] : []));
}

function drawPoints(plot) {
  const { view, parts, points, axis, svg } = plot;
  const cost = (one) => valueOf(axis, one);
  const layer = { over: 0, low: 0, dominated: 1, front: 2, recommended: 3 };
  const wanted = [...view.scored].sort((a, b) => layer[view.standingOf(a)] - layer[view.standingOf(b)]);
  for (const id of [...points.keys()].filter((id) => !wanted.some((one) => one.id === id))) points.delete(id);
  arrange(
    parts.points,
    wanted.map((one) => drawPoint(plot, one)),
  );
  plot.order = [...view.scored].sort((a, b) => cost(a) - cost(b) || inOrder(a, b, view.data.trade)).map((one) => one.id);
  svg.setAttribute(
    "aria-label",
    `Submodels by ${view.costs[axis].caption}: arrow keys go from one to the next, Enter chooses`,
  );
  svg.classList.toggle("has-bars", view.scored.length <= CROWD);
}

function drawPoint(plot, one) {
  const { view, points, place, axis } = plot;
  const node =
    points.get(one.id) ?? draw("g", { role: "option", tabindex: "-1", "data-id": one.id, "aria-selected": "false" });
  points.set(one.id, node);
  const standing = view.standingOf(one);
  const row = view.rowOf(one);
  const isNumbered = plot.numbered.has(one);
  const radius = !isNumbered ? (row === null ? 4.5 : 5.5) : plot.svg.clientWidth < 480 ? 8.5 : 9.5;
  const [x, y] = [place.x(valueOf(axis, one)), place.y(one.accuracy)];
  node.style.transform = `translate(${x}px, ${y}px)`;
  node.setAttribute(
    "class",
    `point ${standing}${node.matches(".shown") ? " shown" : ""}${node.matches(".chosen") ? " chosen" : ""}`,
  );
  node.setAttribute("aria-label", summary(view, one));
  node.replaceChildren(
    draw("path", { class: `bar ${standing}`, d: bars(plot, one, x, y) }),
    draw("circle", { class: `mark ${standing}`, r: radius }),
    draw("circle", { class: "ring", r: radius + 3 }),
    ...(!isNumbered ? [] : [draw("text", { class: "row", y: 4 }, String(row))]),
  );
  return node;
}

/* From the lower to the upper end of its cost, which is capped since it decides; and its accuracy's interval. */
function bars({ place, axis }, one, x, y) {
  const [low, high] = [place.x(lowOf(axis, one)) - x, place.x(highOf(axis, one)) - x];
  const across = high > low ? `M${low} 0H${high}M${high} -5v10` : "";
  return `${across}M0 ${place.y(one.accuracy_low) - y}V${place.y(one.accuracy_high) - y}`;
}

function drawLimit(plot) {
  const { parts, box, x, place, view, axis } = plot;
  const limit = view.budget[axis] ?? null;
  parts.beyond.replaceChildren();
  parts.limit.replaceChildren(...floorLine(plot));
  plot.limitAt = null;
  if (limit === null) return;
  const [share, at, text] = [x.at(limit), place.x(limit), `budget ${limitWords(view, axis)}`];
  plot.limitAt = at;
  if (share < 1)
    parts.beyond.append(
      draw("rect", { class: "beyond", x: at, y: box.top, width: box.right - at, height: box.bottom - box.top }),
    );
  if (share > 1) {
    const arrow = `M${box.right + 12} ${box.top - 11.5}l-9 -6v12z`;
    parts.limit.append(
      draw("path", { class: "limit edge", d: arrow }),
      label(box.right - 2, box.top - 7, "end", `${text}, ${view.costs[axis].beyond}`, "limit-text"),
    );
  } else if (share < 0) {
    const arrow = `M${box.left - 12} ${box.top - 11.5}l9 -6v12z`;
    parts.limit.append(
      draw("path", { class: "limit edge", d: arrow }),
      label(box.left + 2, box.top - 7, "start", `${text}, ${view.costs[axis].below}`, "limit-text"),
    );
  } else {
    const isLeft = share < 0.55;
    parts.limit.append(
      draw("path", { class: "limit", d: `M${at} ${box.top}V${box.bottom}` }),
      label(at + (isLeft ? -1 : 1), box.top - 7, isLeft ? "start" : "end", text, "limit-text"),
    );
  }
}

/* A line at the worst score that is good enough, where it lies among the points. */
function floorLine({ box, place, view }) {
  const at = view.floor === null ? Infinity : place.y(view.floor);
  if (at < box.top || at > box.bottom) return [];
  return [draw("path", { class: "limit floor", d: `M${box.left} ${at}H${box.right}` })];
}

/* The slider lies on the axis, so its thumb stands under the line. */
function placeSlider({ slider, box, x, view, axis }) {
  const limit = view.budget[axis] ?? null;
  slider.style.left = `${box.left - THUMB / 2}px`;
  slider.style.width = `${box.right - box.left + THUMB}px`;
  slider.classList.toggle("unset", limit === null);
  slider.value = limit === null ? slider.max : Math.round(Number(slider.max) * Math.min(1, Math.max(0, x.at(limit))));
  const beyond = limit === null || x.at(limit) <= 1 ? "" : `, ${view.costs[axis].beyond}`;
  slider.setAttribute("aria-label", `Budget, ${view.costs[axis].caption}`);
  slider.setAttribute("aria-valuetext", limit === null ? "no budget" : `${limitWords(view, axis)}${beyond}`);
}

/* The budget at a share of the axis: a number of three digits, so that what is shown is what holds. */
function limitAt({ x }, share) {
  return Number(x.value(Math.min(1, Math.max(0, share))).toPrecision(3));
}

function markPoints({ points }, shown, chosen, stop) {
  for (const [id, node] of points) {
    node.classList.toggle("shown", id === shown);
    node.classList.toggle("chosen", id === chosen);
    node.setAttribute("aria-selected", String(id === chosen));
    node.setAttribute("tabindex", id === stop ? "0" : "-1");
  }
}
