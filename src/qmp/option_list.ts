// The options as QEMU's introspection commands show them. Loaded by those commands alone.

import { deviceVariants } from "../options/declarations/devices.ts";
import { objectVariants } from "../options/declarations/objects.ts";
import { allOptions } from "../options/options.ts";
import type { KeySchema, Keys, OptionSchema, ValueType, Variants } from "../options/schema.ts";

type ParameterType = "string" | "boolean" | "number" | "size";

interface Parameter {
  readonly name: string;
  readonly type: ParameterType;
  readonly help: string;
  readonly default?: string;
}

function parameterType(type: ValueType): ParameterType {
  switch (type.kind) {
    case "boolean":
    case "flag":
      return "boolean";
    case "integer":
      return "number";
    case "size":
      return "size";
    case "text":
    case "pattern":
    case "choice":
      return "string";
  }
}

function isSupported(declared: { readonly supported?: false }): boolean {
  return declared.supported !== false;
}

function supportedKeys(keys: Keys): [string, KeySchema][] {
  return Object.entries(keys).filter(([, key]) => isSupported(key));
}

function supportedVariants(variants: Variants): [string, Variants[string]][] {
  return Object.entries(variants).filter(([, variant]) => isSupported(variant));
}

function parametersOf(keys: Keys): Parameter[] {
  return supportedKeys(keys).map(([name, { type, help, default: value }]) => {
    const parameter = { name, type: parameterType(type), help };
    return value === undefined ? parameter : { ...parameter, default: String(value) };
  });
}

function optionKeys(option: OptionSchema): Keys | undefined {
  if (option.shape === "keys") return option.keys;
  if (option.shape !== "variants") return undefined;
  const all = supportedVariants(option.variants).map(([, { keys }]) => keys);
  return Object.assign({}, ...all) as Keys;
}

/** Options with keys, or the one of that name; empty when there is none. */
export function optionList(name: string | undefined) {
  return allOptions
    .filter((option) => isSupported(option) && (name === undefined || option.name === name))
    .flatMap((option) => {
      const keys = optionKeys(option);
      return keys === undefined ? [] : [{ option: option.name, parameters: parametersOf(keys) }];
    });
}

/** Drivers and objects; `parent` keeps those of "device" or of "object". */
export function typeList(parent: string | undefined) {
  const families = { device: deviceVariants, object: objectVariants } as const;
  return Object.entries(families)
    .filter(([family]) => parent === undefined || parent === family)
    .flatMap(([family, variants]) =>
      supportedVariants(variants).map(([name]) => ({ name, parent: family })),
    );
}

/** The keys of a driver, or undefined when this build does not have it. */
export function propertyList(driver: string) {
  const found = supportedVariants(deviceVariants).find(([name]) => name === driver);
  if (found === undefined) return undefined;
  return supportedKeys(found[1].keys).map(([name, { type, help, default: value }]) => {
    const property = { name, type: parameterType(type), description: help };
    return value === undefined ? property : { ...property, "default-value": value };
  });
}
