//! What a register access asks of the dispatcher beyond its data. Devices only say; the vCPU acts.

/// Why a vCPU waits for TypeScript. Each is rare: none is part of a boot before power-off.
pub const ParkReason = enum(u32) {
    none = 0,
    /// The guest asked to be switched off (ACPI S5).
    power_off,
    /// The guest asked for a reset (i8042, ACPI reset register, port 0xCF9).
    reset,
    /// A triple fault.
    triple_fault,
    /// KVM cannot run the vCPU any longer; registers are kept for the report.
    vcpu_failed,
};

pub const Outcome = union(enum) {
    none,
    park: ParkReason,
};
