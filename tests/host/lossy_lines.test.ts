// Lines that a place does not take are counted and told; a line taken in part gets its rest first.

import { expect, test } from "bun:test";
import { LossyLines } from "../../src/host/lossy_lines.ts";

const NOW = new Date();

/** Takes so many bytes and no more. */
class Place {
  text = "";
  room: number;

  constructor(room: number) {
    this.room = room;
  }

  write(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.room);
    this.room -= taken.length;
    this.text += new TextDecoder().decode(taken);
    return taken.length;
  }
}

const linesTo = (place: Place) => new LossyLines(place, (count) => `${count} missing\n`);

test("what was lost is told before the next line that gets through, once", () => {
  const place = new Place(4);
  const lines = linesTo(place);
  for (const line of ["one\n", "two\n", "three\n"]) lines.write(line, NOW);
  place.room = 100;
  for (const line of ["four\n", "five\n"]) lines.write(line, NOW);
  expect(place.text).toBe("one\n2 missing\nfour\nfive\n");
});

test("a line that was taken in part is ended before anything else", () => {
  const place = new Place(2);
  const lines = linesTo(place);
  lines.write("one\n", NOW);
  lines.write("two\n", NOW);
  place.room = 1;
  lines.write("three\n", NOW);
  place.room = 100;
  lines.write("four\n", NOW);
  expect(place.text).toBe("one\n2 missing\nfour\n");
});

test("a notice that was taken in part is not told twice", () => {
  const place = new Place(0);
  const lines = linesTo(place);
  lines.write("one\n", NOW);
  place.room = 3;
  lines.write("two\n", NOW);
  place.room = 100;
  lines.write("three\n", NOW);
  expect(place.text).toBe("1 missing\ntwo\nthree\n");
});

test("the end tells of the last ones", () => {
  const place = new Place(0);
  const lines = linesTo(place);
  lines.write("one\n", NOW);
  place.room = 100;
  lines.finish(NOW);
  expect(place.text).toBe("1 missing\n");
});
