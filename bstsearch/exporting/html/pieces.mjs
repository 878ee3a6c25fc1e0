// Word pieces of a BERT, as a tokenizer.json of Hugging Face says.

const CJK = /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;
const PUNCTUATION = /([\p{P}$+<=>^`|~])/u;

/** The ids of a text: first and last piece added, cut where they are too many, and padded. */
export function cutIntoPieces({ normalizer, model, post_processor: ends, truncation, padding }, text) {
  const words = normal(text, normalizer).split(/\p{White_Space}+/u).flatMap((word) => word.split(PUNCTUATION));
  const pieces = words.filter(Boolean).flatMap((word) => piecesOf(word, model));
  const ids = [ends.cls[1], ...pieces.slice(0, truncation.max_length - 2), ends.sep[1]];
  return [...ids, ...Array(Math.max(0, padding.strategy.Fixed - ids.length)).fill(padding.pad_id)];
}

/** Without control characters, CJK characters apart, and where the model knows no case, without it and accents. */
function normal(text, { lowercase }) {
  const clean = text.replace(/[\t\n\r]/g, " ").replace(/[\0\ufffd\p{Cc}\p{Cf}\p{Co}]/gu, "").replace(CJK, " $& ");
  if (!lowercase) return clean;
  const bare = clean.normalize("NFD").replace(/\p{Mn}/gu, "");
  return Array.from(bare, (letter) => letter.toLowerCase()).join("");
}

/** The longest pieces from the left; the unknown one where some part of the word is no piece. */
function piecesOf(word, { vocab, unk_token: unknown, max_input_chars_per_word: most }) {
  const letters = Array.from(word);
  if (letters.length > most) return [vocab[unknown]];
  const ids = [];
  for (let start = 0; start < letters.length; ) {
    let end = letters.length;
    const piece = () => (start ? "##" : "") + letters.slice(start, end).join("");
    while (end > start && !Object.hasOwn(vocab, piece())) end -= 1;
    if (end === start) return [vocab[unknown]];
    ids.push(vocab[piece()]);
    start = end;
  }
  return ids;
}
