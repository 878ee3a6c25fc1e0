// What the page shows; the only file that touches its elements.

const PAUSE_MS = 1000; // between changes of the bar, so that drawing takes next to nothing from what is measured

const find = (id) => document.getElementById(id);
let drawn = -Infinity;

/** Sets the headline and the line under it. */
export function say(headline, detail = "") {
  const spoken = find("headline"); // screen readers say again what is set again
  if (spoken.textContent !== headline) spoken.textContent = headline;
  find("detail").textContent = detail || "\u00a0";
  drawn = -Infinity;
}

/** Moves the bar to `share` (0 to 1) and replaces the line under the headline, at most once a second. */
export function advance(share, detail) {
  const now = performance.now();
  if (now - drawn < PAUSE_MS) return;
  drawn = now;
  const percent = Math.round(100 * Math.min(1, share));
  find("bar").firstElementChild.style.width = `${percent}%`;
  find("bar").setAttribute("aria-valuenow", percent);
  find("share").textContent = `${percent} %`;
  find("detail").textContent = detail;
}

/** Shows a remark, in place of one of the same name; takes it away where `text` is empty. */
export function remark(name, text) {
  const list = find("remarks");
  const old = list.querySelector(`[data-name="${name}"]`);
  if (!text) return void old?.remove();
  const item = old ?? list.appendChild(document.createElement("li"));
  item.dataset.name = name;
  item.textContent = text;
}

/** Says in one line at the bottom what runs the submodels. */
export function facts(text) {
  find("facts").textContent = text;
}

/** Says that it is over, and how long each submodel took. */
export function finish(headline, rows) {
  say(headline, "You may close this page.");
  find("bar").hidden = find("share").hidden = true;
  find("remarks").replaceChildren();
  find("result").hidden = rows.length === 0;
  for (const [name, ms] of rows) {
    const row = find("result").tBodies[0].insertRow();
    row.insertCell().textContent = name;
    const cell = row.insertCell();
    cell.className = "number";
    cell.textContent = ms.toPrecision(3);
  }
}

/** Says that it cannot go on, and why. */
export function fail(headline, text) {
  say(headline);
  find("bar").hidden = find("share").hidden = true;
  find("remarks").replaceChildren();
  find("error").hidden = false;
  find("error").textContent = text;
}
