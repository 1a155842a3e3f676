// Where an explored thread may be interrupted. Code between two points runs undisturbed in an explored run; on real
// threads points do nothing.

public import CPlatform

/// A kind of place in the code where another thread may run.
///
/// The rule that comes with points: no `inout` or modifying access to shared state stays open across one, since another
/// thread may change that state there. The exclusivity checker stops a program that breaks the rule.
public enum SchedulePoint: UInt8, CaseIterable, Sendable {
    /// Before a lock is tried.
    case lockAcquire
    /// After a lock was released.
    case lockRelease
    /// Before a thread waits for a condition or for time to pass.
    case wait
    /// Before an RMPUPDATE.
    case rmpUpdate
    /// Before a PSMASH.
    case psmash
    /// Before the hypervisor looks at an RMP entry.
    case rmpRead
    /// Before a guest's PVALIDATE or RMPADJUST.
    case pvalidate
    /// Before a firmware command.
    case mailbox
    /// Before memory attributes change.
    case attributeUpdate
    /// Before a nested page-table entry is written.
    case nestedMap
    /// Before nested page-table entries are removed.
    case nestedZap
    /// Before an invalidation begins.
    case invalidationBegin
    /// After an invalidation has ended.
    case invalidationEnd
    /// Before a backing page is looked up, allocated or freed.
    case backing
    /// Before the direct map is split, unmapped or restored.
    case directMap
    /// Before a guest access to memory.
    case guestAccess
    /// Before a host access to memory.
    case hostAccess
    /// In a loop that tries again.
    case yield
}

/// Lets an explored run switch to another thread here; costs one predictable branch otherwise.
@inlinable
public func schedulePoint(_ point: SchedulePoint) {
    if let explorer = unsafe cp_current_explorer() { unsafe exploredPoint(explorer, point) }
}

/// The slow half of `schedulePoint`: hands the point to the explorer in charge.
@usableFromInline
@inline(never)
func exploredPoint(_ explorer: UnsafeMutableRawPointer, _ point: SchedulePoint) {
    // SAFETY: the pointer is set by `Explorer.run` for as long as the explorer runs its threads, and cleared after.
    unsafe Unmanaged<Explorer>.fromOpaque(explorer)._withUnsafeGuaranteedRef { $0.reach(point) }
}
