// What the page does: it keeps a picture, a question and a submodel, and asks the worker whenever one of them changes.

import { choose, expectedTimes } from "./choosing.mjs";
import * as screen from "./screen.mjs";

const MOST_PIXELS = 2 ** 26; // of a picture; a canvas of most browsers holds no more, and some hold less

const worker = new Worker("worker.mjs", { type: "module" });
const seen = new Map(); // submodel's id -> milliseconds here
let submodels, device, sample, picture, budgets;
let sent; // the picture that the worker has
let takes = 0; // of pictures: the last one counts
let [isBusy, isAsked] = [false, false];

async function main() {
  const { page, ...started } = await call({ act: "start" });
  submodels = page.submodels.toSorted((one, other) => one.ms - other.ms);
  device = page.device;
  sample = started;
  screen.facts(`${submodels.length} submodels of one network; onnxruntime-web ${started.version}, one thread`);
  setSlider(); // a browser that comes back to the page has kept what was chosen
  showSample();
  listen();
  screen.start();
}

function listen() {
  screen.on("form", "submit", (event) => {
    event.preventDefault();
    void ask();
  });
  screen.on("sample", "click", showSample);
  screen.on("file", "change", ({ target }) => {
    void take(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  });
  screen.on("by", "change", () => {
    setSlider();
    showChoice();
    void ask();
  });
  screen.on("slider", "input", () => showChoice());
  screen.on("slider", "change", () => void ask());
  screen.onDrop((file) => void take(file));
}

function showSample() {
  takes += 1;
  picture = sample.picture;
  screen.picture(picture, sample.question);
  void ask();
}

/** Takes a file for the picture; says so where it is none. */
async function take(file) {
  if (!file) return;
  takes += 1;
  const mine = takes;
  let decoded;
  try {
    decoded = await decode(file);
  } catch (error) {
    const isLarge = error instanceof RangeError;
    const why = isLarge ? "has more pixels than this browser can hold" : "is no picture that this browser can read";
    if (mine === takes) screen.tell(`${file.name} ${why}.`);
    return;
  }
  if (mine !== takes) return;
  picture = decoded;
  screen.picture(picture);
  void ask();
}

/** The pixels of a picture, upright, its colours as they are in the file; RangeError where there are too many. */
async function decode(file) {
  const options = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, options);
  const { width, height } = bitmap;
  try {
    if (width * height > MOST_PIXELS) throw new RangeError("a canvas this large");
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.fillRect(0, 0, 1, 1);
    if (context.getImageData(0, 0, 1, 1).data[3] !== 255) throw new RangeError("a canvas this large"); // it is empty
    context.clearRect(0, 0, 1, 1);
    context.drawImage(bitmap, 0, 0);
    return { width, height, data: context.getImageData(0, 0, width, height).data };
  } finally {
    bitmap.close();
  }
}

/** The submodel that the slider stands on, and the budget in milliseconds if there is one. */
function chosen() {
  const { isBudget, place, share } = screen.slider();
  const times = expectedTimes(submodels, seen);
  if (!isBudget) return { one: submodels[place], times };
  const budget = budgets[0] * (budgets[1] / budgets[0]) ** share;
  return { one: choose(submodels, times, budget), times, budget };
}

/** Lets the slider run over sizes, or from the fastest submodel's time to a little more than the slowest's. */
function setSlider() {
  const times = [...expectedTimes(submodels, seen).values()];
  budgets = [Math.min(...times), 1.2 * Math.max(...times)];
  const { isBudget } = screen.slider();
  if (isBudget) screen.budget();
  else screen.sizes(submodels.length);
}

function showChoice({ one, times, budget } = chosen()) {
  screen.choice(one, times.get(one.id), seen.has(one.id), budget);
}

/** Asks the worker; while it is at work, only the last wish is kept. */
async function ask() {
  screen.forget();
  isAsked = true;
  if (isBusy) return;
  isBusy = true;
  try {
    while (isAsked) await answer();
  } finally {
    isBusy = false;
  }
}

/** Shows what the worker answers, or why it does not, unless something else has been asked since. */
async function answer() {
  isAsked = false;
  try {
    const [choice, asked, at] = [chosen(), picture, screen.slider()];
    const { one } = choice;
    showChoice(choice);
    screen.busy();
    const news = asked === sent ? undefined : asked;
    const found = await call({ act: "ask", id: one.id, picture: news, question: screen.question() });
    sent = asked;
    seen.set(one.id, Math.min(found.ms, seen.get(one.id) ?? Infinity)); // other programs only add
    screen.answer(one, found, device);
    const { isBudget, place } = screen.slider();
    const hasMoved = isBudget !== at.isBudget || place !== at.place;
    showChoice(hasMoved ? chosen() : { ...choice, times: expectedTimes(submodels, seen) });
  } catch (error) {
    sent = undefined; // it may have come, or not
    if (!isAsked) screen.fail(error.message);
  }
}

function call(message) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      if ("come" in data) screen.come(data.come);
      else if ("error" in data) reject(new Error(data.error));
      else resolve(data.value);
    };
    worker.onerror = () => reject(new Error("the worker cannot be started; is a file missing, or the browser old?"));
    worker.postMessage(message);
  });
}

main().catch((error) => screen.fail(error.message));
