// Constructs that are not used here, each with what is used instead. Where one is needed all the
// same, the path is listed with its reason.

import type { Code, Finding } from "../code.ts";
import { type Exceptions, isZigTest, type Rule, withoutExcepted } from "../rule.ts";
import { C_CALLS, C_EXPORTS, ERASED_POINTERS, GLOBALS, RUNTIME_EXPORTS } from "./zig_exceptions.ts";

interface Ban {
  readonly kind: string;
  readonly instead: string;
  readonly except?: Exceptions;
  /** Where alone it is banned; everywhere without. */
  readonly only?: (path: string) => boolean;
}

const isControlPlane = (path: string) => path.startsWith("src/");
const isTest = (path: string) => path.startsWith("tests/");
const isDataPlane = (path: string) => path.startsWith("zig/") && !isZigTest(path);

const PRINTS: Exceptions = {
  "src/program.ts": "the program's own words to the user: help, version, the sentence of an error",
  "src/ozone/ozone.ts":
    "the program's own words to the user: help, version, the sentence of an error",
};

const BANS: readonly Ban[] = [
  { kind: "any", instead: "`unknown` and a check" },
  { kind: "non-null !", instead: "a check that returns or throws" },
  { kind: "default export", instead: "a named export" },
  { kind: "require(", instead: "import" },
  { kind: "enum", instead: "a union of strings, or a constant object" },
  { kind: "namespace", instead: "a module" },
  {
    kind: "console.log",
    instead: "the log (src/host/log.ts)",
    only: isControlPlane,
    except: PRINTS,
  },
  { kind: "console.error", instead: "a UserError", only: isControlPlane, except: PRINTS },
  {
    kind: "process.exit",
    instead: "an exit code that is returned, so that everything is given back",
    only: isControlPlane,
    except: {
      "src/program.ts": "the last line of stratovirt",
      "src/ozone.ts": "the last line of ozone",
    },
  },
  { kind: "sleep", instead: "awaiting the condition", only: isTest },
  { kind: "branch in a test", instead: "one test a case, or a table" },
  {
    kind: "comparison with a board's name",
    instead: "a value of the board (src/machine/boards)",
    only: (path) => path.startsWith("src/machine/") && !path.startsWith("src/machine/boards/"),
  },
  { kind: "std.debug.print", instead: "an error or a counter", only: isDataPlane },
  { kind: "std.fs", instead: "std.os.linux", only: isDataPlane },
  { kind: "std.Io", instead: "std.os.linux", only: isDataPlane },
  { kind: "@cImport", instead: "an extern struct whose size is asserted" },
  { kind: "anyopaque", instead: "a typed pointer", only: isDataPlane, except: ERASED_POINTERS },
  {
    kind: "global variable",
    instead: "a field of the core, of which a process may have many",
    only: isDataPlane,
    except: GLOBALS,
  },
  {
    kind: "export",
    instead: "a function of zig/abi/",
    only: isDataPlane,
    except: RUNTIME_EXPORTS,
  },
  { kind: "@export", instead: "a function of zig/abi/", only: isDataPlane, except: C_EXPORTS },
  { kind: "callconv(.c)", instead: "Zig's own calls", only: isDataPlane, except: C_CALLS },
];

/** Zig's ways to drop an error or an absence, which a comment beside them must justify. */
const JUSTIFIED = ["catch unreachable", "orelse unreachable", "catch {}"];

function banRule(ban: Ban): Rule {
  return {
    name: `${ban.kind}: use ${ban.instead}`,
    check: (project) => {
      const found = project
        .filter(({ source }) => ban.only?.(source.path) ?? true)
        .flatMap((code) =>
          code.findings
            .filter(({ kind }) => kind === ban.kind)
            .map(({ line }) => ({ source: code.source, line, text: ban.kind })),
        );
      return withoutExcepted(found, ban.except ?? {});
    },
  };
}

function isJustified({ comments }: Code, { line }: Finding): boolean {
  return comments.some((comment) => comment.line === line || comment.line === line - 1);
}

export const banRules: readonly Rule[] = [
  ...BANS.map(banRule),
  {
    name: "an error that is dropped has a comment that says why it cannot matter",
    check: (project) =>
      project
        .filter(({ source }) => isDataPlane(source.path))
        .flatMap((code) =>
          code.findings
            .filter((finding) => JUSTIFIED.includes(finding.kind) && !isJustified(code, finding))
            .map(({ line, kind }) => `${code.source.path}:${line}: ${kind} without a reason`),
        ),
  },
];
