//! A ring as whoever serves it in a test sees it: takes chains and uses them as they are.

pub const View = struct {
    /// Entries.
    size: u32,
    available: [*]u16,
    used: [*]u16,

    /// Uses the chain at an available index; false when the guest offers none there.
    pub fn use(self: *const View, index: u16) bool {
        if (@atomicLoad(u16, &self.available[1], .acquire) == index) return false;
        const elements: [*]align(2) u32 = @ptrCast(self.used + 2);
        const old = self.used[1];
        elements[2 * (old % self.size)] = self.available[2 + index % self.size];
        elements[2 * (old % self.size) + 1] = 0;
        @atomicStore(u16, &self.used[1], old +% 1, .release);
        return true;
    }
};
