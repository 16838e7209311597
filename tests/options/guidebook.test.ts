// The guidebook's lines for a microvm as they stand there, placeholders filled in: each is either
// understood or refused with "not supported yet by this build", never taken for a mistake.

import { expect, test } from "bun:test";
import { refusalOf } from "./run.ts";

/** Words of a shell line; double quotes keep blanks together. */
function shellWords(line: string): string[] {
  const found = line.matchAll(/"([^"]*)"|(\S+)/g);
  return [...found].map((match) => match[1] ?? match[2] ?? "");
}

const shared = "-machine mem-share=on -chardev socket,id=c,path=/s";
const drive = "-drive id=rootfs,file=/img";
const serialBus = "-device virtio-serial-device -chardev socket,path=/s,id=c,server,nowait";
const random = "-object rng-random,id=objrng0,filename=/dev/urandom";
const append = "console=ttyS0 rebook=k panic=1 pci=off tsc=reliable ipv6.disable=1";

const understood = [
  "-machine type=microvm,dump-guest-core=on,mem-share=off",
  "-machine microvm,accel=kvm,usb=off",
  "-smp cpus=4,maxcpus=4,sockets=1,dies=1,clusters=1,cores=2,threads=2",
  "-cpu host,pmu=off",
  "-cpu host,pmu=on",
  "-m 256m",
  "-m 256",
  "-m 1G",
  `-append "${append}"`,
  "-mem-prealloc",
  "-mem-path /dev/hugepages",
  "-object memory-backend-ram,size=2G,id=mem0,host-nodes=0-1,policy=bind",
  "-object memory-backend-file,size=2G,id=mem0,host-nodes=0-1,policy=bind,mem-path=/path/to/file",
  "-object memory-backend-memfd,size=2G,id=mem1,host-nodes=0-1,policy=bind,mem-prealloc=true",
  "-initrd /initrd",
  "-D",
  "-D /log",
  "-daemonize",
  "-daemonize -pidfile /pid",
  "-object iothread,id=iothread1",
  "-drive id=rootfs,file=/img,readonly=off,direct=off",
  "-drive id=rootfs,file=/img,readonly=on,direct=on,discard=ignore,detect-zeroes=off",
  "-drive id=d,file=/img,throttling.iops-total=1000",
  "-drive id=d,file=/img,discard=unmap,detect-zeroes=unmap",
  `${drive} -device virtio-blk-device,drive=rootfs,id=rootfs`,
  `-object iothread,id=io ${drive} -device virtio-blk-device,drive=rootfs,id=x,iothread=io`,
  "-chardev stdio,id=c -serial chardev:c",
  "-chardev socket,id=c,path=/s,server,nowait -serial chardev:c",
  "-serial stdio",
  "-serial pty",
  "-serial socket,path=/s,server,nowait",
  "-serial file,path=/f",
  "-chardev pty,id=c",
  "-chardev file,id=c,path=/f",
  "-chardev socket,id=c,path=/s",
  "-device virtio-balloon-device,deflate-on-oom=true,free-page-reporting=true",
  "-device virtio-balloon-device,deflate_on_oom=true,free_page_reporting=false",
  `${random} -device virtio-rng-device,rng=objrng0,max-bytes=1234,period=1000`,
  `${random} -device virtio-rng-device,rng=objrng0`,
  "-disable-seccomp",
  "-qmp unix:/qmp,server,nowait",
  "-overcommit mem-lock=off -uuid 1-2-3 -no-user-config -nodefaults -sandbox on -msg timestamp=on",
  "-rtc base=utc -no-shutdown -nographic -realtime mlock=off -display none -usb -boot strict=on",
  "-device virtio-serial-device,id=virtio-serial0",
  `${serialBus} -device virtconsole,id=console_id,chardev=c,nr=0`,
  `${serialBus} -device virtserialport,id=port_id,chardev=c,nr=0`,
  "-netdev tap,id=net0,ifname=tap0",
  "-netdev tap,id=net0,fd=20 -device virtio-net-device,id=net0,netdev=net0",
  "-netdev tap,id=net0,fds=20:21,queues=2 -device virtio-net-device,netdev=net0,mq=on",
  "-netdev tap,id=n,ifname=tap0 -device virtio-net-device,id=x,netdev=n,mac=52:54:00:00:00:01",
  "-netdev tap,id=net0,ifname=tap0,vhost=on",
  "-netdev tap,id=net0,ifname=tap0,vhost=on,vhostfd=3",
  "-netdev tap,id=net0,ifname=tap0,vhost=on,vhostfds=3:4,queues=2",
  "-device vhost-vsock-device,id=vsock,guest-cid=3",
  "-object iothread,id=io1 -netdev tap,id=n,fd=3 -device virtio-net-device,netdev=n,iothread=io1",
  `${shared} -device vhost-user-blk-device,id=blk1,chardev=c,num-queues=4,queue-size=256`,
  `${shared} -netdev vhost-user,id=n,chardev=c -device virtio-net-device,id=net0,netdev=n`,
  `${shared} -netdev vhost-user,id=n,chardev=c,queues=4 -device virtio-net-device,netdev=n,mq=on`,
  `${shared},server,nowait -device vhost-user-fs-device,id=fs,chardev=c,tag=myfs`,
  `${shared} -device vhost-user-fs-device,id=fs,chardev=c,tag=myfs`,
  "-trace events=/events",
  "-global pcie-root-port.fast-unplug=1",
];

