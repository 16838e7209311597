// Generated from zig/abi.zig by `bun run gen`; do not edit.

export const ABI_HASH = 2828606010685263;

export const CONSTANTS = {
  noLine: 4294967295,
  noChardev: 4294967295,
  vcpuCountMax: 254,
  iothreadCountMax: 9,
  transferSizeMax: 67108864,
  saveThreadCountMax: 8,
  saveChunkSize: 1048576,
  savePieceAlignment: 2097152,
  channelFdCountMax: 16,
  blkReadOnly: 1,
  blkDiscard: 2,
  blkWriteZeroes: 4,
  blkDetectZeroes: 8,
  blkDetectUnmap: 16,
  blkReplaceable: 32,
  balloonDeflateOnOom: 1,
  balloonReporting: 2,
  balloonPageSize: 4096,
  vhostUserExactQueues: 1,
  consoleNameSizeMax: 64,
  netPairCountMax: 16,
  netOffload: 1,
  netUfo: 2,
  netTapQueues: 4,
  netVhost: 8,
  featureVersion1: 4294967296,
  tapRequestSize: 40,
  tapOffloadTso4: 2,
  tapOffloadUfo: 16,
} as const;

export const CoreParamsLayout = {
  size: 32,
  fields: {
    systemFd: { offset: 0, kind: "i32" },
    vmFd: { offset: 4, kind: "i32" },
    vcpuFd: { offset: 8, kind: "i32" },
    handle: { offset: 16, kind: "pointer" },
    failure: { offset: 24, kind: "pointer" },
  },
} as const;

export const Status = {
  ok: 0,
  host: 1,
  invalid: 2,
  stale: 3,
  unsupported: 4,
  outOfMemory: 5,
  outOfRange: 6,
  limit: 7,
  timeout: 8,
  empty: 9,
} as const;
export type Status = (typeof Status)[keyof typeof Status];

export const Operation = {
  none: 0,
  kvmApiVersion: 1,
  kvmCheckExtension: 2,
  kvmCreateVm: 3,
  kvmSetTssAddress: 4,
  kvmSetIdentityMap: 5,
  kvmCreateIrqchip: 6,
  kvmCreatePit: 7,
  kvmSetMemoryRegion: 8,
  kvmCreateVcpu: 9,
  kvmVcpuMmapSize: 10,
  kvmMapRun: 11,
  kvmSupportedCpuid: 12,
  kvmSetCpuid: 13,
  kvmSetMsrs: 14,
  kvmGetRegisters: 15,
  kvmSetRegisters: 16,
  kvmLocalApic: 17,
  kvmSetRouting: 18,
  kvmIrqfd: 19,
  kvmIoeventfd: 20,
  kvmRun: 21,
  memoryMap: 22,
  memoryAdvise: 23,
  memoryPolicy: 24,
  memoryPopulate: 25,
  memoryFile: 26,
  fileStatus: 27,
  fileRead: 28,
  eventfd: 29,
  epoll: 30,
  ioUringSetup: 31,
  aioSetup: 32,
  threadSpawn: 33,
  socketpair: 34,
  signalAction: 35,
  terminalGet: 36,
  terminalSet: 37,
  terminalWatch: 38,
  socketCreate: 39,
  socketBind: 40,
  socketListen: 41,
  socketConnect: 42,
  channel: 43,
  timer: 44,
  fileLock: 45,
  backEnd: 46,
  tapAttach: 47,
  tapInspect: 48,
  tapPrepare: 49,
  vhostFeatures: 50,
  vhostOwner: 51,
  vhostGuest: 52,
  seccomp: 53,
  namespaceUnshare: 54,
  namespaceJoin: 55,
  hostName: 56,
  mount: 57,
  unmount: 58,
  deviceNode: 59,
  processClone: 60,
  cgroupJoin: 61,
  pivotRoot: 62,
  closeFiles: 63,
  resourceLimit: 64,
  capabilityBound: 65,
  capabilitySet: 66,
  userIds: 67,
  noNewPrivileges: 68,
  programStart: 69,
  stateRunning: 70,
  stateEnded: 71,
  stateSize: 72,
  stateKind: 73,
  stateVersion: 74,
  stateContent: 75,
  stateCpuid: 76,
  stateTsc: 77,
  kvmSaveVcpu: 78,
  kvmRestoreVcpu: 79,
  kvmSaveVm: 80,
  kvmRestoreVm: 81,
  kvmRestoreMsr: 82,
  memorySave: 83,
} as const;
export type Operation = (typeof Operation)[keyof typeof Operation];

