// Lines to a place that may not take them: what is lost is counted, and told as soon as a line gets
// through again. A line that was taken in part gets its rest first.

export interface LinePlace {
  /** Returns how many bytes were taken. */
  write(bytes: Uint8Array, now: Date): number;
}

const NOTHING = new Uint8Array(0);

export class LossyLines {
  readonly #place: LinePlace;
  readonly #notice: (count: number) => string;
  #rest: Uint8Array = NOTHING;
  #lostCount = 0;

  /** `notice` is the line that tells how many are missing. */
  constructor(place: LinePlace, notice: (count: number) => string) {
    this.#place = place;
    this.#notice = notice;
  }

  /** Writes a line, with its end, or counts it as lost. */
  write(line: string, now: Date): void {
    if (!this.#put(line, now)) this.#lostCount += 1;
  }

  /** The last chance to tell what is missing. */
  finish(now: Date): void {
    if (this.#lostCount > 0) this.#put("", now);
  }

  /** The notice goes with a line: alone it might fit again and again where no line does. */
  #put(line: string, now: Date): boolean {
    this.#rest = this.#rest.subarray(this.#write(this.#rest, now));
    if (this.#rest.length > 0) return false;
    const notice = this.#lostCount === 0 ? "" : this.#notice(this.#lostCount);
    const bytes = new TextEncoder().encode(notice + line);
    const count = this.#write(bytes, now);
    if (count === 0) return false;
    this.#rest = bytes.subarray(count);
    this.#lostCount = 0;
    return true;
  }

  #write(bytes: Uint8Array, now: Date): number {
    return bytes.length === 0 ? 0 : this.#place.write(bytes, now);
  }
}
