// Runs the submodels beside the page, which sends one request at a time and waits for the answer.

import { readSample, toFeeds, topAnswers } from "./inputs.mjs";
import * as ort from "./ort.wasm.bundle.min.mjs";
import { readPicture, showPicture } from "./pictures.mjs";
import { readText, showText } from "./texts.mjs";
import { settled, Weights } from "./weights.mjs";

const WARM_MS = 150; // browsers compile WASM twice: fast at first, and well only what has run for a while
const TIMED_MS = 60; // a time is the shortest of batches that take so long together: other programs only add
const BATCH_MS = 4; // long enough for the clocks of browsers
const SHOWN = 3; // answers
const TOLERANCE = 1e-3; // of outputs in float32, between this browser and the computer that exported

const acts = { start, ask };
let page, files, sample, weights, opened;
let seen; // the picture that was sent last, as the models read it
let cache = "default"; // what a browser may take from what it kept

onmessage = async ({ data }) => {
  try {
    postMessage({ value: await acts[data.act](data) });
  } catch (error) {
    const said = error instanceof Error ? error.message : `ONNX Runtime failed (${error}), mostly for want of memory`;
    postMessage({ error: said });
  }
};

/** Reads what the folder holds beside the models; returns what the page shows of it, the sample, and what runs. */
async function start() {
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more need headers that few servers of files send
  page = parse(await fetchBytes("page.json", "no-cache"));
  const readJson = async (name) => parse(await fetchBytes(`${name}?${page.files[name]}`));
  const names = ["preprocessor.json", "vocabulary.json", "sample.json"];
  const [preprocessor, vocabulary, saved] = await Promise.all(names.map(readJson));
  const { picture, text } = preprocessor;
  const tokenizer = text.tokenizer_file && (await readJson(text.tokenizer_file));
  files = { preprocessor, tokenizer, answers: vocabulary.answers };
  const inputs = readSample(saved.inputs);
  sample = { feeds: toFeeds(ort, inputs), outputs: readSample(saved.outputs) };
  weights = noWeights();
  return {
    page,
    version: ort.env.versions.web,
    picture: showPicture(picture, inputs[picture.input]),
    question: showText(text, inputs[text.input].data, tokenizer),
  };
}

/** The weights of which nothing has come yet. */
function noWeights() {
  const get = (url, options) => fetch(url, { ...options, cache });
  return new Weights(`weights.bin?${page.weights.version}`, page.weights.bytes, get);
}

/**
 * What a submodel answers to a question about a picture, how long that takes, and what had to come for it.
 *
 * Without a picture it is about the one before.
 */
async function ask({ id, picture, question }) {
  const { picture: pictures, text } = files.preprocessor;
  if (picture) seen = readPicture(pictures, picture);
  const inputs = { [text.input]: readText(text, question, files.tokenizer), [pictures.input]: seen };
  const feeds = toFeeds(ort, inputs);
  const before = performance.now();
  const bytes = opened?.id === id ? 0 : await open(id);
  const loading = performance.now() - before;
  const { logits, ms } = await time(feeds, TIMED_MS);
  return { answers: topAnswers(logits, files.answers, SHOWN), ms, bytes, loading };
}

/** Opens a submodel in place of the one before; returns how many bytes came. */
async function open(id) {
  const one = page.submodels.find((each) => each.id === id);
  const tell = (come) => postMessage({ come });
  try {
    const [graph, bytes] = await settled([fetchBytes(`${one.file}?${one.version}`), weights.load(one.spans, tell)]);
    await close();
    const externalData = [{ path: "weights.bin", data: weights.data }];
    const session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"], externalData });
    opened = { id, session };
    await check(one);
    await time(sample.feeds, WARM_MS);
    return bytes + graph.length;
  } catch (error) {
    cache = "reload"; // what the browser kept may be what is wrong
    if (opened?.id === id) {
      await close();
      weights = noWeights();
    }
    throw error;
  }
}

async function close() {
  const session = opened?.session;
  opened = undefined;
  await session?.release();
}

/** Passes where the sample gives what it gave at export: then the files have come whole, and this browser computes well. */
async function check({ id, tolerance }) {
  const found = await run(sample.feeds);
  const expected = sample.outputs[id].data;
  const difference = found.reduce((most, value, index) => Math.max(most, Math.abs(value - expected[index])), 0);
  if (difference <= (tolerance ?? TOLERANCE)) return;
  const far = difference.toPrecision(2);
  throw new Error(`the sample gives other numbers than at export, by ${far}; are files damaged? Ask again to fetch them anew.`);
}

/** The output, and the milliseconds of a run, in the best of batches that take at least `least` together. */
async function time(feeds, least) {
  const end = performance.now() + least;
  let best = { ms: Infinity };
  do {
    const found = await batch(feeds);
    if (found.ms < best.ms) best = found;
  } while (performance.now() < end);
  return best;
}

async function batch(feeds) {
  const start = performance.now();
  for (let runs = 1; ; runs += 1) {
    const logits = await run(feeds);
    const lasted = performance.now() - start;
    if (lasted >= BATCH_MS) return { logits, ms: lasted / runs };
  }
}

async function run(feeds) {
  const outputs = await opened.session.run(feeds);
  return outputs[opened.session.outputNames[0]].data;
}

function parse(bytes) {
  return JSON.parse(new TextDecoder().decode(bytes));
}

async function fetchBytes(url, how = cache) {
  const response = await fetch(url, { cache: how });
  if (!response.ok) throw new Error(`${response.url} cannot be fetched: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
