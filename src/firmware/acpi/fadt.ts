// The Fixed ACPI Description Table (ACPI 6.5 section 5.2.9): how to sleep, reset and find the DSDT.

import { ByteWriter } from "../byte_writer.ts";
import { buildTable, genericAddress, type RegisterAddress } from "./table.ts";

const REVISION = 6;
const FLAG = {
  wbinvd: 1 << 0,
  c1Supported: 1 << 2,
  noFixedPowerButton: 1 << 4,
  noFixedSleepButton: 1 << 5,
  timer32Bit: 1 << 8,
  resetSupported: 1 << 10,
  hardwareReduced: 1 << 20,
} as const;
const BOOT_FLAG = { legacyDevices: 1, keyboardController: 2, vgaNotPresent: 4, noRtc: 32 } as const;

/** PM1 and timer blocks of a machine with the classic ACPI hardware (q35). */
export interface FixedHardware {
  readonly sciInterrupt: number;
  readonly pm1EventPort: number;
  readonly pm1ControlPort: number;
  readonly timerPort: number;
  /** Firmware control structure, which only classic hardware must have. */
  readonly facsAddress: number;
}

/** What the table says. */
export interface FadtDescription {
  readonly dsdtAddress: number;
  /** Absent: the machine is hardware-reduced. */
  readonly fixedHardware?: FixedHardware;
  readonly resetRegister: RegisterAddress;
  readonly resetValue: number;
  readonly sleepControl: RegisterAddress;
  readonly sleepStatus: RegisterAddress;
  readonly hasKeyboardController: boolean;
  readonly hasRtc: boolean;
}

/** The whole table, 276 bytes. */
export function buildFadt(description: FadtDescription): Uint8Array {
  const fixed = description.fixedHardware;
  const port = (address: number | undefined, width: number): Uint8Array =>
    genericAddress(address === undefined ? undefined : { space: "io", address, width });
  const body = new ByteWriter();
  body.u32(fixed?.facsAddress ?? 0, description.dsdtAddress).u8(0, 0);
  body
    .u16(fixed?.sciInterrupt ?? 0)
    .u32(0)
    .u8(0, 0, 0, 0);
  body.u32(fixed?.pm1EventPort ?? 0, 0, fixed?.pm1ControlPort ?? 0, 0, 0, fixed?.timerPort ?? 0);
  body.u32(0, 0);
  // Block sizes in bytes: PM1 event, PM1 control, PM2, timer, then the two GPE blocks.
  body.u8(...(fixed === undefined ? [0, 0, 0, 0] : [4, 2, 0, 4]), 0, 0, 0, 0);
  // C2 and C3 latencies above 100 and 1000 us say that the states are not there.
  body.u16(0xfff, 0xfff, 0, 0).u8(0, 0, 0, 0, 0);
  body.u16(bootFlags(description)).u8(0).u32(featureFlags(description));
  body.bytes(genericAddress(description.resetRegister)).u8(description.resetValue);
  body.u16(0).u8(0);
  body.u64(0, description.dsdtAddress);
  body.bytes(port(fixed?.pm1EventPort, 32)).bytes(port(undefined, 0));
  body.bytes(port(fixed?.pm1ControlPort, 16)).bytes(port(undefined, 0)).bytes(port(undefined, 0));
  body.bytes(port(fixed?.timerPort, 32)).bytes(port(undefined, 0)).bytes(port(undefined, 0));
  body.bytes(genericAddress(description.sleepControl));
  body.bytes(genericAddress(description.sleepStatus));
  body.text("STRATO", 8, "\0");
  return buildTable({ signature: "FACP", revision: REVISION }, body.finish());
}

function bootFlags(description: FadtDescription): number {
  return (
    BOOT_FLAG.legacyDevices |
    BOOT_FLAG.vgaNotPresent |
    (description.hasKeyboardController ? BOOT_FLAG.keyboardController : 0) |
    (description.hasRtc ? 0 : BOOT_FLAG.noRtc)
  );
}

function featureFlags(description: FadtDescription): number {
  const common = FLAG.wbinvd | FLAG.c1Supported | FLAG.noFixedPowerButton | FLAG.noFixedSleepButton;
  const hardware = description.fixedHardware === undefined ? FLAG.hardwareReduced : FLAG.timer32Bit;
  return common | FLAG.resetSupported | hardware;
}