export const FailureLayout = {
  size: 16,
  fields: {
    operation: { offset: 0, kind: "u32" },
    errno: { offset: 4, kind: "i32" },
    value: { offset: 8, kind: "u64" },
  },
} as const;

export const ThreadParamsLayout = {
  size: 16,
  fields: {
    name: { offset: 0, kind: "pointer" },
    nameSize: { offset: 8, kind: "u64" },
  },
} as const;

export const SeccompParamsLayout = {
  size: 40,
  fields: {
    main: { offset: 0, kind: "pointer" },
    vcpu: { offset: 8, kind: "pointer" },
    iothread: { offset: 16, kind: "pointer" },
    mainCount: { offset: 24, kind: "u32" },
    vcpuCount: { offset: 28, kind: "u32" },
    iothreadCount: { offset: 32, kind: "u32" },
    logFd: { offset: 36, kind: "i32" },
  },
} as const;

export const CapabilitiesLayout = {
  size: 16,
  fields: {
    vcpuCountMax: { offset: 0, kind: "u32" },
    memorySlotCount: { offset: 4, kind: "u32" },
    tscDeadline: { offset: 8, kind: "u32" },
  },
} as const;

export const RouteKind = {
  pin: 1,
  message: 2,
} as const;
export type RouteKind = (typeof RouteKind)[keyof typeof RouteKind];

export const RouteLayout = {
  size: 32,
  fields: {
    gsi: { offset: 0, kind: "u32" },
    kind: { offset: 4, kind: "u32" },
    chip: { offset: 8, kind: "u32" },
    pin: { offset: 12, kind: "u32" },
    address: { offset: 16, kind: "u64" },
    data: { offset: 24, kind: "u32" },
  },
} as const;

export const MemoryPolicy = {
  default: 0,
  preferred: 1,
  bind: 2,
  interleave: 3,
} as const;
export type MemoryPolicy = (typeof MemoryPolicy)[keyof typeof MemoryPolicy];

export const MemoryParamsLayout = {
  size: 72,
  fields: {
    guestAddress: { offset: 0, kind: "u64" },
    size: { offset: 8, kind: "u64" },
    spanSize: { offset: 16, kind: "u64" },
    fd: { offset: 24, kind: "i32" },
    shared: { offset: 28, kind: "u32" },
    offset: { offset: 32, kind: "u64" },
    dump: { offset: 40, kind: "u32" },
    reserve: { offset: 44, kind: "u32" },
    prealloc: { offset: 48, kind: "u32" },
    policy: { offset: 52, kind: "u32" },
    nodesLow: { offset: 56, kind: "bits64" },
    nodesHigh: { offset: 64, kind: "bits64" },
  },
} as const;

export const TransferParamsLayout = {
  size: 24,
  fields: {
    guestAddress: { offset: 0, kind: "u64" },
    bytes: { offset: 8, kind: "pointer" },
    size: { offset: 16, kind: "u64" },
  },
} as const;

export const LoadParamsLayout = {
  size: 32,
  fields: {
    guestAddress: { offset: 0, kind: "u64" },
    size: { offset: 8, kind: "u64" },
    offset: { offset: 16, kind: "u64" },
    fd: { offset: 24, kind: "i32" },
  },
} as const;

