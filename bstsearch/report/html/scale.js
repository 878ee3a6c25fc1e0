/* Axes that show the points: their range, whether it is logarithmic, and readable ticks. */

/* A scale over `values`, logarithmic over more than one decade; `at` and `value` go between numbers and [0, 1]. */
function makeScale(values, canBeLog = true) {
  const [least, largest] = [Math.min(...values), Math.max(...values)];
  const isLog = canBeLog && least > 0 && largest / least > 10;
  const [to, from] = isLog ? [Math.log10, (x) => 10 ** x] : [(x) => x, (x) => x];
  const span = to(largest) - to(least) || Math.abs(to(largest)) || 1;
  const low = to(least) - 0.06 * span;
  const high = to(largest) + 0.06 * span;
  const at = (value) => (isLog && value <= 0 ? -Infinity : (to(value) - low) / (high - low));
  return { isLog, low: from(low), high: from(high), at, value: (share) => from(low + share * (high - low)) };
}

/* About `count` round numbers inside a scale. */
function ticks(scale, count) {
  return scale.isLog ? logTicks(scale, count) : linearTicks(scale, count);
}

function linearTicks({ low, high }, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push(Number((n * step).toPrecision(12)));
  return found;
}

function logTicks({ low, high }, count) {
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1) powers.push(power);
  const inside = (factors) =>
    powers
      .flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`)))
      .filter((x) => x >= low && x <= high);
  const every = Math.max(1, Math.ceil(powers.length / count));
  const choices = [inside([1, 2, 3, 5, 7]), inside([1, 2, 5]), inside([1, 3]), inside([1])];
  const fitting = choices.find((found) => found.length <= count + 1);
  return fitting ?? inside([1]).filter((_, n) => n % every === 0);
}

/* A tick as text, with a decimal no tick needs. */
function tickText(value) {
  return String(Number(value.toPrecision(6)));
}
