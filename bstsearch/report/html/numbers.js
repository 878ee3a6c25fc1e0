/* Numbers as text: as short as they can be without contradicting a decision. */

const MOST_DECIMALS = 20; // tells apart what floating point does

/* Decimals that show `value` with so many significant digits. */
function decimalsOf(value, significant) {
  return value > 0 ? Math.max(0, significant - 1 - Math.floor(Math.log10(value))) : 0;
}

/* A limit as text: as few digits as leave every value well on its side. */
function limitText(limit, values) {
  const room = Math.min(...values.filter((value) => value !== limit).map((value) => Math.abs(value - limit))) / 100;
  for (let significant = 3; significant < 17; significant += 1) {
    const shown = Number(limit.toPrecision(significant));
    const isFaithful = values.every((value) => value <= shown === value <= limit);
    if (isFaithful && Math.abs(shown - limit) <= room) return String(shown);
  }
  return String(limit);
}

/* Decimals for a column: three significant digits of its smallest number, five of its largest, and as many more as it
   takes that each number still reads as on its side of the limit. */
function columnDecimals(values, limit = null) {
  const positive = values.filter((value) => value > 0);
  if (!positive.length) return 0;
  let decimals = Math.min(decimalsOf(Math.min(...positive), 3), decimalsOf(Math.max(...positive), 5));
  if (limit === null) return decimals;
  const shown = Number(limitText(limit, values));
  while (
    decimals < MOST_DECIMALS &&
    values.some((value) => Number(value.toFixed(decimals)) <= shown !== value <= limit)
  ) {
    decimals += 1;
  }
  return decimals;
}

/* Decimals for shares in per cent: one, or as many as it takes that each still reads as on its side of `least`. */
function percentDecimals(shares, least = null) {
  let decimals = 1;
  const text = (share) => Number((100 * share).toFixed(decimals));
  while (least !== null && decimals < 6 && shares.some((share) => text(share) >= text(least) !== share >= least)) {
    decimals += 1;
  }
  return decimals;
}

/* How a column of whole numbers is written: in units of `factor`, called `prefix`. */
function wholeFormat(values) {
  const prefixes = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  const [factor, prefix] = prefixes.find(([least]) => Math.max(...values) >= least) ?? [1, ""];
  return { factor, prefix, decimals: factor === 1 ? 0 : columnDecimals(values.map((value) => value / factor)) };
}
