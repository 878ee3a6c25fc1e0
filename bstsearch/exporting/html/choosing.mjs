// Which submodel answers, and how long it is expected to take in this browser.

/** Milliseconds by id: as `seen` here, else the profile's times the ratio that those seen have to theirs. */
export function expectedTimes(submodels, seen) {
  const known = submodels.filter((one) => seen.has(one.id));
  const logs = known.map((one) => Math.log(seen.get(one.id) / one.ms));
  const ratio = Math.exp(logs.reduce((sum, log) => sum + log, 0) / Math.max(1, logs.length));
  return new Map(submodels.map((one) => [one.id, seen.get(one.id) ?? one.ms * ratio]));
}

/** The best submodel within `budget` milliseconds, the faster of equals; the fastest where none is. */
export function choose(submodels, times, budget) {
  const faster = [...submodels].sort((one, other) => times.get(one.id) - times.get(other.id));
  const within = faster.filter((one) => times.get(one.id) <= budget);
  return within.reduce((best, one) => (one.goodness > best.goodness ? one : best), within[0] ?? faster[0]);
}
