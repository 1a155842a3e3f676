// Loads and stores of guest code: one comparison finds a present translation and that the access stays in its page.
//
// An entry: the page for reads, the page for writes, what to add to a linear address to get the host's. A page that cannot
// be read or written has no tag for it. Everything else (walks, faults, page-crossing accesses, writes to code) is the
// owner's callback's, which fills an entry so that the operation can be run again, or refuses.

/// What the core asks of its owner.
package struct CoreCallbacks {
    /// An access missed: makes it possible (true) or refuses (false). Core, operation, linear address in the core.
    package var fill: @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Bool
    /// Finds or makes the block at a RIP; nil refuses.
    package var block: @convention(c) (UnsafeMutableRawPointer, UInt64) -> UnsafeMutableRawPointer?
    package init(
        fill: @convention(c) (UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Bool,
        block: @convention(c) (UnsafeMutableRawPointer, UInt64) -> UnsafeMutableRawPointer?
    ) {
        self.fill = fill
        self.block = block
    }
}

/// One entry of the software TLB.
package enum TLBEntry {
    package static let readTag = 0
    package static let writeTag = 8
    package static let addend = 16
    package static let byteCount = 32
    /// A tag that matches no access.
    package static let none: UInt64 = ~0

    /// Where the entry of a linear address is.
    @inline(__always) package static func of(_ address: UInt64, _ core: Core) -> UnsafeMutableRawPointer {
        core + CoreLayout.tlb
            + Int(truncatingIfNeeded: (address &>> 12) & UInt64(CoreLayout.tlbCount - 1)) &* byteCount
    }
}

@inline(__always) func address(_ core: Core, _ op: Op) -> UInt64 {
    register(core, op.pointee.base, as: UInt64.self)
        &+ (register(core, op.pointee.index, as: UInt64.self) &<< UInt64(op.pointee.scale))
        &+ UInt64(bitPattern: op.pointee.displacement)
}

/// An address that a present translation gave. Made a pointer by its bits: by way of an optional every access would compare
/// it with nil.
struct HostAddress {
    let bits: UInt64
    var pointer: UnsafeMutableRawPointer {
        @inline(__always) get { unsafeBitCast(self, to: UnsafeMutableRawPointer.self) }
    }
}

/// The host's address of an access, or nil if the owner must be asked.
@inline(__always) func reach(
    _ core: Core, _ address: UInt64, byteCount: UInt64, tag: Int
) -> UnsafeMutableRawPointer? {
    let entry = TLBEntry.of(address, core)
    let tagged: UInt64 = load(entry, tag)
    guard _fastPath(tagged == (address &+ (byteCount &- 1)) & ~0xfff) else {
        store(core, CoreLayout.missAddress, address)
        return nil
    }
    let addend: UInt64 = load(entry, TLBEntry.addend)
    return HostAddress(bits: address &+ addend).pointer
}

@inline(__always) func readable<T>(_ core: Core, _ at: UInt64, _ type: T.Type) -> UnsafeMutableRawPointer? {
    reach(core, at, byteCount: UInt64(MemoryLayout<T>.size), tag: TLBEntry.readTag)
}
@inline(__always) func writable<T>(_ core: Core, _ at: UInt64, _ type: T.Type) -> UnsafeMutableRawPointer? {
    reach(core, at, byteCount: UInt64(MemoryLayout<T>.size), tag: TLBEntry.writeTag)
}

/// Asks the owner to make the access of an operation possible, and runs the operation again.
@inline(never) func fill(_ core: Core, _ op: Op) {
    let callbacks: UnsafeMutablePointer<CoreCallbacks> = load(core, CoreLayout.callbacks)
    leaveFloats(core)
    let isFilled = callbacks.pointee.fill(core, UnsafeMutableRawPointer(op))
    enterFloats(core)
    if isFilled {
        next(core, op)
    } else {
        leave(core, op, .refused)
    }
}