export const ChardevParamsLayout = {
  size: 24,
  fields: {
    inputFd: { offset: 0, kind: "i32" },
    outputFd: { offset: 4, kind: "i32" },
    listenFd: { offset: 8, kind: "i32" },
    clientFd: { offset: 12, kind: "i32" },
    peerFd: { offset: 16, kind: "i32" },
    escape: { offset: 20, kind: "u32" },
  },
} as const;

export const ChardevInfoLayout = {
  size: 24,
  fields: {
    clientCount: { offset: 0, kind: "u64" },
    lostByteCount: { offset: 8, kind: "u64" },
    lastErrno: { offset: 16, kind: "i32" },
  },
} as const;

export const DirectAlignmentLayout = {
  size: 8,
  fields: {
    request: { offset: 0, kind: "u32" },
    buffer: { offset: 4, kind: "u32" },
  },
} as const;

export const ReceiveParamsLayout = {
  size: 32,
  fields: {
    channel: { offset: 0, kind: "u32" },
    size: { offset: 4, kind: "u32" },
    bytes: { offset: 8, kind: "pointer" },
    fds: { offset: 16, kind: "pointer" },
    fdCount: { offset: 24, kind: "u32" },
    truncated: { offset: 28, kind: "u32" },
  },
} as const;

export const ModelKind = {
  serial: 0,
  cmos: 1,
  i8042: 2,
  power: 3,
  debugPort: 4,
  virtioBlk: 5,
  virtioRng: 6,
  virtioBalloon: 7,
  virtioNet: 8,
  vhostVsock: 9,
  vhostUser: 10,
  virtioConsole: 11,
} as const;
export type ModelKind = (typeof ModelKind)[keyof typeof ModelKind];

export const DeviceParamsLayout = {
  size: 32,
  fields: {
    model: { offset: 0, kind: "u32" },
    gsi: { offset: 4, kind: "u32" },
    chardev: { offset: 8, kind: "u32" },
    iothread: { offset: 12, kind: "u32" },
    details: { offset: 16, kind: "pointer" },
    detailsSize: { offset: 24, kind: "u64" },
  },
} as const;

export const DeviceInfoLayout = {
  size: 80,
  fields: {
    interruptCount: { offset: 0, kind: "u64" },
    faultCount: { offset: 8, kind: "u64" },
    fault: { offset: 16, kind: "bytes", length: 48 },
    errorCount: { offset: 64, kind: "u64" },
    lastErrno: { offset: 72, kind: "i32" },
  },
} as const;

export const BackEndCause = {
  none: 0,
  unreachableAddress: 1,
  closed: 2,
  silent: 3,
  form: 4,
  size: 5,
  descriptors: 6,
  answer: 7,
  refused: 8,
  features: 9,
  queues: 10,
} as const;
export type BackEndCause = (typeof BackEndCause)[keyof typeof BackEndCause];

export const BackEndInfoLayout = {
  size: 24,
  fields: {
    isUp: { offset: 0, kind: "u32" },
    cause: { offset: 4, kind: "u32" },
    errno: { offset: 8, kind: "i32" },
    lossCount: { offset: 16, kind: "u64" },
  },
} as const;

export const DeviceMetricsLayout = {
  size: 120,
  fields: {
    notificationCount: { offset: 0, kind: "u64" },
    requestCount: { offset: 8, kind: "u64" },
    inFlightCount: { offset: 16, kind: "u64" },
    readBytes: { offset: 24, kind: "u64" },
    writtenBytes: { offset: 32, kind: "u64" },
    receivedCount: { offset: 40, kind: "u64" },
    receivedBytes: { offset: 48, kind: "u64" },
    sentCount: { offset: 56, kind: "u64" },
    sentBytes: { offset: 64, kind: "u64" },
    skippedCount: { offset: 72, kind: "u64" },
    droppedCount: { offset: 80, kind: "u64" },
    randomBytes: { offset: 88, kind: "u64" },
    targetPageCount: { offset: 96, kind: "u64" },
    actualPageCount: { offset: 104, kind: "u64" },
    releasedPageCount: { offset: 112, kind: "u64" },
  },
} as const;

