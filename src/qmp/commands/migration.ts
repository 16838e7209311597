// migrate, its state and its end: saves a machine as a template, from which others start.

import * as v from "valibot";
import { command, empty } from "../command.ts";
import { type MigrationState, migrationStatuses } from "../machine_control.ts";
import { QmpError } from "../protocol.ts";

const FILE_SCHEME = "file:";

/** The folder of a uri; what else upstream knows needs another board (behaviour 5.3). */
function folderOf(uri: string): string {
  const folder = uri.startsWith(FILE_SCHEME) ? uri.slice(FILE_SCHEME.length) : "";
  if (folder !== "") return folder;
  throw new QmpError(
    "GenericError",
    `Bad argument 'uri' of 'migrate': this machine is saved to a folder, expected file:DIR, ` +
      `but got ${JSON.stringify(uri)}.`,
  );
}

/** What query-migrate answers; bytes are those of guest memory. */
const state = v.strictObject({
  status: v.picklist(migrationStatuses),
  ram: v.optional(
    v.strictObject({ transferred: v.number(), remaining: v.number(), total: v.number() }),
  ),
  "error-desc": v.optional(v.string()),
});

function answerOf({ status, ram, sentence }: MigrationState): v.InferOutput<typeof state> {
  const bytes = ram && {
    transferred: ram.writtenBytes,
    remaining: ram.totalBytes - ram.writtenBytes,
    total: ram.totalBytes,
  };
  return {
    status,
    ...(bytes !== undefined && { ram: bytes }),
    ...(sentence !== undefined && { "error-desc": sentence }),
  };
}

const flag = v.optional(v.boolean());

export const migrationCommands = [
  command({
    name: "migrate",
    help:
      "Pauses the guest and begins to save it to a folder, for -incoming; it stays paused. " +
      "query-migrate tells how far it is. Other than uri, arguments have no effect.",
    args: v.strictObject({ uri: v.string(), blk: flag, inc: flag, detach: flag }),
    result: empty,
    run: async ({ control }, { uri }) => {
      await control.migrate(folderOf(uri));
      return { result: {} };
    },
  }),
  command({
    name: "query-migrate",
    help: "What became of the last migrate: bytes of guest memory, and why it failed.",
    args: empty,
    result: state,
    run: ({ control }) => ({ result: answerOf(control.migration()) }),
  }),
  command({
    name: "migrate_cancel",
    help: "Ends a migrate that is under way; the guest runs again if it ran before.",
    args: empty,
    result: empty,
    run: ({ control }) => {
      control.cancelMigration();
      return { result: {} };
    },
  }),
];
