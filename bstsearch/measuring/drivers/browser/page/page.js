// A page at work: it says hello, asks for tasks, does one after the other in a worker, and posts what came of each.
// A task says all that it needs, so that a page which was loaded anew can do it as well.

import * as screen from "./screen.js";

const RETRY_MS = 1000;

/** The computer's answer was no; the message is for the screen, and nothing is to be posted. */
class Refused extends Error {}

const REFUSALS = {
  400: ["Something went wrong", "The computer did not understand this page. Start the command again."],
  404: ["It is over", "The measurement on the computer has ended. You may close this page."],
  409: ["Another phone is measuring", "Another phone, or another page, is already measuring. One is enough."],
  410: ["It is over", "The measurement on the computer has ended. You may close this page."],
};

const id = pageId();
let config; // what the computer told: see browser.py
let worker; // runs the graphs; a fresh one for each opening, since the memory of WASM never shrinks
let runtime; // what the worker said of itself
let files; // onnxruntime-web: the address of its script, and its WASM
let opened = 0; // the number of the opening that the worker has; 0: none yet
let hides = 0; // how often the page was hidden
let isOver = false;
let isLeaving = false; // what fails then, fails because the browser ends it

async function main() {
  watch();
  screen.say("Saying hello");
  config = await post("hello", await environment());
  if (!isSecureContext) {
    const why = "Browsers give a page opened over the network one thread, and no WebGPU.";
    screen.remark("threads", `${why} Over a USB cable (--via adb) it gets more.`);
  }
  setInterval(pulse, config.pulse_ms);
  while (!isOver) {
    const task = await post("ask");
    if (!task) continue;
    if (task.kind === "wait") {
      wait(task);
      continue;
    }
    const result = await perform(task);
    isOver = task.kind === "finish";
    const told = post("done", { task: task.task, ...result });
    await (isOver ? told.catch(() => {}) : told); // the computer may be gone by now
  }
}

/** Shows how far the computer is with what this page is to run. */
function wait({ done, total }) {
  screen.say("The computer prepares the submodels");
  if (total) screen.advance(done / total, `${done} of ${total}; keep this page open`);
}

async function perform(task) {
  if (task.kind === "finish") {
    worker?.terminate();
    screen.finish(task.text, task.rows);
    return {};
  }
  screen.say(task.text);
  await start();
  if (task.kind === "start") return { runtime };
  await open(task.opening);
  return task.kind === "time" ? { times_ms: await time(task) } : {};
}

/** Starts a worker, unless there is one. */
async function start() {
  if (worker) return;
  files ??= await load(config.ort);
  worker = new Worker("worker.js", { type: "module" });
  const { threads, provider } = config;
  runtime = await call({ act: "start", ...files, threads, provider });
  const many = runtime.threads === 1 ? "one thread" : `${runtime.threads} threads`;
  screen.facts(`onnxruntime-web ${runtime.version}, ${provider}, ${many}`);
}

/** Makes the worker one that has these graphs open, and no others. */
async function open({ number, graphs, inputs: header }) {
  if (opened === number) return;
  if (opened) {
    worker.terminate();
    worker = undefined;
    await start();
  }
  const bytes = Math.max(...graphs.map((graph) => graph[2]));
  const inputs = await get("inputs.bin");
  await call({ act: "prepare", bytes, header, inputs });
  for (const [index, [name, file]] of graphs.entries()) {
    screen.advance(index / graphs.length, name);
    await call({ act: "open", name, graph: await get(file) });
  }
  await call({ act: "opened" });
  opened = number;
}

async function time(task) {
  const times = [];
  for (const [index, visit] of task.visits.entries()) {
    const count = task.visits.length;
    const share = task.total ? (task.done + index / count) / task.total : index / count;
    screen.advance(share, `${visit.name}, ${index + 1} of ${count} in this round`);
    times.push(await timeInSight(visit));
  }
  return times;
}

/** The times of a visit during which the page was never hidden: a hidden page is slowed down, or stopped. */
async function timeInSight(visit) {
  for (;;) {
    await inSight();
    const before = hides;
    const times = await call({ act: "time", ...visit });
    if (hides === before && !document.hidden) return times;
  }
}