export const BalloonInfoLayout = {
  size: 32,
  fields: {
    targetPageCount: { offset: 0, kind: "u32" },
    actualPageCount: { offset: 4, kind: "u32" },
    releasedPageCount: { offset: 8, kind: "u64" },
    ignoredPageCount: { offset: 16, kind: "u64" },
    changed: { offset: 24, kind: "u32" },
  },
} as const;

export const MarksLayout = {
  size: 16,
  fields: {
    kernelEnteredNs: { offset: 0, kind: "u64" },
    bootCompleteNs: { offset: 8, kind: "u64" },
  },
} as const;

export const Space = {
  mmio: 0,
  pio: 1,
} as const;
export type Space = (typeof Space)[keyof typeof Space];

export const WindowParamsLayout = {
  size: 32,
  fields: {
    base: { offset: 0, kind: "u64" },
    size: { offset: 8, kind: "u64" },
    space: { offset: 16, kind: "u32" },
    device: { offset: 20, kind: "u32" },
    region: { offset: 24, kind: "u32" },
  },
} as const;

export const AccessParamsLayout = {
  size: 24,
  fields: {
    space: { offset: 0, kind: "u32" },
    size: { offset: 4, kind: "u32" },
    address: { offset: 8, kind: "u64" },
    value: { offset: 16, kind: "bits64" },
  },
} as const;

export const TopologyLayout = {
  size: 16,
  fields: {
    threads: { offset: 0, kind: "u32" },
    cores: { offset: 4, kind: "u32" },
    dies: { offset: 8, kind: "u32" },
    sockets: { offset: 12, kind: "u32" },
  },
} as const;

export const EntryTableLayout = {
  size: 16,
  fields: {
    base: { offset: 0, kind: "u64" },
    limit: { offset: 8, kind: "u32" },
  },
} as const;

export const EntrySegmentLayout = {
  size: 48,
  fields: {
    base: { offset: 0, kind: "u64" },
    limit: { offset: 8, kind: "u32" },
    selector: { offset: 12, kind: "u32" },
    type: { offset: 16, kind: "u32" },
    present: { offset: 20, kind: "u32" },
    dpl: { offset: 24, kind: "u32" },
    db: { offset: 28, kind: "u32" },
    s: { offset: 32, kind: "u32" },
    l: { offset: 36, kind: "u32" },
    g: { offset: 40, kind: "u32" },
  },
} as const;

export const EntryStateLayout = {
  size: 248,
  fields: {
    rip: { offset: 0, kind: "u64" },
    rsp: { offset: 8, kind: "u64" },
    rbx: { offset: 16, kind: "u64" },
    rsi: { offset: 24, kind: "u64" },
    rflags: { offset: 32, kind: "u64" },
    cr0: { offset: 40, kind: "u64" },
    cr3: { offset: 48, kind: "u64" },
    cr4: { offset: 56, kind: "u64" },
    efer: { offset: 64, kind: "u64" },
    gdt: { offset: 72, kind: "struct", layout: EntryTableLayout },
    idt: { offset: 88, kind: "struct", layout: EntryTableLayout },
    code: { offset: 104, kind: "struct", layout: EntrySegmentLayout },
    data: { offset: 152, kind: "struct", layout: EntrySegmentLayout },
    task: { offset: 200, kind: "struct", layout: EntrySegmentLayout },
  },
} as const;

export const VcpuState = {
  created: 0,
  running: 1,
  paused: 2,
  parked: 3,
  stopped: 4,
} as const;
export type VcpuState = (typeof VcpuState)[keyof typeof VcpuState];

export const ParkReason = {
  none: 0,
  powerOff: 1,
  reset: 2,
  tripleFault: 3,
  vcpuFailed: 4,
} as const;
export type ParkReason = (typeof ParkReason)[keyof typeof ParkReason];

