// The command line of the lab's host: QEMU in software emulation with nested SVM, so that
// /dev/kvm works inside.

import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HostImages } from "./images.ts";
import type { LabState } from "./state.ts";

const agentPort = 1;
const network = { net: "100.115.92.0/24", gateway: "100.115.92.2", address: "100.115.92.15" };

// A family that AMD's erratum 400 does not name avoids the kernel's idle workaround; without
// protection keys a WRPKRU does not flush the emulator's TLB; five-level paging only makes walks
// longer.
const cpu = "max,family=25,model=1,stepping=1,-la57,-pku";

/** The words that start the host with `port` of 127.0.0.1 leading to its agent. */
export function qemuCommand(
  state: LabState,
  images: HostImages,
  port: number,
): [string, ...string[]] {
  const memoryMib = Number(process.env.STRATOVIRT_LAB_MEMORY ?? 8192);
  return [
    "qemu-system-x86_64",
    ...["-name", "stratovirt-lab", "-nodefaults", "-no-user-config", "-display", "none"],
    ...["-daemonize", "-pidfile", state.pidFile, "-no-reboot"],
    ...["-M", "q35,kernel-irqchip=split,smm=off", "-bios", "qboot.rom"],
    ...["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", cpu],
    ...["-smp", "2,sockets=2", ...memory(memoryMib)],
    ...["-device", "intel-iommu,intremap=on"],
    ...["-chardev", `file,id=console,path=${state.consoleLog}`, "-serial", "chardev:console"],
    ...["-monitor", `unix:${join(state.folder, "monitor")},server=on,wait=off`],
    ...networkCard(port),
    ...share("root", "/", ",readonly=on"),
    ...state.shares.flatMap((folder, index) => share(`share${index}`, folder, "")),
    ...passthroughDevices(state),
    ...["-kernel", images.kernel, "-initrd", images.initrd, "-append", append(state, images)],
  ];
}

function memory(sizeMib: number): string[] {
  const half = sizeMib / 2;
  const backend = (id: string) => `memory-backend-memfd,id=${id},size=${half}M,share=on`;
  return [
    ...["-m", `${sizeMib}`, "-object", backend("memory0"), "-object", backend("memory1")],
    ...["-numa", "node,nodeid=0,memdev=memory0,cpus=0"],
    ...["-numa", "node,nodeid=1,memdev=memory1,cpus=1"],
  ];
}

function networkCard(port: number): string[] {
  const { net, gateway, address } = network;
  const forward = `hostfwd=tcp:127.0.0.1:${port}-${address}:${agentPort}`;
  return [
    ...["-netdev", `user,id=agent,restrict=on,net=${net},host=${gateway},${forward}`],
    ...["-device", "virtio-net-pci,netdev=agent,mac=52:54:00:1a:b0:02,romfile="],
  ];
}

function share(tag: string, folder: string, readOnly: string): string[] {
  return [
    ...["-fsdev"],
    `local,id=fs-${tag},path=${folder},security_model=passthrough,multidevs=remap${readOnly}`,
    ...["-device", `virtio-9p-pci,fsdev=fs-${tag},mount_tag=${tag}`],
  ];
}

/**
 * Devices that tests of VFIO and USB pass through: a disk and a network card on PCIe, a stick and
 * a tablet.
 */
function passthroughDevices(state: LabState): string[] {
  const disk = (name: string) => {
    const path = join(state.folder, name);
    writeFileSync(path, "");
    truncateSync(path, 64 << 20);
    return `if=none,id=${name},format=raw,file=${path}`;
  };
  return [
    ...["-device", "pcie-root-port,id=port0,chassis=1"],
    ...["-device", "pcie-root-port,id=port1,chassis=2"],
    ...["-drive", disk("nvme"), "-device", "nvme,drive=nvme,serial=labnvme,bus=port0"],
    ...["-netdev", "user,id=spare,restrict=on"],
    ...["-device", "e1000e,netdev=spare,bus=port1,mac=52:54:00:1a:b0:01,romfile="],
    ...["-device", "qemu-xhci,id=xhci", "-drive", disk("stick")],
    ...["-device", "usb-storage,drive=stick,serial=labusb", "-device", "usb-tablet"],
  ];
}

function append(state: LabState, images: HostImages): string {
  mkdirSync(state.folder, { recursive: true });
  return [
    "console=ttyS0 quiet loglevel=5 panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check",
    "random.trust_cpu=on apparmor=0 audit=0 nowatchdog cryptomgr.notests rcupdate.rcu_expedited=1",
    `intel_iommu=on net.ifnames=0 lab.address=${network.address} lab.port=${agentPort}`,
    `lab.shares=${state.shares.join(":")} lab.state=${state.folder} lab.modules=${images.modules}`,
  ].join(" ");
}
