// The memory of one core, owned: registers by number, flags, the TLB and the jump cache. What runs in it is ProcessorCore's.

internal import ProcessorCore

/// The memory of a core and access to it from ordinary code.
@safe final class CoreMemory {
    /// The memory itself.
    let base: Core
    private let callbacks: UnsafeMutablePointer<CoreCallbacks>

    /// Makes a core with empty caches.
    ///
    /// - Parameter context: what the callbacks find at `CoreLayout.context`
    init(_ given: CoreCallbacks) {
        unsafe base = .allocate(byteCount: CoreLayout.byteCount, alignment: 4096)
        unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: CoreLayout.byteCount)
        unsafe callbacks = .allocate(capacity: 1)
        unsafe callbacks.initialize(to: given)
        unsafe base.storeBytes(
            of: callbacks, toByteOffset: CoreLayout.callbacks, as: UnsafeMutablePointer<CoreCallbacks>.self)
        self[CoreLayout.direction] = 1
        flushTranslations()
    }

    deinit {
        unsafe base.deallocate()
        unsafe callbacks.deallocate()
    }

    /// What the callbacks are given.
    var context: UnsafeRawPointer? {
        get { unsafe base.load(fromByteOffset: CoreLayout.context, as: UnsafeRawPointer?.self) }
        set { unsafe base.storeBytes(of: newValue, toByteOffset: CoreLayout.context, as: UnsafeRawPointer?.self) }
    }

    /// A quadword of the layout.
    subscript(_ offset: Int) -> UInt64 {
        get {
            precondition(offset >= 0 && offset + 8 <= CoreLayout.byteCount)
            return unsafe base.load(fromByteOffset: offset, as: UInt64.self)
        }
        set {
            precondition(offset >= 0 && offset + 8 <= CoreLayout.byteCount)
            unsafe base.storeBytes(of: newValue, toByteOffset: offset, as: UInt64.self)
        }
    }

    /// A word of the layout.
    func word(_ offset: Int) -> UInt16 {
        precondition(offset >= 0 && offset + 2 <= CoreLayout.byteCount)
        return unsafe base.load(fromByteOffset: offset, as: UInt16.self)
    }
    /// Sets a word of the layout.
    func setWord(_ offset: Int, _ value: UInt16) {
        precondition(offset >= 0 && offset + 2 <= CoreLayout.byteCount)
        unsafe base.storeBytes(of: value, toByteOffset: offset, as: UInt16.self)
    }

    /// A register as an operand names it.
    subscript(_ register: RegisterOperand) -> UInt64 {
        get {
            let offset = Int(register.offset)
            switch register.width {
            case .byte: return UInt64(unsafe base.load(fromByteOffset: offset, as: UInt8.self))
            case .word: return UInt64(unsafe base.load(fromByteOffset: offset, as: UInt16.self))
            case .double: return UInt64(unsafe base.load(fromByteOffset: offset, as: UInt32.self))
            case .quad, .octo: return self[offset]
            }
        }
        set {
            let offset = Int(register.offset)
            switch register.width {
            case .byte:
                unsafe base.storeBytes(of: UInt8(truncatingIfNeeded: newValue), toByteOffset: offset, as: UInt8.self)
            case .word:
                unsafe base.storeBytes(of: UInt16(truncatingIfNeeded: newValue), toByteOffset: offset, as: UInt16.self)
            case .double: self[offset] = newValue & 0xffff_ffff
            case .quad, .octo: self[offset] = newValue
            }
        }
    }

    /// A whole general register by number: 0 RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI.
    func general(_ number: Int) -> UInt64 { self[CoreLayout.registers + number * 8] }
    /// Sets a whole general register.
    func setGeneral(_ number: Int, _ value: UInt64) { self[CoreLayout.registers + number * 8] = value }

    /// Sets XMM0 to XMM15, two quadwords each, and keeps the upper halves of the registers. The values are read where they are,
    /// and not copied before.
    func setVectors(_ values: inout InlineArray<32, UInt64>) {
        // SAFETY: sixteen registers of 32 bytes lie at `CoreLayout.vectors`; the low halves are written.
        unsafe withUnsafeBytes(of: &values) { bytes in
            for number in 0..<16 {
                let value = unsafe bytes.loadUnaligned(fromByteOffset: number &* 16, as: SIMD2<UInt64>.self)
                unsafe base.storeBytes(
                    of: value, toByteOffset: CoreLayout.vectors &+ number &* 32, as: SIMD2<UInt64>.self)
            }
        }
    }

    /// Gets XMM0 to XMM15.
    func getVectors(_ values: inout InlineArray<32, UInt64>) {
        // SAFETY: as above; the low halves are read.
        unsafe withUnsafeMutableBytes(of: &values) { bytes in
            for number in 0..<16 {
                let value = unsafe base.loadUnaligned(
                    fromByteOffset: CoreLayout.vectors &+ number &* 32, as: SIMD2<UInt64>.self)
                unsafe bytes.storeBytes(of: value, toByteOffset: number &* 16, as: SIMD2<UInt64>.self)
            }
        }
    }

    /// CF, PF, AF, ZF, SF and OF at their places.
    var flags: UInt64 {
        get { unsafe arithmeticFlags(base) }
        set { unsafe setArithmeticFlags(base, newValue) }
    }

    /// Whether a condition of Jcc holds, by the low four bits of its opcode.
    func holds(_ condition: Int) -> Bool { unsafe conditionHolds(base, condition) }

    /// Sets the flags of a - b.
    func compare(_ a: UInt64, _ b: UInt64, _ width: Width) {
        unsafe compareValues(base, a, b, byteCount: width.byteCount)
    }

    /// Why the core left.
    var exit: CoreExit { CoreExit(rawValue: self[CoreLayout.exit]) ?? .none }
    /// The operation at which it left, if it was at one.
    var exitOperation: UnsafeMutablePointer<Operation>? {
        unsafe base.load(fromByteOffset: CoreLayout.exitOperation, as: UnsafeMutablePointer<Operation>?.self)
    }

    /// Empties the TLB and the jump cache.
    func flushTranslations() {
        for index in 0..<CoreLayout.tlbCount {
            self[CoreLayout.tlb + index * TLBEntry.byteCount + TLBEntry.readTag] = TLBEntry.none
            self[CoreLayout.tlb + index * TLBEntry.byteCount + TLBEntry.writeTag] = TLBEntry.none
        }
        flushJumps()
    }

    /// What the jump cache has for a RIP.
    func jump(to rip: UInt64) -> UnsafeMutablePointer<Operation>? {
        // SAFETY: an entry of the cache: a RIP and an operation that is kept as long as the entry.
        let entry = unsafe jumpCacheEntry(base, rip)
        guard unsafe entry.load(as: UInt64.self) == rip else { return nil }
        return unsafe entry.load(fromByteOffset: 8, as: UnsafeMutablePointer<Operation>?.self)
    }

    /// Puts a RIP into the jump cache.
    func remember(_ operation: UnsafeMutableRawPointer, at rip: UInt64) {
        // SAFETY: as above.
        let entry = unsafe jumpCacheEntry(base, rip)
        unsafe entry.storeBytes(of: rip, as: UInt64.self)
        unsafe entry.storeBytes(of: operation, toByteOffset: 8, as: UnsafeMutableRawPointer.self)
    }

    /// Empties the jump cache.
    func flushJumps() {
        for index in 0..<CoreLayout.jumpCacheCount { self[CoreLayout.jumpCache + index * 16] = ~0 }
    }

    /// Where the TLB entry of a linear address is in the layout.
    func entryOffset(_ address: UInt64) -> Int {
        CoreLayout.tlb + Int(address >> 12 & UInt64(CoreLayout.tlbCount - 1)) * TLBEntry.byteCount
    }

    /// What a kernel makes of two vectors: for vectors that are not the core's.
    func apply(
        _ kernel: Kernel, _ a: (UInt64, UInt64), _ b: (UInt64, UInt64), _ immediate: Int64
    ) -> (UInt64, UInt64) {
        let (first, second) = (CoreLayout.scratch, CoreLayout.scratch + 16)
        (self[first], self[first + 8]) = a
        (self[second], self[second + 8]) = b
        unsafe enterFloats(base)
        unsafe kernel(base, base + first, base + second, Int(immediate))
        unsafe leaveFloats(base)
        return (self[first], self[first + 8])
    }

    /// Runs operations until the core leaves.
    func run(from operation: UnsafeMutablePointer<Operation>) {
        unsafe ProcessorCore.run(base, from: UnsafeMutableRawPointer(operation))
    }
}