export const VcpuInfoLayout = {
  size: 64,
  fields: {
    state: { offset: 0, kind: "u32" },
    threadId: { offset: 4, kind: "u32" },
    apicId: { offset: 8, kind: "u32" },
    park: { offset: 12, kind: "u32" },
    parkCount: { offset: 16, kind: "u64" },
    pioExits: { offset: 24, kind: "u64" },
    mmioExits: { offset: 32, kind: "u64" },
    otherExits: { offset: 40, kind: "u64" },
    failureErrno: { offset: 48, kind: "i32" },
    failureExitReason: { offset: 52, kind: "u32" },
    failureDetail: { offset: 56, kind: "bits64" },
  },
} as const;

export const RegisterDumpLayout = {
  size: 112,
  fields: {
    rip: { offset: 0, kind: "bits64" },
    rsp: { offset: 8, kind: "bits64" },
    rflags: { offset: 16, kind: "bits64" },
    rax: { offset: 24, kind: "bits64" },
    rbx: { offset: 32, kind: "bits64" },
    rcx: { offset: 40, kind: "bits64" },
    rdx: { offset: 48, kind: "bits64" },
    rsi: { offset: 56, kind: "bits64" },
    rdi: { offset: 64, kind: "bits64" },
    cr0: { offset: 72, kind: "bits64" },
    cr2: { offset: 80, kind: "bits64" },
    cr3: { offset: 88, kind: "bits64" },
    cr4: { offset: 96, kind: "bits64" },
    efer: { offset: 104, kind: "bits64" },
  },
} as const;

export const StatePart = {
  vm: 0,
  vcpu: 1,
  device: 2,
} as const;
export type StatePart = (typeof StatePart)[keyof typeof StatePart];

export const StateParamsLayout = {
  size: 24,
  fields: {
    part: { offset: 0, kind: "u32" },
    id: { offset: 4, kind: "u32" },
    bytes: { offset: 8, kind: "pointer" },
    size: { offset: 16, kind: "u64" },
  },
} as const;

export const MemorySaveParamsLayout = {
  size: 24,
  fields: {
    fd: { offset: 0, kind: "i32" },
    threadCount: { offset: 4, kind: "u32" },
    offset: { offset: 8, kind: "u64" },
    pagemapFd: { offset: 16, kind: "i32" },
  },
} as const;

export const MemorySaveState = {
  running: 0,
  done: 1,
  failed: 2,
  cancelled: 3,
} as const;
export type MemorySaveState = (typeof MemorySaveState)[keyof typeof MemorySaveState];

export const MemorySaveProgressLayout = {
  size: 40,
  fields: {
    total: { offset: 0, kind: "u64" },
    written: { offset: 8, kind: "u64" },
    dataBytes: { offset: 16, kind: "u64" },
    state: { offset: 24, kind: "u32" },
    errno: { offset: 28, kind: "i32" },
    chunkCount: { offset: 32, kind: "u64" },
  },
} as const;

export const BufferParamsLayout = {
  size: 16,
  fields: {
    bytes: { offset: 0, kind: "pointer" },
    size: { offset: 8, kind: "u64" },
  },
} as const;

export const ChecksumParamsLayout = {
  size: 32,
  fields: {
    fd: { offset: 0, kind: "i32" },
    offset: { offset: 8, kind: "u64" },
    size: { offset: 16, kind: "u64" },
    checksums: { offset: 24, kind: "pointer" },
  },
} as const;

export const TraceRecordLayout = {
  size: 64,
  fields: {
    timeNs: { offset: 0, kind: "bits64" },
    threadId: { offset: 8, kind: "u32" },
    event: { offset: 12, kind: "u32" },
    values: { offset: 16, kind: "bytes", length: 48 },
  },
} as const;

export const TraceTakenLayout = {
  size: 16,
  fields: {
    count: { offset: 0, kind: "u32" },
    lostCount: { offset: 8, kind: "u64" },
  },
} as const;

