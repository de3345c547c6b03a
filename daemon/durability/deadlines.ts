/**
 * Which of many deadlines is next: a heap, where the SDK's state machine has lists that it searches from end to end.
 *
 * I1: an id has one deadline at most.
 * I2: what was replaced or taken back leaves the heap at the latest when it would outweigh what is there.
 */
interface Entry {
  readonly id: string;
  readonly atMs: number;
}

/** Entries that may be stale before the heap is made anew. */
const STALE_MIN = 1024;

export class Deadlines {
  readonly #atMs = new Map<string, number>();
  #heap: Entry[] = [];

  set(id: string, atMs: number): void {
    if (this.#atMs.get(id) === atMs) return;
    this.#atMs.set(id, atMs);
    this.#push({ id, atMs });
    if (this.#heap.length > STALE_MIN + 2 * this.#atMs.size) this.#rebuild();
  }

  delete(id: string): void {
    this.#atMs.delete(id);
  }

  /** The earliest one, or null. */
  nextMs(): number | null {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (this.#atMs.get(first.id) === first.atMs) return first.atMs;
      this.#pop();
    }
    return null;
  }

  /** Takes out whatever is due and returns it, the earliest first. */
  takeDue(nowMs: number): Entry[] {
    const due: Entry[] = [];
    for (let next = this.nextMs(); next !== null && next <= nowMs; next = this.nextMs()) {
      const entry = this.#pop() as Entry;
      this.#atMs.delete(entry.id);
      due.push(entry);
    }
    return due;
  }

  #rebuild(): void {
    this.#heap = [];
    for (const [id, atMs] of this.#atMs) this.#push({ id, atMs });
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Entry;
      if (above.atMs <= entry.atMs) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Entry).atMs < (heap[child] as Entry).atMs) child++;
      const below = heap[child] as Entry;
      if (below.atMs >= last.atMs) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}
