// How a picture becomes the numbers that a model reads, as "picture" in preprocessor.json says: the same numbers as
// pictures.py makes. A picture is { width, height, data } with RGB or, as a canvas gives it, RGBA bytes.

import { resize } from "./resize.mjs";

/** The model's input of one picture: { type, dims, data }, with a batch axis. */
export function readPicture(how, picture) {
  const rgb = onWhite(picture);
  const { height, width } = how.size;
  const fitted = how.fit === "letterbox" ? letterboxed(rgb, how) : resize(rgb, width, height, how.resample);
  const side = [fitted.height, fitted.width];
  if (!how.do_normalize) return { type: "uint8", dims: [1, ...side, 3], data: fitted.data };
  return { type: "float32", dims: [1, 3, ...side], data: normalised(fitted.data, how) };
}

/** The picture that an input of the model shows, for people to look at. */
export function showPicture(how, { dims, data }) {
  if (!how.do_normalize) return { width: dims[2], height: dims[1], data };
  const bytes = new Uint8Array(data.length);
  const pixels = data.length / 3;
  for (let index = 0; index < data.length; index += 1) {
    const colour = Math.floor(index / pixels);
    const value = data[index] * how.image_std[colour] + how.image_mean[colour];
    bytes[3 * (index % pixels) + colour] = Math.round(255 * Math.min(1, Math.max(0, value)));
  }
  return { width: dims[3], height: dims[2], data: bytes };
}

/** RGB of a picture laid on white. */
function onWhite({ width, height, data }) {
  if (data.length === 3 * width * height) return { width, height, data };
  const rgb = new Uint8Array(3 * width * height);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    const alpha = data[4 * pixel + 3];
    for (let colour = 0; colour < 3; colour += 1) {
      // Pillow's rounding, with seven binary places more than a byte.
      const sum = (data[4 * pixel + colour] * alpha + 255 * (255 - alpha) + 128) * 128;
      rgb[3 * pixel + colour] = alpha === 0 ? 255 : (((sum >> 8) + sum) >> 8) >> 7;
    }
  }
  return { width, height, data: rgb };
}

/** In its proportions, in the middle of a black canvas that lies where the picture is wider than high. */
function letterboxed(rgb, { size, resample }) {
  const [short, long] = [Math.min(size.height, size.width), Math.max(size.height, size.width)];
  const [width, height] = rgb.width > rgb.height ? [long, short] : [short, long];
  const inside = resize(rgb, ...fitting(rgb, short, long), resample);
  const data = new Uint8Array(3 * width * height);
  const [left, top] = [Math.ceil((width - inside.width) / 2), Math.ceil((height - inside.height) / 2)];
  for (let row = 0; row < inside.height; row += 1) {
    const from = 3 * row * inside.width;
    data.set(inside.data.subarray(from, from + 3 * inside.width), 3 * ((row + top) * width + left));
  }
  return { width, height, data };
}

/** Width and height once the shorter side is `short`, or less, where the longer would exceed `long`. */
function fitting({ width, height }, short, long) {
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  const newShorter = Math.max(1, Math.min(short, roundToEven((long * shorter) / longer)));
  const newLonger = Math.min(long, Math.trunc((newShorter * longer) / shorter));
  return width > height ? [newLonger, newShorter] : [newShorter, newLonger];
}

function roundToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}

/** (3, H, W) of RGB bytes: between 0 and 1, less the mean, over the spread, each step in float32. */
function normalised(bytes, { image_mean: mean, image_std: std }) {
  const values = new Float32Array(bytes.length);
  const pixels = bytes.length / 3;
  const [means, stds] = [Float32Array.from(mean), Float32Array.from(std)];
  for (let index = 0; index < bytes.length; index += 1) {
    const colour = index % 3;
    const share = Math.fround(bytes[index] / 255);
    values[colour * pixels + (index - colour) / 3] = Math.fround(share - means[colour]) / stds[colour];
  }
  return values;
}