export const JailMountParamsLayout = {
  size: 24,
  fields: {
    source: { offset: 0, kind: "pointer" },
    target: { offset: 8, kind: "pointer" },
    flags: { offset: 16, kind: "u32" },
  },
} as const;

export const JailNodeParamsLayout = {
  size: 24,
  fields: {
    path: { offset: 0, kind: "pointer" },
    mode: { offset: 8, kind: "u32" },
    major: { offset: 12, kind: "u32" },
    minor: { offset: 16, kind: "u32" },
  },
} as const;

export const JailEnterParamsLayout = {
  size: 104,
  fields: {
    root: { offset: 0, kind: "pointer" },
    program: { offset: 8, kind: "pointer" },
    arguments: { offset: 16, kind: "pointer" },
    argumentsSize: { offset: 24, kind: "u64" },
    environment: { offset: 32, kind: "pointer" },
    environmentSize: { offset: 40, kind: "u64" },
    argumentCount: { offset: 48, kind: "u32" },
    environmentCount: { offset: 52, kind: "u32" },
    limits: { offset: 56, kind: "pointer" },
    limitCount: { offset: 64, kind: "u32" },
    uid: { offset: 68, kind: "u32" },
    gid: { offset: 72, kind: "u32" },
    groupFd: { offset: 76, kind: "i32" },
    secondGroupFd: { offset: 80, kind: "i32" },
    pidNamespace: { offset: 84, kind: "u32" },
    keepInit: { offset: 88, kind: "u32" },
    capabilities: { offset: 96, kind: "u64" },
  },
} as const;

export const JailExitLayout = {
  size: 8,
  fields: {
    code: { offset: 0, kind: "u32" },
    signal: { offset: 4, kind: "u32" },
  },
} as const;

export const Capability = {
  irqchip: 0,
  userMemory: 3,
  setTssAddr: 4,
  extCpuid: 7,
  nrVcpus: 9,
  nrMemslots: 10,
  mpState: 14,
  irqRouting: 25,
  irqfd: 32,
  pit2: 33,
  ioeventfd: 36,
  setIdentityMapAddr: 37,
  vcpuEvents: 41,
  pitState2: 35,
  debugregs: 50,
  xsave: 55,
  xcrs: 56,
  maxVcpus: 66,
  tscDeadlineTimer: 72,
  signalMsi: 77,
  readonlyMemory: 81,
  immediateExit: 136,
} as const;
export type Capability = (typeof Capability)[keyof typeof Capability];

export const News = {
  park: 0,
  device: 1,
  consoleQuit: 2,
  bootMark: 3,
  migration: 4,
  channel: 5,
  trace: 6,
  chardev: 7,
} as const;
export type News = (typeof News)[keyof typeof News];

export const EngineKind = {
  sync: 0,
  ioUring: 1,
  native: 2,
} as const;
export type EngineKind = (typeof EngineKind)[keyof typeof EngineKind];

export const BlkParamsLayout = {
  size: 64,
  fields: {
    fd: { offset: 0, kind: "i32" },
    engine: { offset: 4, kind: "u32" },
    capacityBytes: { offset: 8, kind: "u64" },
    requestAlignment: { offset: 16, kind: "u32" },
    bufferAlignment: { offset: 20, kind: "u32" },
    queueCount: { offset: 24, kind: "u32" },
    queueSize: { offset: 28, kind: "u32" },
    flags: { offset: 32, kind: "u32" },
    iopsLimit: { offset: 36, kind: "u32" },
    serial: { offset: 40, kind: "bytes", length: 20 },
  },
} as const;

export const RngParamsLayout = {
  size: 16,
  fields: {
    fd: { offset: 0, kind: "i32" },
    rate: { offset: 8, kind: "u64" },
  },
} as const;

export const BalloonParamsLayout = {
  size: 8,
  fields: {
    flags: { offset: 0, kind: "u32" },
  },
} as const;

