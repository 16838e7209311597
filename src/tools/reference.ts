// stratovirt reference: what the build also writes beside the executables.

import { UserError } from "../errors.ts";
import { optionsJsonSchema } from "../options/json_schema.ts";
import { didYouMean } from "../options/suggest.ts";
import { commandTable } from "../qmp/commands/registry.ts";
import { protocolJsonSchema } from "../qmp/schema/json_schema.ts";
import { qmpReference } from "../qmp/schema/reference.ts";
import { manualPage } from "./manual.ts";

interface Topic {
  /** Its name among the files of a build. */
  readonly file: string;
  readonly text: () => string;
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

export const referenceTopics: Readonly<Record<string, Topic>> = {
  qmp: { file: "qmp.md", text: () => qmpReference(commandTable.commands) },
  "qmp-schema": {
    file: "qmp.schema.json",
    text: () => json(protocolJsonSchema(commandTable.commands)),
  },
  "options-schema": { file: "options.schema.json", text: () => json(optionsJsonSchema()) },
  manual: { file: "stratovirt.1", text: manualPage },
};

/** The text of a topic without a final line feed; a UserError for an unknown one. */
export function reference(topic: string): string {
  const found = Object.hasOwn(referenceTopics, topic) ? referenceTopics[topic] : undefined;
  if (found !== undefined) return found.text().trimEnd();
  const known = Object.keys(referenceTopics);
  const hint = didYouMean(topic, known, `Use ${known.join(", ")}.`);
  throw new UserError(`There is no reference '${topic}'.${hint}`);
}
