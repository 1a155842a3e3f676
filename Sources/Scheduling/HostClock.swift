// The host's time: the system's monotonic clock, or virtual time that only waiting moves.

import Glibc

/// A moment of the host's time, in nanoseconds from an arbitrary start.
@frozen public struct HostInstant: Hashable, Comparable, Sendable {
    /// Nanoseconds since the start.
    public var nanoseconds: UInt64
    /// Makes a moment.
    @inlinable public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }
    /// The moment later by so many nanoseconds; the last moment there is if that does not fit.
    @inlinable public func advanced(byNanoseconds count: UInt64) -> Self {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(count)
        return Self(nanoseconds: overflow ? .max : sum)
    }
    /// Orders by time.
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
}

/// The clock of the host.
///
/// Explored threads see virtual time: it starts at 0 and jumps to the next deadline when every thread waits.
public enum HostClock {
    /// The time now.
    public static var now: HostInstant {
        if let explorer = Explorer.current { return explorer.virtualTime }
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return HostInstant(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    /// Waits until the moment has come.
    public static func sleep(until deadline: HostInstant) {
        if let explorer = Explorer.current {
            explorer.sleep(until: deadline)
            return
        }
        var time = timespec(
            tv_sec: Int(clamping: deadline.nanoseconds / 1_000_000_000),
            tv_nsec: Int(deadline.nanoseconds % 1_000_000_000))
        while unsafe clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nil) == EINTR {}
    }

    /// Lets other threads have this one's processor, between two attempts at something that another processor is at: the system
    /// may have put that thread aside in the middle of an instruction, as no processor is. Nothing in an explored run,
    /// where the schedule says who goes on.
    public static func giveWay() {
        if Explorer.current == nil { sched_yield() }
    }

    /// Waits for so many nanoseconds.
    public static func sleep(nanoseconds: UInt64) { sleep(until: now.advanced(byNanoseconds: nanoseconds)) }
}
