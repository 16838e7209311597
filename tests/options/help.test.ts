// Help, JSON schema and device_add come from the same declarations as the parser.

import { expect, test } from "bun:test";
import { deviceVariants } from "../../src/options/declarations/devices.ts";
import { optionsJsonSchema } from "../../src/options/json_schema.ts";
import { allOptions } from "../../src/options/options.ts";
import { entriesOfJson, parseVariant, readVariant } from "../../src/options/parse.ts";
import type { Keys, VariantSchema } from "../../src/options/schema.ts";
import { printed, refusalOf } from "./run.ts";

const shown = allOptions.filter((option) => option.shape !== "ignored");

const keyed = allOptions.flatMap((option) =>
  option.shape === "keys" ? [[option.name, option.keys] as const] : [],
);

const variants = allOptions.flatMap((option) =>
  option.shape === "variants"
    ? Object.entries(option.variants as Record<string, VariantSchema>).map(
        ([name, variant]) => [option.name, name, variant.keys] as const,
      )
    : [],
);

test.each(["-help", "-h", "-kernel k -help"])("%s lists every option but libvirt's", (line) => {
  const text = printed(line);
  expect(shown.filter((option) => !text.includes(`-${option.name}`))).toEqual([]);
  expect(text).not.toContain("-overcommit");
});

test.each(["-version", "-V"])("%s prints the version", (line) => {
  expect(printed(line)).toBe("StratoVirt 0.1.0");
});

test("help says what this build does not have yet", () => {
  const line = printed("-help")
    .split("\n")
    .find((row) => row.includes("-cameradev"));
  expect(line).toContain("[not supported yet by this build]");
});

test.each(keyed)("-%s help shows every key", (name: string, keys: Keys) => {
  const text = printed(`-${name} help`);
  expect(Object.keys(keys).filter((key) => !text.includes(`  ${key}`))).toEqual([]);
});

test.each(variants)("-%s %s,help shows every key", (option: string, name: string, keys: Keys) => {
  const text = printed(`-${option} ${name},help`);
  expect(Object.keys(keys).filter((key) => !text.includes(`  ${key}`))).toEqual([]);
});

test("-device help lists every driver", () => {
  const text = printed("-device help");
  expect(Object.keys(deviceVariants).filter((name) => !text.includes(`  ${name} `))).toEqual([]);
});

test("help for a mistyped driver suggests the right one", () => {
  expect(refusalOf(["-device", "virtio-blk-devic,help"])).toBe(
    "Unknown driver 'virtio-blk-devic' of -device. Did you mean 'virtio-blk-device'?",
  );
});

test("no two options share a name or an alias", () => {
  const names = allOptions.flatMap((option) => [option.name, ...(option.aliases ?? [])]);
  expect(new Set(names).size).toBe(names.length);
});

test("the JSON schema has every option, and repeated ones as arrays", () => {
  const schema = optionsJsonSchema() as { properties: Record<string, { type?: string }> };
  expect(Object.keys(schema.properties)).toEqual(allOptions.map((option) => option.name));
  expect(schema.properties.drive?.type).toBe("array");
  expect(schema.properties.device?.type).toBe("array");
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
});

test("device_add's JSON reads as the same device as -device", () => {
  const json = { id: "d", drive: "a", "num-queues": 2, "queue-size": "128" };
  const name = "virtio-blk-device";
  const entries = entriesOfJson("device_add", json);
  const added = readVariant("device_add", "driver", deviceVariants, name, entries);
  const source = `${name},id=d,drive=a,num-queues=2,queue-size=128`;
  expect(added).toEqual(parseVariant("-device", "driver", deviceVariants, source));
});

test("device_add's JSON is refused in the words of device_add", () => {
  const read = (json: Record<string, unknown>) => () => {
    const entries = entriesOfJson("device_add", json);
    return readVariant("device_add", "driver", deviceVariants, "virtio-blk-device", entries);
  };
  const owner = "device_add virtio-blk-device";
  expect(read({ drive: "a", drvie: "b" })).toThrow(
    `Unknown key 'drvie' of ${owner}. Did you mean 'drive'?`,
  );
  expect(read({ drive: ["a"] })).toThrow(
    "Bad value for drive of device_add: expected a string, a number or a boolean.",
  );
});