function inSight() {
  if (!document.hidden) return undefined;
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true })).then(inSight);
}

/** Asks the worker for something; it does one thing at a time. */
function call(message) {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => ("error" in data ? reject(new Error(data.error)) : resolve(data.value));
    worker.onerror = (event) => reject(new Error(event.message || "the worker could not be started"));
    worker.postMessage(message);
  });
}

/** Fetches onnxruntime-web; the browser refuses files whose hash is not the one expected. */
async function load({ script, wasm }) {
  const [text, binary] = await Promise.all([script, wasm].map(fetchRuntime));
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  return { script: url, wasm: binary };
}

async function fetchRuntime({ url, integrity }) {
  const options = integrity ? { integrity, mode: "cors", credentials: "omit" } : {};
  try {
    const response = await fetch(url, options);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return await response.arrayBuffer();
  } catch (error) {
    const { host, pathname } = new URL(url, location.href);
    const file = pathname.split("/").pop();
    throw new Error(`${file} could not be loaded from ${host} (${error.message}); is the phone on the internet?`);
  }
}

/** The bytes of a file from the computer; tried again as `post` is. */
function get(name) {
  return insist(() => fetch(name), (response) => response.arrayBuffer());
}

/** Tells that the page is there, also while it has nothing else to say. */
function pulse() {
  if (!isOver) void fetch("alive", request({})).catch(() => {});
}

/** The computer's answer, null where it is empty. */
function post(name, body = {}) {
  const read = (response) => (response.status === 204 ? null : response.json());
  return insist(() => fetch(name, request(body)), read);
}

function request(body) {
  return { method: "POST", body: JSON.stringify({ page: id, ...body }) };
}

/** Tries again while the computer cannot be reached, which a phone's network makes happen, and then gives up. */
async function insist(ask, read) {
  const end = performance.now() + (config?.patience_ms ?? 10_000);
  for (;;) {
    try {
      const response = await ask();
      if (!response.ok) throw new Refused(response.status);
      const answer = await read(response);
      screen.remark("network", "");
      return answer;
    } catch (error) {
      if (error instanceof Refused) throw error;
      if (performance.now() > end) throw new Refused(410);
      screen.remark("network", "The computer cannot be reached. Trying again.");
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function environment() {
  const told = await navigator.userAgentData?.getHighEntropyValues(["model", "platformVersion"]).catch(() => null);
  const system = [told?.platform, told?.platformVersion].filter(Boolean).join(" ");
  return {
    user_agent: navigator.userAgent.slice(0, 1000),
    model: told?.model?.slice(0, 200) || null,
    system: system.slice(0, 200) || null,
    cores: navigator.hardwareConcurrency ?? null,
    memory_gb: navigator.deviceMemory ?? null,
    is_isolated: Boolean(globalThis.crossOriginIsolated),
  };
}

/** This tab's id, which it keeps when the page is loaded anew. */
function pageId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const fresh = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    return (sessionStorage.page ??= fresh);
  } catch {
    return fresh; // storage is switched off
  }
}

/** Looks out for the page being hidden, left or come back to, and keeps the screen on. */
function watch() {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hides += 1;
    else void keepAwake();
  });
  addEventListener("pagehide", () => {
    isLeaving = true;
    if (config && !isOver) navigator.sendBeacon("leave", JSON.stringify({ page: id }));
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted && !isOver) location.reload();
  });
  void keepAwake();
}

async function keepAwake() {
  if (isOver) return;
  try {
    await navigator.wakeLock.request("screen");
    screen.remark("awake", "");
  } catch {
    screen.remark("awake", "Keep the screen on and this page in front until it is done.");
  }
}

main().catch((error) => {
  if (isLeaving) return;
  isOver = true;
  worker?.terminate();
  if (error instanceof Refused) {
    const [headline, text] = REFUSALS[error.message] ?? REFUSALS[400];
    screen.fail(headline, text);
    return;
  }
  screen.fail("This device cannot go on", error.message);
  void fetch("failed", request({ message: error.message.slice(0, 2000) || "unknown" })).catch(() => {});
});
