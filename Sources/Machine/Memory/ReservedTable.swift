// A large flat table that costs what is touched: for structures with one element per page of a machine of many TiB.

public import CPlatform

/// A fixed number of zero-initialised quadwords in lazily reserved memory.
///
/// Elements are loaded and stored whole; a lock of the owner orders compound changes.
@safe public final class ReservedTable: @unchecked Sendable {
    /// The number of elements.
    public let count: Int
    @usableFromInline let base: UnsafeMutableRawPointer

    /// Reserves a table of `count` zeros.
    ///
    /// - Throws: `.reservationRefused` when the system refuses the address space
    public init(count: Int) throws(MachineError) {
        precondition(count >= 0 && count <= 1 << 48, "table size")
        guard let base = unsafe cp_reserve(max(count, 1) << 3) else {
            throw .reservationRefused(UInt64(count) << 3)
        }
        self.count = count
        unsafe self.base = base
    }

    deinit { unsafe cp_release(base, max(count, 1) << 3) }

    /// One element.
    @inlinable public subscript(_ index: Int) -> UInt64 {
        get {
            precondition(index >= 0 && index < count, "outside the table")
            return unsafe cp_load_relaxed_u64(base + index << 3)
        }
        set {
            precondition(index >= 0 && index < count, "outside the table")
            unsafe cp_undo_note(base + index << 3, newValue)
            unsafe cp_store_relaxed_u64(base + index << 3, newValue)
        }
    }

    /// Sets an element behind the back of the change log: for a table that is no part of what is emulated.
    @inlinable public func setUnnoted(_ index: Int, to value: UInt64) {
        precondition(index >= 0 && index < count, "outside the table")
        unsafe cp_store_relaxed_u64(base + index << 3, value)
    }
}
