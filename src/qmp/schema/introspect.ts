// query-qmp-schema: the protocol as QEMU's introspection describes one (qapi/introspect.json).
// Types have no names of their own there: each distinct one gets a number.

import type { Command } from "../command.ts";
import { eventDeclarations } from "../events.ts";
import { type Shape, shapeOf } from "./shape.ts";

export type SchemaInfo = Readonly<Record<string, unknown>> & {
  readonly name: string;
  readonly "meta-type": string;
};

const builtins = {
  string: ["str", "string"],
  integer: ["int", "int"],
  boolean: ["bool", "boolean"],
  any: ["any", "value"],
} as const;

/** Collects types; equal ones become one. */
class Types {
  readonly #names = new Map<string, string>();
  readonly entries: SchemaInfo[] = [];

  /** The name of the type, which is described once. */
  nameOf(shape: Shape): string {
    switch (shape.kind) {
      case "string":
      case "integer":
      case "boolean":
      case "any": {
        const [name, json] = builtins[shape.kind];
        return this.#add(name, () => name, { "meta-type": "builtin", "json-type": json });
      }
      case "choice": {
        const members = shape.choices.map((name) => ({ name }));
        return this.#number({ "meta-type": "enum", members, values: shape.choices });
      }
      case "list": {
        const element = this.nameOf(shape.element);
        const description = { "meta-type": "array", "element-type": element };
        return this.#add(`[${element}]`, () => `[${element}]`, description);
      }
      case "object": {
        const members = shape.members.map(({ name, shape: inner, isOptional }) => {
          const member = { name, type: this.nameOf(inner) };
          // A member with a default is one that may be left out; null says that it has no value.
          return isOptional ? { ...member, default: null } : member;
        });
        return this.#number({ "meta-type": "object", members });
      }
      case "either": {
        const members = shape.options.map((option) => ({ type: this.nameOf(option) }));
        return this.#number({ "meta-type": "alternate", members });
      }
    }
  }

  #number(description: Readonly<Record<string, unknown>> & { "meta-type": string }): string {
    return this.#add(JSON.stringify(description), () => String(this.#names.size), description);
  }

  #add(
    key: string,
    makeName: () => string,
    description: Readonly<Record<string, unknown>> & { readonly "meta-type": string },
  ): string {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = makeName();
    this.#names.set(key, name);
    this.entries.push({ name, ...description });
    return name;
  }
}

/** Every command and event, and the types that they need. */
export function introspect(commands: readonly Command[]): readonly SchemaInfo[] {
  const types = new Types();
  const described: SchemaInfo[] = commands.map((each) => ({
    name: each.name,
    "meta-type": "command",
    "arg-type": types.nameOf(shapeOf(each.argumentSchema)),
    "ret-type": types.nameOf(shapeOf(each.resultSchema)),
    "allow-oob": false,
  }));
  for (const [name, { data }] of Object.entries(eventDeclarations)) {
    described.push({ name, "meta-type": "event", "arg-type": types.nameOf(shapeOf(data)) });
  }
  return [...described, ...types.entries];
}
