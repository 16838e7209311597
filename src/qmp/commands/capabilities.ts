// What libvirt asks about before it starts a machine. What a microvm never has is an empty list;
// what it has comes from the declarations of the options.

import * as v from "valibot";
import { type Command, command, empty } from "../command.ts";
import { QmpError } from "../protocol.ts";

const none = v.pipe(v.array(v.unknown()), v.maxLength(0));

function emptyList(name: string, help: string): Command {
  return command({ name, help, args: empty, result: none, run: () => ({ result: [] }) });
}

const optionInfo = v.strictObject({
  option: v.string(),
  parameters: v.array(
    v.strictObject({
      name: v.string(),
      type: v.picklist(["string", "boolean", "number", "size"]),
      help: v.optional(v.string()),
      default: v.optional(v.string()),
    }),
  ),
});

const propertyInfo = v.strictObject({
  name: v.string(),
  type: v.string(),
  description: v.optional(v.string()),
  "default-value": v.optional(v.union([v.string(), v.number(), v.boolean()])),
});

export const capabilityCommands = [
  command({
    name: "query-command-line-options",
    help: "The options that have keys, with those keys.",
    args: v.strictObject({ option: v.optional(v.string()) }),
    result: v.array(optionInfo),
    run: async (_, { option }) => {
      const { optionList } = await import("../option_list.ts");
      const result = optionList(option);
      if (result.length > 0) return { result };
      throw new QmpError("GenericError", `There is no option '${option}' that has keys.`);
    },
  }),
  command({
    name: "qom-list-types",
    help: "The drivers of -device and the types of -object that this build has.",
    args: v.strictObject({
      implements: v.optional(v.string()),
      abstract: v.optional(v.boolean()),
    }),
    result: v.array(v.strictObject({ name: v.string(), parent: v.string() })),
    run: async (_, { implements: parent }) => {
      const { typeList } = await import("../option_list.ts");
      return { result: typeList(parent) };
    },
  }),
  command({
    name: "device-list-properties",
    help: "The keys of a driver.",
    args: v.strictObject({ typename: v.string() }),
    result: v.array(propertyInfo),
    run: async (_, { typename }) => {
      const { propertyList } = await import("../option_list.ts");
      const result = propertyList(typename);
      if (result !== undefined) return { result };
      const sentence = `The driver '${typename}' is unknown; qom-list-types lists them.`;
      throw new QmpError("DeviceNotFound", sentence);
    },
  }),
  command({
    name: "qom-list",
    help: "The objects below a path, of which none are published.",
    args: v.strictObject({ path: v.string() }),
    result: none,
    run: () => ({ result: [] }),
  }),
  command({
    name: "qom-get",
    help: "A property of an object, of which none are published.",
    args: v.strictObject({ path: v.string(), property: v.string() }),
    result: none,
    run: () => ({ result: [] }),
  }),
  emptyList("query-block", "The block devices, which are not published here."),
  emptyList("query-blockstats", "The statistics of block devices, which are not published here."),
  emptyList("query-named-block-nodes", "The block nodes, which are not published here."),
  emptyList("query-block-jobs", "The running block jobs, of which there are none."),
  emptyList("query-migrate-capabilities", "The switches of migration, of which there are none."),
  emptyList("query-tpm-models", "The models of TPM, of which there are none."),
  emptyList("query-tpm-types", "The back ends of TPM, of which there are none."),
  emptyList("query-gic-capabilities", "The choices of interrupt controllers on aarch64."),
  command({
    name: "query-sev-capabilities",
    help: "The encryption of guest memory, of which there is none.",
    args: empty,
    result: empty,
    run: () => ({ result: {} }),
  }),
  command({
    name: "block-commit",
    help: "Accepted without effect: a raw image has no layers.",
    args: v.strictObject({
      device: v.string(),
      "job-id": v.optional(v.string()),
      base: v.optional(v.string()),
      top: v.optional(v.string()),
    }),
    result: empty,
    run: () => ({ result: {} }),
  }),
];
