// How a command is declared, and how a request finds and runs one.

import * as v from "valibot";
import { messageOf } from "../errors.ts";
import { didYouMean } from "../options/suggest.ts";
import { tracePoint } from "../trace_point.ts";
import type { MachineControl } from "./machine_control.ts";
import { errorReply, QmpError, successReply } from "./protocol.ts";

/** What a command may look at. */
export interface CommandContext {
  readonly control: MachineControl;
  readonly version: string;
  /** The descriptor that came with this request; it is the caller's. Undefined: none did. */
  takeDescriptor(): number | undefined;
  /** All commands, for what describes them. */
  readonly commands: readonly Command[];
}

type ArgumentSchema = v.StrictObjectSchema<v.ObjectEntries, undefined>;
type ResultSchema = v.GenericSchema;

export interface CommandResult<R> {
  readonly result: R;
  /** Runs when the reply has been handed to the socket. */
  readonly afterReply?: () => void | Promise<void>;
}

export interface Command {
  readonly name: string;
  readonly help: string;
  readonly argumentSchema: ArgumentSchema;
  readonly resultSchema: ResultSchema;
  run(
    context: CommandContext,
    args: unknown,
  ): CommandResult<unknown> | Promise<CommandResult<unknown>>;
}

/** The schema of commands that take no arguments, or return nothing. */
export const empty = v.strictObject({});

interface Declaration<A extends ArgumentSchema, R extends ResultSchema> {
  readonly name: string;
  readonly help: string;
  readonly args: A;
  readonly result: R;
  run(
    context: CommandContext,
    args: v.InferOutput<A>,
  ): CommandResult<v.InferOutput<R>> | Promise<CommandResult<v.InferOutput<R>>>;
}

/** Declares a command; `run` gets checked arguments. */
export function command<A extends ArgumentSchema, R extends ResultSchema>(
  declaration: Declaration<A, R>,
): Command {
  const { name, help, args, result } = declaration;
  return {
    name,
    help,
    argumentSchema: args,
    resultSchema: result,
    run: (context, given) => declaration.run(context, parseArguments(name, args, given)),
  };
}

function parseArguments<A extends ArgumentSchema>(
  name: string,
  schema: A,
  given: unknown,
): v.InferOutput<A> {
  const known = Object.keys(schema.entries);
  for (const key of Object.keys((given ?? {}) as object)) {
    if (known.includes(key)) continue;
    const list = known.length === 0 ? "It takes none." : `Known: ${known.join(", ")}.`;
    const sentence = `Unknown argument '${key}' of '${name}'.${didYouMean(key, known, list)}`;
    throw new QmpError("GenericError", sentence);
  }
  const parsed = v.safeParse(schema, given ?? {});
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  const path = v.getDotPath(issue) ?? "arguments";
  if (issue.input === undefined) {
    const wanted = schema.entries[path]?.expects;
    const kind = wanted === undefined ? "" : `, expected ${wanted}`;
    throw new QmpError("GenericError", `The argument '${path}' of '${name}' is missing${kind}.`);
  }
  const expected = `expected ${expectation(issue)}, but got ${issue.received}`;
  throw new QmpError("GenericError", `Bad argument '${path}' of '${name}': ${expected}.`);
}

/** What would have been right, in words: valibot's are ">=0", a regular expression, or none. */
function expectation({ type, expected }: v.BaseIssue<unknown>): string {
  if (type === "integer") return "a whole number";
  if (type === "regex") return "a hexadecimal number";
  const words = expected ?? "another value";
  return words.replace(/^>=/, "at least ").replace(/^<=/, "at most ");
}

/** A reply ready to send, and what follows it. */
export interface Answer {
  readonly reply: string;
  readonly succeeded: boolean;
  readonly afterReply?: () => void | Promise<void>;
}

const requestKeys = ["execute", "arguments", "id"];

interface Request {
  readonly execute: string;
  readonly args: unknown;
}

function readRequest(message: Readonly<Record<string, unknown>>): Request {
  for (const key of Object.keys(message)) {
    if (requestKeys.includes(key)) continue;
    const hint = didYouMean(key, requestKeys, "Known: execute, arguments, id.");
    throw new QmpError("GenericError", `Unknown key '${key}' of a request.${hint}`);
  }
  const { execute, arguments: args } = message;
  if (typeof execute !== "string") {
    throw new QmpError("GenericError", "A request needs 'execute' with the name of a command.");
  }
  if (args !== undefined && (typeof args !== "object" || args === null || Array.isArray(args))) {
    throw new QmpError("GenericError", `The 'arguments' of '${execute}' must be a JSON object.`);
  }
  return { execute, args };
}

/** Finds commands by name and answers requests; never throws. */
export class CommandTable {
  readonly #commands: ReadonlyMap<string, Command>;
  readonly #absent: ReadonlyMap<string, string>;

  /** `absent` are commands that this board cannot have, each with the reason. */
  constructor(commands: readonly Command[], absent: Readonly<Record<string, string>> = {}) {
    this.#commands = new Map(commands.map((declared) => [declared.name, declared]));
    this.#absent = new Map(Object.entries(absent));
  }

  get commands(): readonly Command[] {
    return [...this.#commands.values()];
  }

  /** Answers the text of one request. */
  async answer(context: CommandContext, text: string): Promise<Answer> {
    let message: Readonly<Record<string, unknown>>;
    try {
      message = JSON.parse(text);
    } catch (error) {
      const sentence = `Bad JSON: ${messageOf(error)}.`;
      return { reply: errorReply("GenericError", sentence), succeeded: false };
    }
    const id = idText(message, text);
    try {
      const { execute, args } = readRequest(message);
      const { result, afterReply } = await this.#find(execute).run(context, args);
      tracePoint("qmp_command", { command: execute, answer: "return" });
      const answer = { reply: successReply(result, id), succeeded: true };
      return afterReply === undefined ? answer : { ...answer, afterReply };
    } catch (error) {
      const errorClass = error instanceof QmpError ? error.errorClass : "GenericError";
      tracePoint("qmp_command", { command: String(message.execute), answer: errorClass });
      return { reply: errorReply(errorClass, messageOf(error), id), succeeded: false };
    }
  }

  #find(name: string): Command {
    const found = this.#commands.get(name);
    if (found !== undefined) return found;
    const reason = this.#absent.get(name);
    if (reason !== undefined) {
      const sentence = `The command '${name}' does not apply to this board: ${reason}.`;
      throw new QmpError("CommandNotFound", sentence);
    }
    const hint = didYouMean(name, [...this.#commands.keys()], "query-commands lists them.");
    throw new QmpError("CommandNotFound", `The command '${name}' is unknown.${hint}`);
  }
}

/** The id of a request that is refused unread, if it can be found, as JSON. */
export function idOf(text: string): string | undefined {
  try {
    return idText(JSON.parse(text), text);
  } catch {
    return undefined;
  }
}

/** The id of a message as JSON: a number keeps digits that this language would round. */
function idText({ id }: Readonly<Record<string, unknown>>, text: string): string | undefined {
  const isExact = typeof id !== "number" || Number.isSafeInteger(id);
  return (isExact ? undefined : numberText(text)) ?? JSON.stringify(id);
}

/** The text of a number that is the member `id` of the outermost object. */
function numberText(text: string): string | undefined {
  const texts = new Map<unknown, string>();
  function note(
    this: unknown,
    key: string,
    value: unknown,
    context?: { source?: string },
  ): unknown {
    if (key === "id" && context?.source !== undefined) texts.set(this, context.source);
    return value;
  }
  return texts.get(JSON.parse(text, note));
}
