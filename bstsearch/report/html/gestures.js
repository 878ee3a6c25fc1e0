/* Pointer and keys on the plot: the nearest point is meant, the budget's line can be dragged. */

function listen(plot) {
  const { svg, slider, actions } = plot;
  slider.addEventListener("input", () => actions.limit(limitAt(plot, slider.value / slider.max)));
  svg.addEventListener("keydown", (event) => onKey(plot, event));
  svg.addEventListener("focusin", (event) => actions.show(event.target.closest(".point")?.dataset.id ?? null));
  svg.addEventListener("focusout", () => actions.show(null));
  svg.addEventListener("pointerdown", (event) => startDrag(plot, event));
  svg.addEventListener("pointermove", (event) => onMove(plot, event));
  svg.addEventListener("pointerleave", () => plot.isDragging || actions.show(null));
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => endDrag(plot));
  svg.addEventListener("click", (event) => {
    const id = plot.hasDragged ? null : nearestPoint(plot, event);
    plot.hasDragged = false;
    if (id !== null) actions.choose(id);
  });
}

function placeOf({ svg }, event) {
  const frame = svg.getBoundingClientRect();
  return [event.clientX - frame.left, event.clientY - frame.top];
}

function nearestPoint(plot, event, within = NEAR) {
  const [x, y] = placeOf(plot, event);
  const { view, place, axis } = plot;
  const far = (one) => Math.hypot(place.x(valueOf(axis, one)) - x, place.y(one.accuracy) - y);
  // The front lies on top, so where two are as near it is meant.
  const found = [...view.scored].sort(
    (a, b) => far(a) - far(b) || (view.rowOf(a) ?? Infinity) - (view.rowOf(b) ?? Infinity),
  )[0];
  return found && far(found) <= within ? found.id : null;
}

function isNearLimit(plot, event) {
  const [x] = placeOf(plot, event);
  return plot.limitAt !== null && Math.abs(x - plot.limitAt) <= NEAR_LIMIT && nearestPoint(plot, event, 11) === null;
}

function startDrag(plot, event) {
  plot.hasDragged = false;
  if (event.button !== 0 || !isNearLimit(plot, event)) return;
  plot.isDragging = true;
  plot.svg.setPointerCapture(event.pointerId);
  plot.svg.classList.add("dragging");
  event.preventDefault();
}

function onMove(plot, event) {
  if (plot.isDragging) {
    plot.hasDragged = true;
    const { left, right } = plot.box;
    plot.actions.limit(limitAt(plot, (placeOf(plot, event)[0] - left) / (right - left)));
    return;
  }
  plot.svg.classList.toggle("near-limit", isNearLimit(plot, event));
  if (event.pointerType === "mouse") plot.actions.show(nearestPoint(plot, event));
}

function endDrag(plot) {
  plot.isDragging = false;
  plot.svg.classList.remove("dragging");
}

function onKey(plot, event) {
  const id = event.target.closest(".point")?.dataset.id;
  if (!id) return;
  const last = plot.order.length - 1;
  const at = plot.order.indexOf(id);
  const next = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: last }[
    event.key
  ];
  if (event.key === "Enter" || event.key === " ") plot.actions.choose(id);
  else if (next === undefined) return;
  else plot.points.get(plot.order[Math.min(last, Math.max(0, next))]).focus();
  event.preventDefault();
}
