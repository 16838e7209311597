// What a schema of an argument or a result looks like, apart from the library that checks it: the
// one place that knows how valibot keeps its schemas.

import type * as v from "valibot";

export type Shape =
  | { readonly kind: "string" | "integer" | "boolean" | "any" }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "list"; readonly element: Shape; readonly maxLength?: number }
  | { readonly kind: "object"; readonly members: readonly Member[]; readonly open: boolean }
  | { readonly kind: "either"; readonly options: readonly Shape[] };

export interface Member {
  readonly name: string;
  readonly shape: Shape;
  readonly isOptional: boolean;
}

/** The parts of valibot's schemas that are looked at, by their `type`. */
interface Parts {
  readonly type: string;
  readonly entries?: Readonly<Record<string, v.GenericSchema>>;
  readonly item?: v.GenericSchema;
  readonly wrapped?: v.GenericSchema;
  readonly options?: readonly unknown[];
  readonly pipe?: readonly { readonly type: string; readonly requirement?: unknown }[];
}

/** Throws for a kind of schema that no command has needed so far. */
export function shapeOf(schema: v.GenericSchema): Shape {
  const parts = schema as unknown as Parts;
  switch (parts.type) {
    case "string":
    case "boolean":
      return { kind: parts.type };
    case "number":
      return { kind: "integer" };
    case "unknown":
      return { kind: "any" };
    case "picklist":
      return { kind: "choice", choices: (parts.options ?? []).map(String) };
    case "array":
      return listShape(parts);
    case "strict_object":
      return { kind: "object", members: membersOf(parts), open: false };
    case "record":
      return { kind: "object", members: [], open: true };
    case "union":
      return { kind: "either", options: (parts.options as v.GenericSchema[]).map(shapeOf) };
    case "optional":
      if (parts.wrapped !== undefined) return shapeOf(parts.wrapped);
  }
  throw new Error(`a schema of the kind '${parts.type}' has no shape yet`);
}

function listShape({ item, pipe }: Parts): Shape {
  const element: Shape = item === undefined ? { kind: "any" } : shapeOf(item);
  const limit = pipe?.find(({ type }) => type === "max_length")?.requirement;
  return typeof limit === "number"
    ? { kind: "list", element, maxLength: limit }
    : { kind: "list", element };
}

function membersOf({ entries = {} }: Parts): Member[] {
  return Object.entries(entries).map(([name, entry]) => ({
    name,
    shape: shapeOf(entry),
    isOptional: entry.type === "optional",
  }));
}