const later = [
  "-smbios type=1,manufacturer=m,product=p,uuid=u",
  "-vnc 0.0.0.0:0,tls-creds=vnc-tls-creds0,sasl=on,sasl-authz=authz0",
];

test.each(understood)("is understood: %s", (line) => {
  expect(refusalOf(["-kernel", "k", ...shellWords(line)])).toBe("accepted");
});

test.each(later)("comes later: %s", (line) => {
  expect(refusalOf(["-kernel", "k", ...shellWords(line)])).toEndWith(
    "is not supported yet by this build.",
  );
});

test("chapter 1.5's nodes are understood", () => {
  const line = `-kernel k -smp 8 -m 4G
    -object memory-backend-file,size=2G,id=mem0,host-nodes=0-1,policy=bind,mem-path=/path/to/file
    -object memory-backend-memfd,size=2G,id=mem1,host-nodes=0-1,policy=bind,mem-prealloc=true
    -numa node,nodeid=0,cpus=0-1:4-5,memdev=mem0
    -numa node,nodeid=1,cpus=2-3:6-7,memdev=mem1
    -numa dist,src=0,dst=0,val=10
    -numa dist,src=0,dst=1,val=20
    -numa dist,src=1,dst=0,val=20
    -numa dist,src=1,dst=1,val=10`;
  expect(refusalOf(shellWords(line))).toBe("accepted");
});

test("chapter 5.1's whole line is understood", () => {
  const line = `
    -machine microvm
    -kernel path/to/vmlinux.bin
    -append "console=ttyS0 pci=off reboot=k quiet panic=1 root=/dev/vda"
    -drive file=path/to/rootfs,id=rootfs,readonly=off,direct=off
    -device virtio-blk-device,drive=rootfs,id=rootfs
    -qmp unix:path/to/socket,server,nowait
    -serial stdio
    -incoming file:path/to/template`;
  expect(refusalOf(shellWords(line))).toBe("accepted");
});

test("chapter 6.2's line without quotes is understood", () => {
  const line = `-kernel ./vmlinux.bin -append console=ttyS0 root=/dev/vda reboot=k panic=1 rw
    -drive file=./rootfs,id=rootfs,readonly=off -device virtio-blk-device,drive=rootfs,id=rootfs
    -qmp unix:./stratovirt.socket,server,nowait -serial stdio`;
  expect(refusalOf(shellWords(line))).toBe("accepted");
});
