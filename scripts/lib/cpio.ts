// Writes initial RAM disks: the "newc" cpio format (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst).

export type ArchiveEntry =
  | { kind: "folder"; path: string }
  | { kind: "file"; path: string; bytes: Uint8Array; executable: boolean }
  | { kind: "link"; path: string; target: string }
  | { kind: "character"; path: string; major: number; minor: number };

const encoder = new TextEncoder();

/**
 * One archive of the entries in order; owner root, time zero, so that the same input gives the
 * same bytes.
 */
export function cpioArchive(entries: ArchiveEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  entries.forEach((entry, index) => {
    parts.push(...record(index + 1, entry));
  });
  parts.push(...header({ inode: 0, mode: 0, path: "TRAILER!!!", size: 0, major: 0, minor: 0 }));
  return Buffer.concat(parts);
}

function record(inode: number, entry: ArchiveEntry): Uint8Array[] {
  const base = { inode, path: entry.path, size: 0, major: 0, minor: 0 };
  switch (entry.kind) {
    case "folder":
      return header({ ...base, mode: 0o040755 });
    case "character":
      return header({ ...base, mode: 0o020600, major: entry.major, minor: entry.minor });
    case "link": {
      const target = encoder.encode(entry.target);
      return [...header({ ...base, mode: 0o120777, size: target.length }), ...padded(target)];
    }
    case "file": {
      const mode = entry.executable ? 0o100755 : 0o100644;
      return [...header({ ...base, mode, size: entry.bytes.length }), ...padded(entry.bytes)];
    }
  }
}

interface Header {
  inode: number;
  mode: number;
  path: string;
  size: number;
  major: number;
  minor: number;
}

function header(of: Header): Uint8Array[] {
  const name = encoder.encode(`${of.path}\0`);
  const fields = [of.inode, of.mode, 0, 0, 1, 0, of.size, 0, 0, of.major, of.minor, name.length, 0];
  const digits = fields.map((field) => field.toString(16).padStart(8, "0").toUpperCase()).join("");
  return padded(Buffer.concat([encoder.encode(`070701${digits}`), name]));
}

function padded(bytes: Uint8Array): Uint8Array[] {
  return [bytes, new Uint8Array(-bytes.length & 3)];
}
