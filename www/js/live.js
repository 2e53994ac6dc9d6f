// A source of data that is asked again and again while somebody looks.

/**
 * Asks every `every` ms after the last answer, not while the page is hidden. What was learned last is kept when an
 * answer fails: `state` says how old it is. Event "change" after each answer, good or bad.
 */
export class Live extends EventTarget {
  /** data: what came last, or null; at: performance.now() of that; error: of the latest try, null when it was good */
  state = { data: null, node: null, at: null, error: null };
  #timer = null;
  #running = false;
  #stop = new AbortController();

  /** @param {() => Promise<{data: any, node: string|null}>} ask  @param {number} every milliseconds */
  constructor(ask, every) {
    super();
    this.ask = ask;
    this.every = every;
    document.addEventListener("visibilitychange", () => this.#wake(), { signal: this.#stop.signal });
    this.#wake();
  }

  /** Asks no more. */
  stop() {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  /** Milliseconds since the last good answer, or null when there was none. */
  age() {
    return this.state.at === null ? null : performance.now() - this.state.at;
  }

  #wake() {
    clearTimeout(this.#timer);
    if (!document.hidden && !this.#running) this.#run();
  }

  async #run() {
    this.#running = true;
    try {
      const { data, node } = await this.ask();
      this.state = { data, node, at: performance.now(), error: null };
    } catch (error) {
      this.state = { ...this.state, error };
    }
    this.#running = false;
    this.dispatchEvent(new Event("change"));
    if (!document.hidden && !this.#stop.signal.aborted) this.#timer = setTimeout(() => this.#run(), this.every);
  }
}
