// What the page does: it keeps a picture, a question and a submodel, and asks the worker whenever one of them changes.

import { choose, expectedTimes } from "./choosing.mjs";
import * as screen from "./screen.mjs";

const MOST_PIXELS = 2 ** 26; // of a picture; a canvas of some browsers holds no more

const worker = new Worker("worker.mjs", { type: "module" });
const seen = new Map(); // submodel's id -> milliseconds here
let submodels, device, sample, picture, budgets;
let [isBusy, isAskedAgain] = [false, false];

async function main() {
  const [page, started] = await Promise.all([fetch("page.json").then((one) => one.json()), call({ act: "start" })]);
  submodels = page.submodels.toSorted((one, other) => one.ms - other.ms);
  device = page.device;
  sample = started;
  screen.facts(`${submodels.length} submodels of one network; onnxruntime-web ${started.version}, one thread`);
  screen.sizes(submodels.length);
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
  screen.on("file", "change", ({ target }) => void take(target.files[0]));
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
  picture = sample.picture;
  screen.picture(picture, sample.question);
  void ask();
}

/** Takes a file for the picture; says so where it is none. */
async function take(file) {
  if (!file) return;
  try {
    picture = await decode(file);
  } catch {
    screen.fail(`${file.name} is no picture that this browser can read.`);
    return;
  }
  screen.picture(picture);
  void ask();
}

/** The pixels of a picture, upright, its colours as they are in the file. */
async function decode(file) {
  const options = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, options);
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) throw new Error("too large");
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return { width, height, data: context.getImageData(0, 0, width, height).data };
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
  isAskedAgain = isBusy;
  if (isBusy) return;
  isBusy = true;
  const choice = chosen();
  const { one } = choice;
  showChoice(choice);
  screen.busy();
  try {
    const found = await call({ act: "ask", id: one.id, picture, question: screen.question() });
    seen.set(one.id, Math.min(found.ms, seen.get(one.id) ?? Infinity)); // other programs only add
    screen.answer(one, found, device);
    showChoice({ ...choice, times: expectedTimes(submodels, seen) });
  } catch (error) {
    screen.fail(error.message);
  }
  isBusy = false;
  if (isAskedAgain) void ask();
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
