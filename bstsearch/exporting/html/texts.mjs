// How a text becomes the ids that a model reads, as "text" in preprocessor.json says: the same as texts.py makes.

import { cutIntoPieces } from "./pieces.mjs";

// Python's \S: what is white there and what is white here differ in a few characters.
const NOT_WHITE = "[^\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

/** The model's input of one text: { type, dims, data }, with a batch axis. `tokenizer` is tokenizer.json, if there is one. */
export function readText(how, text, tokenizer) {
  const ids = tokenizer ? cutIntoPieces(tokenizer, text) : idsOf(how, text);
  return { type: "int64", dims: [1, ids.length], data: BigInt64Array.from(ids, BigInt) };
}

/** The words that ids stand for, in order. */
export function showText(how, ids, tokenizer) {
  if (!tokenizer) return [...ids].map((id) => how.words[Number(id) - how.first_id]).filter(Boolean).join(" ");
  const pieces = Object.keys(tokenizer.model.vocab);
  const named = new Map(pieces.map((piece) => [tokenizer.model.vocab[piece], piece]));
  const words = [...ids].map((id) => named.get(Number(id))).filter((piece) => !/^\[[A-Z]+\]$/.test(piece));
  return words.join(" ").replaceAll(" ##", "");
}

function idsOf(how, text) {
  const numbers = new Map(how.words.map((word, index) => [word, index + how.first_id]));
  const ids = wordsOf(how, text).map((word) => numbers.get(word) ?? how.unknown_id).slice(0, how.length);
  if (ids.every((id) => id === how.unknown_id)) {
    throw new Error(`no word of the question is known; it knows ${how.words.slice(0, 12).join(", ")}, ...`);
  }
  return [...ids, ...Array(how.length - ids.length).fill(how.padding_id)];
}

function wordsOf({ replaced, pattern, spellings }, text) {
  const own = (table, key) => (Object.hasOwn(table, key) ? table[key] : key);
  const plain = Array.from(text.toLowerCase(), (letter) => own(replaced, letter)).join("");
  const found = plain.match(new RegExp(pattern.replaceAll("\\S", NOT_WHITE), "gu")) ?? [];
  return found.map((word) => own(spellings, word));
}
