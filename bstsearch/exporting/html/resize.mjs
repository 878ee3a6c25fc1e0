// Pictures made larger or smaller, byte for byte as Pillow 13 does it. A picture is { width, height, data }: RGB bytes.

const NEAREST = 0;
const BITS = 22; // Pillow computes with weights of so many binary places

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/** By Pillow's numbers: how far a filter reaches, and its weight at a distance. */
const FILTERS = {
  1: { reach: 3, weight: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
  2: { reach: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  3: { reach: 2, weight: cubic },
  4: { reach: 0.5, weight: (x) => (-0.5 < x && x <= 0.5 ? 1 : 0) },
  5: { reach: 1, weight: hamming },
};

function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

function hamming(distance) {
  const x = Math.abs(distance);
  if (x >= 1) return 0;
  return sinc(x) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(x * Math.PI));
}

/** The picture in another size; `resample` is Pillow's number of the filter. */
export function resize(picture, width, height, resample) {
  if (picture.width === width && picture.height === height) return picture;
  if (resample === NEAREST) return pickNearest(picture, width, height);
  const filter = FILTERS[resample];
  if (!filter) throw new Error(`there is no filter ${resample} to resize a picture with`);
  // Each pass rounds, so which comes first matters. Before version 13 it was always the same.
  const lost = [picture.width - width, picture.height - height];
  const isDownFirst = lost[1] > 0 && lost[1] > 2 * lost[0];
  return isDownFirst
    ? across(down(picture, height, filter), width, filter)
    : down(across(picture, width, filter), height, filter);
}

/** The picture with another height. */
function down(picture, height, filter) {
  return turned(across(turned(picture), height, filter));
}

function pickNearest(picture, width, height) {
  const [columns, rows] = [nearest(picture.width, width), nearest(picture.height, height)];
  const data = new Uint8Array(3 * width * height);
  let place = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = 3 * (row * picture.width + column);
      data.set(picture.data.subarray(from, from + 3), place);
      place += 3;
    }
  }
  return { width, height, data };
}

/** Which of `from` places each of `to` takes; added up step by step, as Pillow does. */
function nearest(from, to) {
  const step = from / to;
  const places = [];
  for (let place = step * 0.5; places.length < to; place += step) places.push(Math.min(from - 1, Math.floor(place)));
  return places;
}

/** The picture with another width. */
function across(picture, width, filter) {
  if (width === picture.width) return picture;
  const { height } = picture;
  const data = new Uint8Array(3 * width * height);
  const columns = weightsOf(picture.width, width, filter);
  let place = 0;
  for (let row = 0; row < height; row += 1) {
    for (const { first, weights } of columns) {
      for (let colour = 0; colour < 3; colour += 1) {
        let sum = 2 ** (BITS - 1);
        let from = 3 * (row * picture.width + first) + colour;
        for (const weight of weights) {
          sum += weight * picture.data[from];
          from += 3;
        }
        data[place] = Math.min(255, Math.max(0, Math.floor(sum / 2 ** BITS)));
        place += 1;
      }
    }
  }
  return { width, height, data };
}

/** For each of `to` places: the first of `from` that has a part in it, and whole numbers as weights. */
function weightsOf(from, to, { reach, weight }) {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach * stretch + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach * stretch + 0.5));
    const weights = Array.from({ length: end - first }, (_, x) => weight((x + first - centre + 0.5) * (1 / stretch)));
    const sum = weights.reduce((one, other) => one + other, 0);
    return { first, weights: weights.map((one) => whole(sum === 0 ? one : one / sum)) };
  });
}

function whole(weight) {
  return Math.trunc(weight * 2 ** BITS + (weight < 0 ? -0.5 : 0.5));
}

/** Rows become columns. */
function turned({ width, height, data }) {
  const other = new Uint8Array(data.length);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const [from, to] = [3 * (row * width + column), 3 * (column * height + row)];
      for (let colour = 0; colour < 3; colour += 1) other[to + colour] = data[from + colour];
    }
  }
  return { width: height, height: width, data: other };
}
