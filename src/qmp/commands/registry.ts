// Every command; a new file of commands adds its line here.

import { CommandTable } from "../command.ts";
import { absentCommands } from "./absent.ts";
import { boardCommands } from "./board.ts";
import { capabilityCommands } from "./capabilities.ts";
import { descriptorCommands } from "./descriptors.ts";
import { hotReplaceCommands } from "./hot_replace.ts";
import { introspectionCommands } from "./introspection.ts";
import { inventoryCommands } from "./inventory.ts";
import { lifeCycleCommands } from "./life_cycle.ts";
import { memoryCommands } from "./memory.ts";
import { migrationCommands } from "./migration.ts";
import { traceCommands } from "./trace.ts";

export const commandTable = new CommandTable(
  [
    ...lifeCycleCommands,
    ...migrationCommands,
    ...introspectionCommands,
    ...inventoryCommands,
    ...memoryCommands,
    ...boardCommands,
    ...descriptorCommands,
    ...hotReplaceCommands,
    ...capabilityCommands,
    ...traceCommands,
  ],
  absentCommands,
);
