// What a model reads of a picture and a question, and what a sample.json holds, as tensors: { type, dims, data }.

import { readPicture } from "./pictures.mjs";
import { readText } from "./texts.mjs";

const ARRAYS = { uint8: Uint8Array, int32: Int32Array, int64: BigInt64Array, float32: Float32Array };

/** The model's inputs by name. `preprocessor` and, where it names one, `tokenizer` are the files of an export. */
export function readInputs({ preprocessor, tokenizer }, picture, question) {
  const { picture: seen, text } = preprocessor;
  return { [text.input]: readText(text, question, tokenizer), [seen.input]: readPicture(seen, picture) };
}

/** The tensors in one part of a sample.json, by name. */
export function readSample(part) {
  return Object.fromEntries(Object.entries(part).map(([name, entry]) => [name, readTensor(entry)]));
}

function readTensor({ dtype, shape, values, base64 }) {
  const Kind = ARRAYS[dtype];
  if (base64 !== undefined) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    return { type: dtype, dims: shape, data: new Kind(bytes.buffer) };
  }
  return { type: dtype, dims: shape, data: Kind === BigInt64Array ? Kind.from(values, BigInt) : Kind.from(values) };
}

/** The model's inputs as tensors of an ONNX Runtime `ort`, of browsers or of node. */
export function toFeeds(ort, tensors) {
  const made = ([name, { type, data, dims }]) => [name, new ort.Tensor(type, data, dims)];
  return Object.fromEntries(Object.entries(tensors).map(made));
}

/** The most probable answers, each with its probability. */
export function topAnswers(logits, answers, count) {
  const most = logits.reduce((one, other) => Math.max(one, other));
  const weights = Array.from(logits, (value) => Math.exp(value - most));
  const sum = weights.reduce((one, other) => one + other, 0);
  const order = weights.map((_, index) => index).sort((one, other) => weights[other] - weights[one]);
  return order.slice(0, count).map((index) => [answers[index], weights[index] / sum]);
}
