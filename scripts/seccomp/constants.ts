// The names that profiles use for argument values, with their numbers on both architectures
// (Linux uapi headers). ioctl numbers are put together as _IO, _IOR, _IOW and _IOWR do.

const WRITE = 1;
const READ = 2;

function command(direction: number, type: number, number: number, size: number): number {
  return ((direction << 30) | (size << 16) | (type << 8) | number) >>> 0;
}

const KVM = 0xae;
const TUN = 0x54;
const VHOST = 0xaf;

const IOCTLS: Readonly<Record<string, number>> = {
  // asm-generic/ioctls.h
  TCGETS: 0x5401,
  TCSETS: 0x5402,
  TIOCGWINSZ: 0x5413,
  FIONREAD: 0x541b,
  FIONBIO: 0x5421,
  // linux/kvm.h
  KVM_CHECK_EXTENSION: command(0, KVM, 0x03, 0),
  KVM_GET_VCPU_MMAP_SIZE: command(0, KVM, 0x04, 0),
  KVM_GET_MSR_INDEX_LIST: command(READ | WRITE, KVM, 0x02, 4),
  KVM_GET_SUPPORTED_CPUID: command(READ | WRITE, KVM, 0x05, 8),
  KVM_CREATE_VCPU: command(0, KVM, 0x41, 0),
  KVM_GET_DIRTY_LOG: command(WRITE, KVM, 0x42, 16),
  KVM_SET_USER_MEMORY_REGION: command(WRITE, KVM, 0x46, 32),
  KVM_IRQ_LINE: command(WRITE, KVM, 0x61, 8),
  KVM_GET_IRQCHIP: command(READ | WRITE, KVM, 0x62, 520),
  KVM_SET_IRQCHIP: command(READ, KVM, 0x63, 520),
  KVM_SET_GSI_ROUTING: command(WRITE, KVM, 0x6a, 8),
  KVM_IRQFD: command(WRITE, KVM, 0x76, 32),
  KVM_IOEVENTFD: command(WRITE, KVM, 0x79, 64),
  KVM_SET_CLOCK: command(WRITE, KVM, 0x7b, 48),
  KVM_GET_CLOCK: command(READ, KVM, 0x7c, 48),
  KVM_RUN: command(0, KVM, 0x80, 0),
  KVM_GET_REGS: command(READ, KVM, 0x81, 144),
  KVM_SET_REGS: command(WRITE, KVM, 0x82, 144),
  KVM_GET_SREGS: command(READ, KVM, 0x83, 312),
  KVM_SET_SREGS: command(WRITE, KVM, 0x84, 312),
  KVM_GET_MSRS: command(READ | WRITE, KVM, 0x88, 8),
  KVM_SET_MSRS: command(WRITE, KVM, 0x89, 8),
  KVM_GET_FPU: command(READ, KVM, 0x8c, 416),
  KVM_SET_FPU: command(WRITE, KVM, 0x8d, 416),
  KVM_GET_LAPIC: command(READ, KVM, 0x8e, 1024),
  KVM_SET_LAPIC: command(WRITE, KVM, 0x8f, 1024),
  KVM_SET_CPUID2: command(WRITE, KVM, 0x90, 8),
  KVM_GET_CPUID2: command(READ | WRITE, KVM, 0x91, 8),
  KVM_GET_MP_STATE: command(READ, KVM, 0x98, 4),
  KVM_SET_MP_STATE: command(WRITE, KVM, 0x99, 4),
  KVM_GET_VCPU_EVENTS: command(READ, KVM, 0x9f, 64),
  KVM_SET_VCPU_EVENTS: command(WRITE, KVM, 0xa0, 64),
  KVM_GET_PIT2: command(READ, KVM, 0x9f, 112),
  KVM_GET_TSC_KHZ: command(0, KVM, 0xa3, 0),
  KVM_GET_DEBUGREGS: command(READ, KVM, 0xa1, 128),
  KVM_SET_DEBUGREGS: command(WRITE, KVM, 0xa2, 128),
  KVM_SIGNAL_MSI: command(WRITE, KVM, 0xa5, 32),
  KVM_GET_XSAVE: command(READ, KVM, 0xa4, 4096),
  KVM_SET_XSAVE: command(WRITE, KVM, 0xa5, 4096),
  KVM_GET_XCRS: command(READ, KVM, 0xa6, 392),
  KVM_SET_XCRS: command(WRITE, KVM, 0xa7, 392),
  KVM_GET_XSAVE2: command(READ, KVM, 0xcf, 4096),
  KVM_KVMCLOCK_CTRL: command(0, KVM, 0xad, 0),
  KVM_GET_ONE_REG: command(WRITE, KVM, 0xab, 16),
  KVM_SET_ONE_REG: command(WRITE, KVM, 0xac, 16),
  KVM_ARM_VCPU_INIT: command(WRITE, KVM, 0xae, 32),
  KVM_GET_REG_LIST: command(READ | WRITE, KVM, 0xb0, 8),
  KVM_SET_DEVICE_ATTR: command(WRITE, KVM, 0xe1, 24),
  KVM_GET_DEVICE_ATTR: command(WRITE, KVM, 0xe2, 24),
  // linux/if_tun.h
  TUNSETIFF: command(WRITE, TUN, 202, 4),
  TUNGETIFF: command(READ, TUN, 210, 4),
  TUNSETOFFLOAD: command(WRITE, TUN, 208, 4),
  TUNSETVNETHDRSZ: command(WRITE, TUN, 216, 4),
  TUNSETQUEUE: command(WRITE, TUN, 217, 4),
  // linux/fs.h
  BLKGETSIZE64: command(READ, 0x12, 114, 8),
  BLKSSZGET: command(0, 0x12, 104, 0),
  // linux/vhost.h
  VHOST_GET_FEATURES: command(READ, VHOST, 0x00, 8),
  VHOST_SET_FEATURES: command(WRITE, VHOST, 0x00, 8),
  VHOST_SET_OWNER: command(0, VHOST, 0x01, 0),
  VHOST_RESET_OWNER: command(0, VHOST, 0x02, 0),
  VHOST_SET_MEM_TABLE: command(WRITE, VHOST, 0x03, 8),
  VHOST_SET_VRING_NUM: command(WRITE, VHOST, 0x10, 8),
  VHOST_SET_VRING_ADDR: command(WRITE, VHOST, 0x11, 40),
  VHOST_SET_VRING_BASE: command(WRITE, VHOST, 0x12, 8),
  VHOST_GET_VRING_BASE: command(READ | WRITE, VHOST, 0x12, 8),
  VHOST_SET_VRING_KICK: command(WRITE, VHOST, 0x20, 8),
  VHOST_SET_VRING_CALL: command(WRITE, VHOST, 0x21, 8),
  VHOST_SET_VRING_ERR: command(WRITE, VHOST, 0x22, 8),
  VHOST_NET_SET_BACKEND: command(WRITE, VHOST, 0x30, 8),
  VHOST_VSOCK_SET_GUEST_CID: command(WRITE, VHOST, 0x60, 8),
  VHOST_VSOCK_SET_RUNNING: command(WRITE, VHOST, 0x61, 4),
};

