// Who may import whom: imports run downward only, and the boundary is crossed in one folder.

import { posix } from "node:path";
import { type Code, type Import, violation } from "../code.ts";
import { type Exceptions, isZigTest, type Rule, withoutExcepted } from "../rule.ts";

/** What each folder of src may import beside itself and the leaves; lower folders come first. */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  options: [],
  firmware: [],
  boot: ["firmware"],
  // A boot file is what a boot plan reads, opened.
  backends: ["core", "options", "boot"],
  devices: ["core", "options", "backends"],
  qmp: ["options"],
  host: ["core", "options"],
  machine: ["core", "options", "firmware", "boot", "backends", "devices", "qmp", "host"],
  ozone: ["core", "options"],
  tools: ["core", "options", "qmp"],
};

/** Importable from everywhere. */
const LEAVES = [
  "src/builtin.ts",
  "src/errors.ts",
  "src/version.ts",
  "src/files.ts",
  "src/private_socket.ts",
  "src/trace_point.ts",
  "package.json",
];

/** The layers of the data plane, lowest first; the first prefix that fits a file counts. */
const LAYERS: readonly (readonly string[])[] = [
  ["zig/limits.zig", "zig/errors.zig"],
  [
    "zig/kernel/",
    "zig/blob.zig",
    "zig/lock.zig",
    "zig/thread.zig",
    "zig/trace/",
    "zig/io/doorbell.zig",
  ],
  [
    "zig/memory/",
    "zig/io/",
    "zig/host/",
    "zig/abi_scalars.zig",
    "zig/seccomp.zig",
    "zig/seccomp_violation.zig",
    "zig/last_line.zig",
    "zig/bus/outcome.zig",
    "zig/bus/interrupt.zig",
  ],
  [
    "zig/virtio/",
    "zig/vhost_user/",
    "zig/block/",
    "zig/devices/platform/",
    "zig/devices/virtio/",
    "zig/devices/registry.zig",
    "zig/devices/saved_state.zig",
  ],
  ["zig/bus/", "zig/vcpu/", "zig/devices/table.zig"],
  ["zig/core.zig"],
  ["zig/"],
];

const UPWARD: Exceptions = {
  "zig/devices/table.zig": "makes devices from what the core owns: loops, memory, lines",
};

const OTHER_DEVICES: Exceptions = {
  "zig/devices/virtio/body.zig": "the list of all virtio devices, made without a table of pointers",
  "zig/devices/virtio/vhost_user.zig": "a network has virtio-net's control queue",
  "zig/devices/virtio/vhost_user_fuzz.zig": "a network has virtio-net's control queue",
  "zig/devices/virtio/vhost_user_kind.zig": "a network has virtio-net's config space",
};

const FFI: Exceptions = {
  "tests/static/probe/program.ts": "tests the loader of the static executable itself",
  "tests/support/libc.ts": "system calls of tests, which have nothing to do with the core",
};

const PURE = ["src/options/", "src/firmware/"];

/** A path within the project, or a package or builtin module as written. */
export function resolveImport(code: Code, { module }: Import): string {
  const isRelative = module.startsWith(".") || code.source.language === "zig";
  if (!isRelative || !module.includes(".")) return module;
  return posix.join(posix.dirname(code.source.path), module);
}

function folderOf(path: string): string {
  const [top, folder, rest] = path.split("/");
  return top === "src" && rest !== undefined ? (folder ?? "") : "";
}

function isPathIn(path: string, tree: string): boolean {
  return path.startsWith(`${tree}/`);
}

interface Edge {
  readonly code: Code;
  readonly line: number;
  readonly target: string;
}

function edges(project: readonly Code[], tree: string): Edge[] {
  return project
    .filter(({ source }) => isPathIn(source.path, tree))
    .flatMap((code) =>
      code.imports.map((each) => ({ code, line: each.line, target: resolveImport(code, each) })),
    );
}

function mayImport(from: string, target: string): boolean {
  if (LEAVES.includes(target) || !target.includes("/") || target.startsWith("node:")) return true;
  if (!target.endsWith(".ts")) return !target.startsWith("src/");
  const folder = folderOf(from);
  const targetFolder = folderOf(target);
  if (!isPathIn(target, "src")) return false;
  if (folder === "" || folder === targetFolder) return true;
  return FOLDERS[folder]?.includes(targetFolder) ?? false;
}

function layerOf(path: string): number {
  return LAYERS.findIndex((prefixes) => prefixes.some((prefix) => path.startsWith(prefix)));
}

/** `blk_request` belongs to `blk`; `src/devices/virtio/net` is another device than `blk`. */
function deviceOf(path: string): string | undefined {
  return /\/devices\/\w+\/([a-z0-9]+)/.exec(path)?.[1];
}

export const layerRules: readonly Rule[] = [
  {
    name: "folders of src import downward only",
    check: (project) =>
      edges(project, "src")
        .filter(({ code, target }) => !mayImport(code.source.path, target))
        .map(({ code, line, target }) => violation(code.source, line, `may not import ${target}`)),
  },
  {
    name: "each permission to import is used, and none makes a circle",
    check: (project) => {
      const used = edges(project, "src").map(
        ({ code, target }) => `${folderOf(code.source.path)} -> ${folderOf(target)}`,
      );
      const order = Object.keys(FOLDERS);
      return Object.entries(FOLDERS).flatMap(([folder, targets]) =>
        targets
          .filter(
            (target) =>
              order.indexOf(target) >= order.indexOf(folder) ||
              !used.includes(`${folder} -> ${target}`),
          )
          .map((target) => `${folder} -> ${target} is permitted, but unused or upward`),
      );
    },
  },
  {
    name: "options and firmware are pure: text and numbers in, values and bytes out",
    check: (project) =>
      project
        .filter(({ source }) => PURE.some((folder) => source.path.startsWith(folder)))
        .flatMap((code) => [
          ...code.imports
            .filter(({ module }) => module.startsWith("node:") || module.startsWith("bun"))
            .map(({ line, module }) => violation(code.source, line, `imports ${module}`)),
          ...code.findings
            .filter(({ kind }) => kind === "the host")
            .map(({ line }) => violation(code.source, line, "asks the host")),
        ]),
  },
  {
    name: "only src/core crosses the boundary",
    check: (project) => {
      const found = project
        .filter(({ source }) => !source.path.startsWith("src/core/"))
        .flatMap(({ source, imports }) =>
          imports
            .filter(({ module }) => module === "bun:ffi")
            .map(({ line }) => ({ source, line, text: "imports bun:ffi: call a method of Core" })),
        );
      return withoutExcepted(found, FFI);
    },
  },
  {
    name: "devices do not import each other",
    check: (project) => {
      const found = [...edges(project, "src"), ...edges(project, "zig")]
        .filter(({ code: { source }, target }) => {
          const [own, other] = [deviceOf(source.path), deviceOf(target)];
          return own !== undefined && other !== undefined && own !== other;
        })
        .map(({ code: { source }, line, target }) => ({ source, line, text: `imports ${target}` }));
      return withoutExcepted(found, OTHER_DEVICES);
    },
  },
  {
    name: "layers of zig import downward only",
    check: (project) => {
      const found = edges(project, "zig")
        .filter(({ code: { source }, target }) => {
          const isOwn = isPathIn(target, "zig") && !isZigTest(source.path);
          return isOwn && layerOf(target) > layerOf(source.path);
        })
        .map(({ code: { source }, line, target }) => ({ source, line, text: `imports ${target}` }));
      return withoutExcepted(found, UPWARD);
    },
  },
];
