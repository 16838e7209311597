//! The bucket policy of libstdc++'s std::unordered_map and its hash of a byte string.

const std = @import("std");

/// Layout of std::__detail::_Prime_rehash_policy.
pub const Policy = extern struct { max_load: f32, next_resize: usize };

/// Layout of std::pair<bool, std::size_t>.
pub const Decision = extern struct { is_needed: bool, bucket_count: usize };

/// Tables start with this many buckets' worth of room on their first insertion.
const first_size = 11;

fn isPrime(number: usize) bool {
    if (number < 4) return number > 1;
    if (number % 2 == 0) return false;
    var divisor: usize = 3;
    while (divisor <= number / divisor) : (divisor += 2) {
        if (number % divisor == 0) return false;
    }
    return true;
}

/// The smallest usable bucket count that is not below `count`; remembers when to grow next.
pub fn nextBucketCount(policy: *Policy, count: usize) callconv(.c) usize {
    var buckets = @max(count, 2);
    while (!isPrime(buckets)) buckets += 1;
    policy.next_resize = capacity(policy, buckets);
    return buckets;
}

/// How many elements `buckets` may hold.
fn capacity(policy: *const Policy, buckets: usize) usize {
    return std.math.lossyCast(usize, @as(f64, @floatFromInt(buckets)) * policy.max_load);
}

/// Whether `inserted` more elements need more buckets, and how many.
pub fn needRehash(
    policy: *Policy,
    buckets: usize,
    elements: usize,
    inserted: usize,
) callconv(.c) Decision {
    const stay: Decision = .{ .is_needed = false, .bucket_count = 0 };
    const total = elements + inserted;
    if (total <= policy.next_resize) return stay;
    const wanted = if (policy.next_resize == 0) @max(total, first_size) else total;
    const load: f64 = @as(f64, @floatFromInt(wanted)) / policy.max_load;
    if (load < @as(f64, @floatFromInt(buckets))) {
        policy.next_resize = capacity(policy, buckets);
        return stay;
    }
    const least = std.math.lossyCast(usize, load) + 1;
    const count = nextBucketCount(policy, @max(least, buckets * 2));
    return .{ .is_needed = true, .bucket_count = count };
}

/// Any hash that is stable within the process will do: nothing stores it.
pub fn hashBytes(bytes: [*]const u8, length: usize, seed: usize) callconv(.c) usize {
    return std.hash.Wyhash.hash(seed, bytes[0..length]);
}
