// Commands that clients of upstream know and that a microvm cannot have, each with the reason. They
// are not in query-commands, so that a client that asks first does without.

const camera = "it has no cameras";
const snapshots = "its drives are raw images, which hold no snapshots";
const vhostUser = "a character device of a running machine is for vhost-user disks on PCI";
const tapSwap = "device_del and device_add change the tap of a slot";
const virtioMem = "it has no virtio-mem";

export const absentCommands: Readonly<Record<string, string>> = {
  "blockdev-snapshot-internal-sync": snapshots,
  "blockdev-snapshot-delete-internal-sync": snapshots,
  cameradev_add: camera,
  cameradev_del: camera,
  "chardev-add": vhostUser,
  "chardev-remove": vhostUser,
  "get-viomem": virtioMem,
  netdev_replace: tapSwap,
  netlink_set: tapSwap,
  "query-display-image": "it has no display",
  "query-vcpu-reg": "registers by KVM's numbers are those of aarch64",
  "query-vnc": "it has no display",
  "query-workloads": "its devices keep no such counters",
  "set-viomem": virtioMem,
  "switch-audio-record": "it has no sound card",
  update_region: "its address map is fixed",
};
