// A Debian kernel from its unpacked package: where the bzImage is, and the ELF inside it.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../src/errors.ts";
import { runCommand } from "./command.ts";
import { type UnpackedPackage, unpackedPackage } from "./debian.ts";
import { decompressLz4Legacy } from "./lz4.ts";
import { publish } from "./publish.ts";

export interface DebianKernel extends UnpackedPackage {
  release: string;
  bzImage: string;
  vmlinux: string;
  modules: string;
}

/**
 * The kernel of a package such as linux-image-amd64: bzImage, uncompressed ELF, modules with
 * modules.dep.
 */
export async function debianKernel(meta: string, refresh = false): Promise<DebianKernel> {
  const unpacked = await unpackedPackage(meta, refresh);
  const boot = join(unpacked.folder, "boot");
  const image = readdirSync(boot).find((file) => file.startsWith("vmlinuz-"));
  if (image === undefined) throw new UserError(`package ${unpacked.name} holds no boot/vmlinuz`);
  const release = image.slice("vmlinuz-".length);
  const bzImage = join(boot, image);
  const vmlinux = await publish(join(boot, `vmlinux-${release}`), async (temporary) => {
    await Bun.write(temporary, await extractVmlinux(bzImage));
  });
  const modules = join(unpacked.folder, "lib/modules", release);
  if (!existsSync(join(modules, "modules.dep"))) {
    await runCommand(["/sbin/depmod", "-b", unpacked.folder, release]);
  }
  return { ...unpacked, release, bzImage, vmlinux, modules };
}

/**
 * The ELF in a bzImage. Linux x86 boot protocol: setup_sects at 0x1f1, payload_offset at 0x248 and
 * payload_length at 0x24c; the last four bytes of the payload are its size uncompressed, not data.
 */
async function extractVmlinux(bzImage: string): Promise<Uint8Array> {
  const bytes = await Bun.file(bzImage).bytes();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 0x250 || view.getUint32(0x202, true) !== 0x53726448) {
    throw new UserError(`${bzImage} is not a bzImage (no "HdrS" at 0x202)`);
  }
  const start = (view.getUint8(0x1f1) + 1) * 512 + view.getUint32(0x248, true);
  const payload = bytes.subarray(start, start + view.getUint32(0x24c, true) - 4);
  const magic = Buffer.from(payload.subarray(0, 4)).toString("hex");
  if (magic.startsWith("1f8b")) return Bun.gunzipSync(payload.slice());
  if (magic === "02214c18") return decompressLz4Legacy(payload);
  if (magic === "28b52ffd") return Bun.zstdDecompressSync(payload.slice());
  if (magic === "fd377a58") return decompressXz(payload);
  throw new UserError(`${bzImage} is compressed in a way that is not known here (magic ${magic})`);
}

async function decompressXz(payload: Uint8Array): Promise<Uint8Array> {
  const child = Bun.spawn(["xz", "-dc", "--single-stream"], {
    stdin: payload,
    stdout: "pipe",
    timeout: 120_000,
  });
  const output = await new Response(child.stdout).bytes();
  if ((await child.exited) !== 0) throw new UserError("xz could not unpack the kernel");
  return output;
}
