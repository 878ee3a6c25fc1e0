// The file of weights, of which only what a submodel reads travels. A span is [first byte, one past its last].

/** A file of which parts are fetched when they are asked for; what was not is zero. */
export class Weights {
  #loaded = [];

  constructor(url, bytes, get = (...request) => fetch(...request)) {
    this.data = new Uint8Array(bytes);
    this.url = url;
    this.get = get;
  }

  /** Fetches what these spans lack; `tell` hears how many bytes have come. Returns how many these were. */
  async load(spans, tell = () => {}) {
    const lacking = missing(spans, this.#loaded);
    if (lacking.length === 0) return 0;
    let come = 0;
    const take = async (span) => {
      const bytes = await this.#fetch(span); // first: others come meanwhile
      come += bytes;
      tell(come);
    };
    await take(lacking[0]); // alone: a server that knows no ranges sends everything, which once is enough
    await settled(missing(lacking, this.#loaded).map(take));
    return come;
  }

  async #fetch([start, end]) {
    const response = await this.get(this.url, { headers: { Range: `bytes=${start}-${end - 1}` } });
    if (!response.ok) throw new Error(`${response.url} cannot be fetched: status ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const span = response.status === 206 ? [start, end] : [0, this.data.length];
    if (bytes.length !== span[1] - span[0]) {
      throw new Error(`${response.url} has other bytes than expected; is it of another export?`);
    }
    this.data.set(bytes, span[0]);
    this.#loaded.push(span);
    return bytes.length;
  }
}

/** What all of these come to, once none is under way any more; the first error where one failed. */
export async function settled(promises) {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** The parts of `spans` that lie in none of `loaded`. */
export function missing(spans, loaded) {
  return loaded.reduce((rest, one) => rest.flatMap((span) => without(span, one)), spans);
}

function without([start, end], [first, last]) {
  const before = [start, Math.min(end, first)];
  const after = [Math.max(start, last), end];
  return [before, after].filter(([from, to]) => from < to);
}
