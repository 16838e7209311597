// Program of full_template_disk.ts: saves a machine to the folder in argv[2], once with little
// memory in use and once with more than there is room for, and prints what came of that.

import { readdirSync } from "node:fs";
import { openTemplate } from "../../src/machine/snapshot/template.ts";
import type { FullTemplateReport } from "./full_template_disk.ts";
import { TemplateMachine } from "./template_machine.ts";

const folder = process.argv[2] ?? "";

function idOf(): string {
  const template = openTemplate(folder);
  template.close();
  return template.manifest.id;
}

const machine = await TemplateMachine.start("");
await machine.save(folder);
machine.machine.resume();
machine.events.length = 0;
const before = idOf();
machine.assembly.core.writeMemory(0, new Uint8Array(2 ** 22).fill(1));
const state = await machine.save(folder);
const report: FullTemplateReport = {
  state,
  runState: machine.machine.status(),
  events: machine.events,
  files: readdirSync(folder).toSorted(),
  isOldTemplate: idOf() === before,
};
console.log(JSON.stringify(report));
process.exit();
