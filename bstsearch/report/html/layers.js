/* A submodel layer by layer: which layers each stack keeps, and how many heads and FFN units are in each. */

/* "3/4" -> [3, 4] */
function fraction(text) {
  const [numerator, denominator = "1"] = text.split("/");
  return [Number(numerator), Number(denominator)];
}

/* The digits of an id's rows; as in space.py. */
const DIGITS = "0123456789abcdeghjkmnpqrstuvwxyz";

/* "31of4" or "3.1of4" -> ["3/4", "1/4"]; what an id says after -d, -h or -f, where layers or stacks differ */
function sharesIn(id, letter) {
  const [, row, scale] = id.match(new RegExp(`-${letter}([0-9a-z.]+)of(\\d+)`)) ?? [];
  if (!row || (letter === "d" && !row.includes("."))) return null;
  const isDense = !row.includes(".") && Number(scale) < DIGITS.length;
  const numerators = isDense ? [...row].map((digit) => DIGITS.indexOf(digit)) : row.split(".").map(Number);
  return numerators.map((numerator) => reduced(numerator, Number(scale)));
}

function reduced(numerator, denominator) {
  let [a, b] = [numerator, denominator];
  while (b) [a, b] = [b, a % b];
  return denominator === a ? String(numerator / a) : `${numerator / a}/${denominator / a}`;
}

/* That share of a whole size, which is null where it is not known. */
function part(share, whole) {
  const [numerator, denominator] = fraction(share);
  return { share, whole: whole ?? null, size: whole == null ? null : (numerator * whole) / denominator };
}

/* One entry per stack: its name, how many layers it has, and those that the submodel keeps, in running order.

   `stacks` are the front file's; where it has none (written by an older version), only the counts in `space` are
   known, so the layers have no index (null). */
function stacksOf(one, space, stacks) {
  const [depths, heads, ffn] = [sharesIn(one.id, "d"), sharesIn(one.id, "h"), sharesIn(one.id, "f")];
  let first = 0;
  return space.stacks.map((total, n) => {
    const stack = stacks?.[n];
    const [numerator, denominator] = fraction(depths?.[n] ?? one.depth);
    const count = (numerator * total) / denominator;
    const kept = stack ? stack.keep_order.slice(0, count).sort((a, b) => a - b) : Array(count).fill(null);
    const layers = kept.map((layer, place) => ({
      layer,
      heads: part(heads?.[first + place] ?? one.width, stack?.heads[layer]),
      ffn: part(ffn?.[first + place] ?? one.width, stack?.ffn[layer]),
    }));
    first += count;
    return { name: stack?.name ?? `stack ${n + 1}`, total, layers };
  });
}
