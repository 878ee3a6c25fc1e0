// What the page shows; the only file that touches its elements.

const STEPS = 100; // of the slider over budgets
const SMALL = 256; // pixels a side; of a smaller picture each one is shown

const find = (id) => document.getElementById(id);
const digits = (value) => Number(value.toPrecision(3)).toLocaleString("en");
const millions = ({ parameters }) => `${digits(parameters / 1e6)} million`;
const size = (bytes) => (bytes < 1e5 ? `${digits(bytes / 1e3)} kB` : `${digits(bytes / 1e6)} MB`);

/** Calls `act` when something happens to an element. */
export function on(id, kind, act) {
  find(id).addEventListener(kind, act);
}

/** Calls `act` with a file that is dropped anywhere on the page. */
export function onDrop(act) {
  const over = (isOver) => (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", isOver);
  };
  document.addEventListener("dragover", over(true));
  document.addEventListener("dragleave", over(false));
  document.addEventListener("drop", (event) => {
    over(false)(event);
    act(event.dataTransfer.files[0]);
  });
}

/** Shows what was hidden while nothing was known; from now on errors stand where answers do. */
export function start() {
  find("late").remove();
  find("result").before(find("error"));
  find("main").hidden = false;
}

/** Says in one line at the bottom what runs. */
export function facts(text) {
  find("facts").textContent = text;
}

/** Shows a picture of RGB or RGBA bytes, and puts a question beside it. */
export function picture({ width, height, data }, question) {
  const canvas = find("picture");
  [canvas.width, canvas.height] = [width, height];
  canvas.classList.toggle("small", Math.max(width, height) < SMALL);
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  const bytes = data.length / (width * height);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    for (let byte = 0; byte < bytes; byte += 1) pixels[4 * pixel + byte] = data[bytes * pixel + byte];
  }
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  if (question !== undefined) find("question").value = question;
}

/** The question as it is typed. */
export function question() {
  return find("question").value;
}

/** Where the slider stands: at which place, and which share of its way. */
export function slider() {
  const { value, max } = find("slider");
  return { isBudget: find("by-budget").checked, place: Number(value), share: Number(value) / Number(max) };
}

/** Makes the slider one over this many sizes. */
export function sizes(count) {
  setSlider("Size", count - 1, Math.floor((count - 1) / 2));
}

/** Makes the slider one over budgets. */
export function budget() {
  setSlider("Time budget", STEPS, STEPS / 2);
}

function setSlider(label, max, value) {
  find("slider-label").textContent = label;
  Object.assign(find("slider"), { max, value });
}

/** Says what the slider stands on. */
export function choice(one, ms, isSeen, budget) {
  const time = `${isSeen ? "" : "about "}${digits(ms)} ms`;
  const late = budget < ms ? ", over it" : "";
  const text = `${millions(one)} parameters, ${time}${late}`;
  find("limit").textContent = budget === undefined ? "" : `at most ${digits(budget)} ms:`;
  find("choice").textContent = text;
  find("slider").setAttribute("aria-valuetext", budget === undefined ? text : `${digits(budget)} ms: ${text}`);
}

/** Says that a submodel is at work; where no answer stands, in words. */
export function busy() {
  find("result").setAttribute("aria-busy", "true");
  find("state").textContent = find("answers").children.length === 0 ? "Loading…" : "";
}

/** Says how many bytes have come so far. */
export function come(bytes) {
  find("loaded").textContent = `${size(bytes)} so far`;
}

/** Shows the answers, and what they took. */
export function answer(one, { answers, ms, bytes, loading }, device) {
  done();
  find("answers").replaceChildren(...answers.map(([text, share]) => answerItem(text, share)));
  const [[best, share]] = answers;
  find("said").textContent = `${best}, ${Math.round(100 * share)} %, in ${digits(ms)} ms`;
  find("ms").textContent = `${digits(ms)} ms`;
  find("profile").textContent = `${digits(one.ms)} ms on ${device}`;
  find("parameters").textContent = millions(one);
  find("score").textContent = one.score;
  find("id").textContent = one.id;
  find("loaded").textContent = bytes ? `${size(bytes)}, in ${digits(loading)} ms` : "was there";
}

function answerItem(text, share) {
  const item = document.createElement("li");
  const bar = item.appendChild(document.createElement("span"));
  bar.className = "bar";
  bar.style.setProperty("--share", share);
  item.append(text, Object.assign(document.createElement("b"), { textContent: `${Math.round(100 * share)} %` }));
  return item;
}

/** Says why there is no answer; figures of an older one go with it. */
export function fail(text) {
  done();
  find("late")?.remove();
  find("answers").replaceChildren();
  for (const figure of document.querySelectorAll("dd")) figure.textContent = "";
  find("said").textContent = "";
  tell(text);
}

/** Says what is wrong, beside the answers if there are any. */
export function tell(text) {
  find("error").hidden = false;
  find("error").textContent = text;
}

/** Takes back what was wrong. */
export function forget() {
  find("error").hidden = true;
}

function done() {
  find("result").setAttribute("aria-busy", "false");
  find("state").textContent = "";
}