export const NetParamsLayout = {
  size: 160,
  fields: {
    fds: { offset: 0, kind: "bytes", length: 64 },
    pairCount: { offset: 64, kind: "u32" },
    queueSize: { offset: 68, kind: "u32" },
    flags: { offset: 72, kind: "u32" },
    mac: { offset: 76, kind: "bytes", length: 6 },
    vhostFds: { offset: 84, kind: "bytes", length: 64 },
    vhostFeatures: { offset: 152, kind: "u64" },
  },
} as const;

export const VsockParamsLayout = {
  size: 24,
  fields: {
    fd: { offset: 0, kind: "i32" },
    guestCid: { offset: 8, kind: "u64" },
    features: { offset: 16, kind: "u64" },
  },
} as const;

export const VhostUserKind = {
  blk: 0,
  net: 1,
  fs: 2,
} as const;
export type VhostUserKind = (typeof VhostUserKind)[keyof typeof VhostUserKind];

export const VhostUserParamsLayout = {
  size: 172,
  fields: {
    kind: { offset: 0, kind: "u32" },
    queueCount: { offset: 4, kind: "u32" },
    queueSize: { offset: 8, kind: "u32" },
    flags: { offset: 12, kind: "u32" },
    addressSize: { offset: 16, kind: "u32" },
    address: { offset: 20, kind: "bytes", length: 110 },
    mac: { offset: 130, kind: "bytes", length: 6 },
    tag: { offset: 136, kind: "bytes", length: 36 },
  },
} as const;

export const ConsoleParamsLayout = {
  size: 2488,
  fields: {
    portLimit: { offset: 0, kind: "u32" },
    portCount: { offset: 4, kind: "u32" },
    ports: { offset: 8, kind: "bytes", length: 2480 },
  },
} as const;

export const ConsolePortParamsLayout = {
  size: 80,
  fields: {
    chardev: { offset: 0, kind: "u32" },
    number: { offset: 4, kind: "u32" },
    console: { offset: 8, kind: "u32" },
    nameSize: { offset: 12, kind: "u32" },
    name: { offset: 16, kind: "bytes", length: 64 },
  },
} as const;

export const JailLimitLayout = {
  size: 24,
  fields: {
    resource: { offset: 0, kind: "u32" },
    soft: { offset: 8, kind: "bits64" },
    hard: { offset: 16, kind: "bits64" },
  },
} as const;

