// The manual page, from the declarations of the options (man(7)).

import { allOptions } from "../options/options.ts";
import { type KeySchema, type Keys, type OptionSchema, optionGroups } from "../options/schema.ts";
import { valueUsage } from "../options/tokenise.ts";
import { expectedOf, placeholderOf } from "../options/values.ts";
import { VERSION } from "../version.ts";

/** Text as roff takes it: no backslash, dash or leading dot has its special meaning; ASCII. */
function plainText(text: string): string {
  return text
    .replaceAll("…", "...")
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/, "\\&$1");
}

function keyLines([name, key]: readonly [string, KeySchema]): string[] {
  const usage = key.type.kind === "flag" ? name : `${name}=${placeholderOf(key.type)}`;
  const notes = [
    key.type.kind === "integer" || key.type.kind === "size" ? expectedOf(key.type) : "",
    key.required ? "required" : "",
  ].filter((note) => note !== "");
  const suffix = notes.length === 0 ? "" : ` (${notes.join("; ")})`;
  return [".TP", `.B ${plainText(usage)}`, plainText(`${key.help}${suffix}`)];
}

function keysLines(keys: Keys): string[] {
  const rows = Object.entries(keys).filter(([, key]) => key.supported !== false);
  return rows.length === 0 ? [] : [".RS", ...rows.flatMap(keyLines), ".RE"];
}

function optionLines(option: OptionSchema): string[] {
  const names = [option.name, ...(option.aliases ?? [])].map((name) => `-${name}`).join(", ");
  const head = [".TP", `.B ${plainText(`${names} ${valueUsage(option)}`.trim())}`];
  const help = plainText(`${option.help}${option.repeatable ? " (repeatable)" : ""}`);
  if (option.shape === "keys") return [...head, help, ...keysLines(option.keys)];
  if (option.shape !== "variants") return [...head, help];
  const variants = Object.entries(option.variants)
    .filter(([, variant]) => variant.supported !== false)
    .flatMap(([name, variant]) => [
      ".TP",
      `.B ${plainText(name)}`,
      plainText(variant.help),
      ...keysLines(variant.keys),
    ]);
  return [...head, help, ".RS", ...variants, ".RE"];
}

/** stratovirt(1) as roff, with what this build supports. */
export function manualPage(): string {
  const offered = allOptions.filter(
    (option) => option.supported !== false && option.shape !== "ignored",
  );
  return [
    `.TH STRATOVIRT 1 "" "StratoVirt ${VERSION}"`,
    ".SH NAME",
    "stratovirt \\- a virtual machine monitor",
    ".SH SYNOPSIS",
    ".B stratovirt",
    "\\-kernel PATH [OPTION [VALUE]]...",
    ".br",
    ".B stratovirt",
    "check | doctor | completion | reference ...",
    ...optionGroups.flatMap((group) => [
      `.SH ${group.toUpperCase()} OPTIONS`,
      ...offered.filter((option) => option.group === group).flatMap(optionLines),
    ]),
    ".SH EXIT STATUS",
    "0 when the guest or a person ended the machine, 1 for an error.",
  ].join("\n");
}
