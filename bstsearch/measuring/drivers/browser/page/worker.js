// Runs the graphs under onnxruntime-web, and times them. The page sends one request at a time and waits for the answer.

// A clock's reading may be off by a step either way, a time by two: of forty that is 5 %.
const STEPS = 40;
const MARGIN = 1.2; // a batch is made that much longer than needed, lest the next one fall short
const WARM_MS = 1000; // browsers compile WASM twice: fast at first, and well only what has run for a while
const RANDOM = 2 ** 16; // numbers drawn; the rest of the weights repeats them, since only their count matters

// An empty function but for one vector instruction: i32.const 0, i32x4.splat, drop.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 17, 26, 11];

const ARRAYS = {
  bool: Uint8Array,
  float32: Float32Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
};

const acts = { start, prepare, open, opened, time };
const sessions = new Map();
const batches = new Map(); // name -> runs in a batch
let ort, provider, threads, step, weights, feeds;

onmessage = async ({ data }) => {
  try {
    postMessage({ value: await acts[data.act](data) });
  } catch (error) {
    postMessage({ error: textOf(error) });
  }
};

async function start({ script, wasm, threads: asked, provider: wanted }) {
  if (!WebAssembly.validate(new Uint8Array(SIMD))) throw new Error("this browser has no WASM SIMD; update it");
  if (wanted === "webgpu") await checkGpu();
  ort = await import(script);
  provider = wanted;
  const most = navigator.hardwareConcurrency ?? 1;
  // Without an asked number, what onnxruntime-web takes itself; spelled out, so that it can be told.
  threads = self.crossOriginIsolated ? (asked ?? Math.min(4, Math.ceil(most / 2))) : 1;
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmBinary = wasm;
  step = clockStep();
  return { version: ort.env.versions.web, threads, clock_ms: step };
}

async function checkGpu() {
  if (!navigator.gpu) throw new Error("there is no WebGPU here; browsers have it over https, or from the device itself");
  if (!(await navigator.gpu.requestAdapter())) throw new Error("this browser has WebGPU, but no GPU to use");
}

/** Makes weights for the graphs to come, and the inputs of all. */
function prepare({ bytes, header, inputs }) {
  weights = randomWeights(Math.ceil(bytes / 4));
  feeds = {};
  for (const { name, type, dims, start, end } of header) {
    feeds[name] = new ort.Tensor(type, new ARRAYS[type](inputs.slice(start, end)), dims);
  }
}

async function open({ name, graph }) {
  const externalData = [{ path: "weights.bin", data: new Uint8Array(weights.buffer) }];
  const options = { executionProviders: [provider], externalData };
  sessions.set(name, await ort.InferenceSession.create(new Uint8Array(graph), options));
  if (ort.env.wasm.numThreads !== threads) throw new Error("onnxruntime-web cannot use threads in this browser");
}

/** Lets go of the weights, which each session has copied, and runs the graphs in turn until their code is fast. */
async function opened() {
  weights = undefined;
  const end = performance.now() + WARM_MS;
  do for (const session of sessions.values()) await run(session, 1);
  while (performance.now() < end);
}

/** `count` runs untimed, then `count` times in milliseconds, each of a batch that is long enough for the clock. */
async function time({ name, count }) {
  const session = sessions.get(name);
  await run(session, count);
  for (;;) {
    const size = batches.get(name) ?? 1;
    const times = [];
    let shortest = Infinity;
    while (times.length < count && shortest >= STEPS * step) {
      const lasted = await run(session, size);
      shortest = Math.min(shortest, lasted);
      times.push(Math.round((lasted / size) * 1e6) / 1e6);
    }
    if (shortest >= STEPS * step) return times;
    const larger = Math.ceil((size * MARGIN * STEPS * step) / Math.max(shortest, step));
    batches.set(name, Math.max(size + 1, larger));
  }
}

/** Milliseconds that `count` runs take together. */
async function run(session, count) {
  const start = performance.now();
  for (let index = 0; index < count; index += 1) await session.run(feeds);
  return performance.now() - start;
}

/** The smallest step, in milliseconds, in which the clock moves. */
function clockStep() {
  let smallest = Infinity;
  for (let index = 0; index < 20; index += 1) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    smallest = Math.min(smallest, now - start);
  }
  return smallest;
}

function randomWeights(count) {
  const numbers = new Float32Array(count);
  const drawn = Math.min(count, RANDOM);
  for (let index = 0; index < drawn; index += 1) numbers[index] = (Math.random() - 0.5) / 10;
  for (let end = drawn; end < count; end *= 2) numbers.copyWithin(end, 0, end);
  return numbers;
}

/** One line for people; what WASM throws when its memory is used up is a bare number. */
function textOf(error) {
  if (error instanceof Error) return error.message || error.name;
  return `onnxruntime-web failed (${error}), mostly for want of memory`;
}