export const SYMBOLS = {
  abi_hash: { args: [], returns: "u64_fast" },
  core_create: { args: ["ptr"], returns: "i32" },
  core_destroy: { args: ["ptr"], returns: "i32" },
  core_failure: { args: ["ptr", "ptr"], returns: "i32" },
  thread_create: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  thread_id: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  seccomp_install: { args: ["ptr", "ptr"], returns: "i32" },
  seccomp_set_log: { args: ["i32"], returns: "i32" },
  doorbell_fd: { args: ["ptr", "ptr"], returns: "i32" },
  doorbell_take: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  clock_now: { args: ["ptr", "ptr"], returns: "i32" },
  clock_move: { args: ["ptr", "u64_fast", "ptr"], returns: "i32" },
  vm_capabilities: { args: ["ptr", "ptr"], returns: "i32" },
  vm_create_interrupt_chips: { args: ["ptr"], returns: "i32" },
  vm_create_pit: { args: ["ptr"], returns: "i32" },
  vm_set_routes: { args: ["ptr", "ptr", "u32"], returns: "i32" },
  memory_add: { args: ["ptr", "ptr"], returns: "i32" },
  memory_read: { args: ["ptr", "ptr"], returns: "i32" },
  memory_write: { args: ["ptr", "ptr"], returns: "i32" },
  memory_load: { args: ["ptr", "ptr"], returns: "i32" },
  memory_load_data: { args: ["ptr", "ptr"], returns: "i32" },
  chardev_create: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  chardev_info: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  chardev_finish: { args: ["ptr", "u32"], returns: "i32" },
  terminal_set_raw: { args: ["ptr", "i32"], returns: "i32" },
  host_listen: { args: ["ptr", "ptr", "u32", "ptr"], returns: "i32" },
  host_connect: { args: ["ptr", "ptr", "u32", "ptr"], returns: "i32" },
  host_socket_in_use: { args: ["ptr", "ptr", "u32", "ptr"], returns: "i32" },
  host_prepare_pty: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  host_watch_pty: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  host_lock_file: { args: ["ptr", "i32", "u32"], returns: "i32" },
  host_write_now: { args: ["i32", "ptr", "u32", "ptr"], returns: "i32" },
  cpu_vendor: { args: ["ptr"], returns: "i32" },
  host_memory_file: { args: ["ptr", "u64_fast", "ptr"], returns: "i32" },
  host_direct_alignment: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  host_attach_tap: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  host_inspect_tap: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  host_prepare_tap: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  host_open_vhost: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  host_set_vsock_guest: { args: ["ptr", "i32", "u32"], returns: "i32" },
  channel_open: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  channel_receive: { args: ["ptr", "ptr"], returns: "i32" },
  channel_close: { args: ["ptr", "u32"], returns: "i32" },
  device_create: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  device_destroy: { args: ["ptr", "u32"], returns: "i32" },
  device_info: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  device_back_end: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  device_metrics: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  device_replace: { args: ["ptr", "u32", "ptr", "u32"], returns: "i32" },
  device_set_balloon: { args: ["ptr", "u32", "u32"], returns: "i32" },
  device_balloon: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  device_marks: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  map_publish: { args: ["ptr", "ptr", "u32"], returns: "i32" },
  bus_read: { args: ["ptr", "ptr"], returns: "i32" },
  bus_write: { args: ["ptr", "ptr"], returns: "i32" },
  cpu_apic_id: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  vcpu_create: { args: ["ptr", "ptr"], returns: "i32" },
  vcpu_set_entry: { args: ["ptr", "ptr"], returns: "i32" },
  vcpus_start: { args: ["ptr"], returns: "i32" },
  vcpus_resume: { args: ["ptr"], returns: "i32" },
  vcpus_pause: { args: ["ptr"], returns: "i32" },
  vcpu_info: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  vcpu_registers: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  park_answer: { args: ["ptr", "u32"], returns: "i32" },
  devices_pause: { args: ["ptr"], returns: "i32" },
  devices_unpause: { args: ["ptr"], returns: "i32" },
  state_save: { args: ["ptr", "ptr"], returns: "i32" },
  state_restore: { args: ["ptr", "ptr"], returns: "i32" },
  memory_save_start: { args: ["ptr", "ptr"], returns: "i32" },
  memory_save_progress: { args: ["ptr", "ptr"], returns: "i32" },
  memory_save_cancel: { args: ["ptr"], returns: "i32" },
  memory_save_checksums: { args: ["ptr", "ptr"], returns: "i32" },
  host_checksums: { args: ["ptr", "ptr"], returns: "i32" },
  trace_set: { args: ["u32", "u32"], returns: "i32" },
  trace_open_ring: { args: [], returns: "i32" },
  trace_set_marker: { args: ["i32"], returns: "i32" },
  trace_take: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  jail_unshare: { args: ["u32", "ptr"], returns: "i32" },
  jail_join_network: { args: ["i32", "ptr"], returns: "i32" },
  jail_set_host_name: { args: ["ptr", "u32", "ptr"], returns: "i32" },
  jail_mount: { args: ["ptr", "ptr"], returns: "i32" },
  jail_unmount: { args: ["ptr", "ptr"], returns: "i32" },
  jail_make_node: { args: ["ptr", "ptr"], returns: "i32" },
  jail_lock: { args: ["i32", "ptr"], returns: "i32" },
  jail_enter: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
} as const;
