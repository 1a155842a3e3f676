// What an explored run has written to the emulated machine's memory: to undo it, to tell states apart, to name writers.

public import CPlatform

/// A log of the writes that explored threads make to the machine's memory.
///
/// Begin it when the world is built and everything is at rest; roll it back after each run. State that is not in the
/// machine's memory is put back by its owners: see `Checkpoint`.
@safe public final class ChangeLog {
    let log: UnsafeMutablePointer<cp_undo_log>

    /// Makes an empty log that records nothing yet.
    public init() {
        guard let log = unsafe cp_undo_create() else { preconditionFailure("no memory for a log of changes") }
        unsafe self.log = log
    }

    deinit { unsafe cp_undo_destroy(log) }

    /// Takes what this OS thread reserves from now on as the log's, until it begins: the hash of a state counts addresses by
    /// their place in a reservation, and is the same in every process.
    public func adoptReservations() { unsafe cp_set_undo_owner(log) }

    /// Records the writes of this OS thread from now on. What is now is the beginning.
    public func begin() {
        cp_set_undo_owner(nil)
        unsafe cp_undo_clear(log)
        unsafe cp_set_undo_log(log)
    }

    /// Goes on recording this OS thread's writes, in place of any other log of its.
    public func resume() { unsafe cp_set_undo_log(log) }

    /// Records no more.
    public func end() { cp_set_undo_log(nil) }

    /// Puts back everything that was written since the beginning.
    public func rollBack() { unsafe cp_undo_roll_back(log) }

    /// How many writes are recorded.
    public var count: Int { unsafe log.pointee.count }

    /// A number for the contents of memory: equal contents give equal numbers, in every process, and others almost never do.
    public var hash: UInt64 { unsafe log.pointee.hash }

    /// Goes up with every recorded write and every change that `noteChange` tells of.
    public var changeCount: UInt64 { unsafe log.pointee.changes }

    /// Goes up with every change that `noteChange` tells of: while it stands still, only memory has changed.
    public var touchCount: UInt64 { unsafe log.pointee.touches }

    /// The last recorded write of a quadword: who wrote, and what stood there before. Nil if nobody wrote it.
    public func lastWrite(at address: UnsafeRawPointer) -> (writer: Writer, old: UInt64)? {
        let record = unsafe cp_undo_last(log, address)
        guard record >= 0 else { return nil }
        let writer = unsafe log.pointee.records[record].writer
        return unsafe (Writer(rawValue: writer), cp_undo_old(log, record, address))
    }

    /// Who wrote, and when.
    public struct Writer: RawRepresentable, Hashable, Sendable {
        /// The thread's number in bits 31:26, the schedule point before the write in bits 25:0.
        public var rawValue: UInt32
        /// Makes a writer from its number.
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// Makes a writer.
        init(thread: Int, step: Int) {
            rawValue = UInt32(truncatingIfNeeded: thread << 26 | step & 0x3ff_ffff)
        }
        /// The explored thread's number.
        public var thread: Int { Int(rawValue >> 26) }
        /// How many schedule points the run had reached.
        public var step: Int { Int(rawValue & 0x3ff_ffff) }
    }
}

/// Tells an exploration that state outside the machine's memory has changed. Costs one predictable branch otherwise.
@inlinable public func noteChange() { cp_undo_touch() }

/// State as it was at one moment, and the way back to it: for values that no log of memory covers.
public struct Checkpoint {
    private var actions: [() -> Void] = []

    /// Makes a checkpoint of nothing.
    public init() {}

    /// Adds a part: what puts it back.
    public mutating func add(_ restore: @escaping () -> Void) { actions.append(restore) }

    /// Adds another checkpoint's parts.
    public mutating func add(_ other: Checkpoint) { actions += other.actions }

    /// Puts every part back, the last added first.
    public func restore() { for action in actions.reversed() { action() } }
}