const FUTEX_PRIVATE = 128;
const FUTEX_REALTIME = 256;

const OTHERS: Readonly<Record<string, number>> = {
  FUTEX_WAIT: 0,
  FUTEX_WAKE: 1,
  FUTEX_REQUEUE: 3,
  FUTEX_WAIT_BITSET: 9,
  FUTEX_WAIT_PRIVATE: 0 | FUTEX_PRIVATE,
  FUTEX_WAKE_PRIVATE: 1 | FUTEX_PRIVATE,
  FUTEX_REQUEUE_PRIVATE: 3 | FUTEX_PRIVATE,
  FUTEX_WAKE_OP_PRIVATE: 5 | FUTEX_PRIVATE,
  FUTEX_WAIT_BITSET_PRIVATE: 9 | FUTEX_PRIVATE,
  FUTEX_CLOCK_REALTIME: FUTEX_REALTIME,
  MADV_NORMAL: 0,
  MADV_WILLNEED: 3,
  MADV_DONTNEED: 4,
  MADV_FREE: 8,
  MADV_REMOVE: 9,
  MADV_DONTFORK: 10,
  MADV_DOFORK: 11,
  MADV_HUGEPAGE: 14,
  MADV_NOHUGEPAGE: 15,
  MADV_DONTDUMP: 16,
  MADV_DODUMP: 17,
  MADV_POPULATE_READ: 22,
  MADV_POPULATE_WRITE: 23,
  PROT_WRITE: 2,
  PROT_EXEC: 4,
  F_GETFD: 1,
  F_SETFD: 2,
  F_GETFL: 3,
  F_SETFL: 4,
  F_SETLK: 6,
  F_OFD_SETLK: 37,
  F_DUPFD_CLOEXEC: 1030,
  PR_SET_NAME: 15,
  PR_GET_NAME: 16,
  PR_SET_VMA: 0x53564d41,
  CLONE_VM: 0x100,
  CLONE_THREAD: 0x10000,
  // Every CLONE_NEW flag of linux/sched.h that clone(2) takes.
  CLONE_NEW_ANY: 0x7e020000,
  AF_UNIX: 1,
  SECCOMP_SET_MODE_FILTER: 1,
  NONE: 0,
  ENOSYS: 38,
  EPERM: 1,
  ENOMEM: 12,
};

/** The value of a name, or of several joined by `|`, or of a number; undefined for others. */
export function constantValue(text: string | number): number | undefined {
  if (typeof text === "number") return text >>> 0;
  let value = 0;
  for (const name of text.split("|")) {
    const part = IOCTLS[name] ?? OTHERS[name];
    if (part === undefined) return undefined;
    value |= part;
  }
  return value >>> 0;
}
