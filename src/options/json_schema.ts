// A JSON schema of all options, from the declarations: one property per option, an array where it
// may be repeated, `oneOf` over drivers and back ends.

import { allOptions } from "./options.ts";
import type { KeySchema, Keys, OptionSchema, ValueType } from "./schema.ts";

export type JsonSchema = Readonly<Record<string, unknown>>;

function valueSchema(type: ValueType): JsonSchema {
  switch (type.kind) {
    case "text":
      return { type: "string", minLength: 1, maxLength: type.maxBytes };
    case "pattern":
      return { type: "string", pattern: type.pattern.source };
    case "boolean":
    case "flag":
      return { type: "boolean" };
    case "integer":
      return { type: "integer", minimum: type.min, maximum: type.max };
    case "size":
      return { type: "integer", minimum: type.min, maximum: type.max, description: "bytes" };
    case "choice":
      return { type: "string", enum: [...type.choices] };
  }
}

function keySchema(key: KeySchema): JsonSchema {
  const base = valueSchema(key.type);
  return {
    ...base,
    ...(key.default === undefined ? {} : { default: key.default }),
    title: key.help,
    ...(key.supported === false ? { "x-supported": false } : {}),
    ...(key.supportedValues === undefined ? {} : { "x-supported-values": key.supportedValues }),
  };
}

function objectSchema(keys: Keys, constants: Readonly<Record<string, string>> = {}): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  for (const [name, word] of Object.entries(constants)) properties[name] = { const: word };
  for (const [name, key] of Object.entries(keys)) properties[name] = keySchema(key);
  const required = Object.entries(keys).filter(([, key]) => key.required);
  return {
    type: "object",
    properties,
    required: [...Object.keys(constants), ...required.map(([name]) => name)],
    additionalProperties: false,
  };
}

function shapeSchema(option: OptionSchema): JsonSchema {
  switch (option.shape) {
    case "flag":
      return { type: "boolean" };
    case "value":
      return valueSchema(option.type);
    case "words":
    case "ignored":
      return { type: "string" };
    case "keys":
      return objectSchema(option.keys);
    case "variants":
      return {
        oneOf: Object.entries(option.variants).map(([name, variant]) => ({
          title: variant.help,
          ...objectSchema(variant.keys, { [option.selector]: name }),
          ...(variant.supported === false ? { "x-supported": false } : {}),
        })),
      };
  }
}

/** The schema (draft 2020-12) of the options as one object. */
export function optionsJsonSchema(): JsonSchema {
  const properties: Record<string, JsonSchema> = {};
  for (const option of allOptions) {
    const shape = shapeSchema(option);
    properties[option.name] = {
      ...(option.repeatable ? { type: "array", items: shape } : shape),
      description: option.help,
      ...(option.supported === false ? { "x-supported": false } : {}),
    };
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "StratoVirt options",
    type: "object",
    properties,
    additionalProperties: false,
  };
}
