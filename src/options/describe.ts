// Help texts from the declarations: -help, -OPTION help and -device DRIVER,help.

import { allOptions } from "./options.ts";
import type { KeySchema, Keys, OptionSchema, VariantSchema } from "./schema.ts";
import { optionGroups } from "./schema.ts";
import { valueUsage } from "./tokenise.ts";
import { expectedOf, formatSize, placeholderOf } from "./values.ts";

const later = " [not supported yet by this build]";

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(36, Math.max(0, ...rows.map(([left]) => left.length)));
  return rows
    .map(([left, right]) => {
      const first = left.length > width ? `${left}\n  ${" ".repeat(width)}` : left.padEnd(width);
      return `  ${first}  ${right}`;
    })
    .join("\n");
}

function defaultOf(key: KeySchema): string {
  if (key.default === undefined) return "";
  if (key.type.kind === "size") return formatSize(Number(key.default));
  if (key.type.kind !== "boolean") return String(key.default);
  return (key.default ? key.type.yes[0] : key.type.no[0]) ?? "";
}

function keyRow(name: string, key: KeySchema): [string, string] {
  const usage = key.type.kind === "flag" ? name : `${name}=${placeholderOf(key.type)}`;
  const numeric = key.type.kind === "integer" || key.type.kind === "size";
  const notes = [
    numeric ? expectedOf(key.type) : "",
    key.required ? "required" : "",
    defaultOf(key) === "" ? "" : `default ${defaultOf(key)}`,
    key.aliases === undefined ? "" : `also ${key.aliases.join(", ")}`,
  ].filter((note) => note !== "");
  const suffix = notes.length === 0 ? "" : ` (${notes.join("; ")})`;
  return [usage, `${key.help}${suffix}${key.supported === false ? later : ""}`];
}

function keysHelp(keys: Keys): string {
  const rows = Object.entries(keys).map(([name, key]) => keyRow(name, key));
  return rows.length === 0 ? "  (no keys)" : columns(rows);
}

function optionRow(option: OptionSchema): [string, string] {
  const names = [option.name, ...(option.aliases ?? [])].map((name) => `-${name}`).join(", ");
  const more = option.repeatable ? " (repeatable)" : "";
  const state = option.supported === false ? later : "";
  return [`${names} ${valueUsage(option)}`.trim(), `${option.help}${more}${state}`];
}

/** The text of -help. */
export function helpText(version: string): string {
  const sections = optionGroups.map((group) => {
    const rows = allOptions
      .filter((option) => option.group === group && option.shape !== "ignored")
      .map(optionRow);
    return `${group}:\n${columns(rows)}`;
  });
  return [
    `StratoVirt ${version}: a virtual machine monitor`,
    "Usage: stratovirt -kernel PATH [OPTION [VALUE]]…\n" +
      "       stratovirt check | doctor | completion | reference …",
    ...sections,
    "Details: -OPTION help, and for drivers and back ends -OPTION NAME,help",
  ].join("\n\n");
}

/** The text of `-device virtio-blk-device,help`. */
export function variantHelp(option: string, name: string, variant: VariantSchema): string {
  const state = variant.supported === false ? later : "";
  return `-${option} ${name}: ${variant.help}${state}\n${keysHelp(variant.keys)}`;
}

/** The text of `-machine help` or `-device help`. */
export function optionHelp(option: OptionSchema): string {
  const [usage, help] = optionRow(option);
  if (option.shape === "keys") return `${usage}: ${help}\n${keysHelp(option.keys)}`;
  if (option.shape !== "variants") return `${usage}: ${help}`;
  const rows = Object.entries(option.variants).map(
    ([name, variant]) =>
      [name, `${variant.help}${variant.supported === false ? later : ""}`] as const,
  );
  return `${usage}: ${help}\n${columns(rows)}`;
}
