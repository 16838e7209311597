// The options that shape board, processors and memory (behaviour of chapter 1 of the guidebook).

import type { Keys, OptionSchema, Variants } from "../schema.ts";
import { boolean, choice, id, integer, numberList, path, size, text } from "../schema.ts";

const GiB = 1024 ** 3;
const memoryLimits = { min: 128 * 1024 ** 2, max: 512 * GiB } as const;
export const maxCpuCount = 254;

const acceleratorType = choice("kvm", "kvm:tcg", "test");

export const machineKeys = {
  type: {
    type: choice("microvm", "none", "q35", "virt"),
    help: "the board; none answers QMP queries without a machine",
    positional: true,
    default: "microvm",
    supportedValues: ["microvm", "none"],
  },
  "dump-guest-core": { type: boolean, help: "guest memory in core dumps", default: true },
  "mem-share": { type: boolean, help: "guest memory shared with other processes", default: false },
  accel: { type: acceleratorType, help: "what runs the processors; test runs none" },
  usb: { type: choice("off"), help: "accepted for libvirt", default: "off" },
  acpi: { type: boolean, help: "describe the board by ACPI tables", default: true },
  pit: {
    type: choice("auto", "on", "off"),
    help: "the timer of a PC; auto: only without ACPI, which says that there is none",
    default: "auto",
  },
  replaceable: {
    type: choice("auto", "on", "off"),
    help: "empty slots for disks and networks that QMP fills; auto: with QMP or -incoming",
    default: "auto",
  },
  "gic-version": { type: integer(3, 3), help: "aarch64 interrupt controller", supported: false },
} as const satisfies Keys;

const countOrAuto = integer(0, maxCpuCount);

export const smpKeys = {
  cpus: { type: integer(1, maxCpuCount), help: "processors", positional: true, required: true },
  maxcpus: { type: countOrAuto, help: "most processors; 0 follows the topology", default: 0 },
  sockets: { type: countOrAuto, help: "sockets; 0 is automatic", default: 0 },
  dies: { type: integer(1, maxCpuCount), help: "dies a socket", default: 1 },
  clusters: { type: integer(1, maxCpuCount), help: "clusters a die", default: 1 },
  cores: { type: countOrAuto, help: "cores a cluster; 0 is automatic", default: 0 },
  threads: { type: countOrAuto, help: "threads a core; 0 is automatic", default: 0 },
} as const satisfies Keys;

export const cpuKeys = {
  family: { type: choice("host"), help: "processor model", positional: true, default: "host" },
  pmu: { type: boolean, help: "performance counters (acts on aarch64 only)", default: false },
  sve: {
    type: boolean,
    help: "scalable vectors (aarch64)",
    default: false,
    supportedValues: [false],
  },
  "kvm-steal-time": {
    type: boolean,
    help: "stolen time shown to the guest (aarch64)",
    default: false,
    supportedValues: [false],
  },
} as const satisfies Keys;

const memorySize = size(memoryLimits.min, memoryLimits.max);

export const globalKeys = {
  "pcie-root-port.fast-unplug": { type: integer(0, 1), help: "unplug without delay" },
} as const satisfies Keys;

export const memoryKeys = {
  size: {
    type: memorySize,
    help: "guest memory, MiB without unit",
    positional: true,
    required: true,
  },
  maxmem: { type: memorySize, help: "most memory after hotplug", supported: false },
} as const satisfies Keys;

export const numaVariants = {
  node: {
    help: "a node with processors and memory",
    keys: {
      nodeid: { type: integer(0, 127), help: "number of the node" },
      cpus: { type: numberList, help: "its processors" },
      memdev: { type: id, help: "its memory back end" },
    },
  },
  dist: {
    help: "the distance between two nodes",
    keys: {
      src: { type: integer(0, 127), help: "from node", required: true },
      dst: { type: integer(0, 127), help: "to node", required: true },
      val: { type: integer(10, 255), help: "10 is local", required: true },
    },
  },
} as const satisfies Variants;

const word = (help: string) => ({ type: text("TEXT"), help }) as const;

const smbiosVariants = {
  "0": {
    help: "firmware",
    keys: { vendor: word("maker"), version: word("version"), date: word("release date") },
  },
  "1": {
    help: "system",
    keys: {
      manufacturer: word("maker"),
      product: word("name"),
      version: word("version"),
      serial: word("serial number"),
      uuid: word("36 characters"),
      sku: word("stock number"),
      family: word("family"),
    },
  },
  "2": {
    help: "main board",
    keys: {
      manufacturer: word("maker"),
      product: word("name"),
      version: word("version"),
      serial: word("serial number"),
      asset: word("asset tag"),
      location: word("place in the chassis"),
    },
  },
  "3": {
    help: "chassis",
    keys: {
      manufacturer: word("maker"),
      version: word("version"),
      serial: word("serial number"),
      asset: word("asset tag"),
      sku: word("stock number"),
    },
  },
  "4": {
    help: "processor",
    keys: {
      sock_pfx: word("socket name prefix"),
      manufacturer: word("maker"),
      version: word("version"),
      serial: word("serial number"),
      asset: word("asset tag"),
      part: word("part number"),
      "max-speed": { type: integer(0, 65535), help: "MHz" },
      "current-speed": { type: integer(0, 65535), help: "MHz" },
    },
  },
  "17": {
    help: "memory module",
    keys: {
      loc_pfx: word("slot name prefix"),
      bank: word("bank"),
      manufacturer: word("maker"),
      serial: word("serial number"),
      asset: word("asset tag"),
      part: word("part number"),
      speed: { type: integer(0, 65535), help: "MT/s" },
    },
  },
} as const satisfies Variants;

const group = "Machine";

export const machineOptions: readonly OptionSchema[] = [
  { name: "name", group, help: "name of the machine", shape: "value", type: text("NAME") },
  { name: "machine", group, help: "board and accelerator", shape: "keys", keys: machineKeys },
  { name: "accel", group, help: "as accel= of -machine", shape: "value", type: acceleratorType },
  { name: "smp", group, help: "processors and topology (default 1)", shape: "keys", keys: smpKeys },
  { name: "cpu", group, help: "processor features", shape: "keys", keys: cpuKeys },
  { name: "m", group, help: "guest memory (default 256M)", shape: "keys", keys: memoryKeys },
  {
    name: "mem-path",
    group,
    help: "file or directory behind guest memory",
    shape: "value",
    type: path,
  },
  { name: "mem-prealloc", group, help: "touch memory before the start", shape: "flag" },
  {
    name: "numa",
    group,
    help: "memory nodes",
    repeatable: true,
    shape: "variants",
    selector: "type",
    variants: numaVariants,
  },
  {
    name: "smbios",
    group,
    help: "texts of the SMBIOS tables",
    repeatable: true,
    shape: "variants",
    selector: "type",
    variants: smbiosVariants,
    supported: false,
  },
  {
    name: "hardware-signature",
    group,
    help: "signature in the ACPI FACS",
    shape: "value",
    type: integer(0, 0xffff_ffff),
    supported: false,
  },
  { name: "battery", group, help: "battery and mains adapter", shape: "flag", supported: false },
  {
    name: "global",
    group,
    help: "settings of a whole class of devices; a microvm has none of it",
    shape: "keys",
    keys: globalKeys,
  },
];
