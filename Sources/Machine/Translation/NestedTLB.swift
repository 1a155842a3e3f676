// One processor's cache of nested translations, with the RMP's verdict. Direct mapped, by 4 KiB frame.
//
// An entry holds while its ASID has not been flushed and its frame's 2 MiB region of the RMP has not changed since.
// It does not notice changes of the nested tables: as on hardware, the hypervisor flushes after it zaps.

public import SNPArchitecture

/// A nested translation that has passed the page tables and the RMP for some kinds of access.
@frozen public struct CachedTranslation: Hashable, Sendable {
    /// The 4 KiB frame.
    public var pfn: PFN
    /// The level of the nested mapping.
    public var level: PageLevel
    /// The kinds of access that passed.
    public var allowed: AllowedAccess
    /// Makes a translation.
    @inlinable public init(pfn: PFN, level: PageLevel, allowed: AllowedAccess) {
        self.pfn = pfn
        self.level = level
        self.allowed = allowed
    }
}

/// A set of kinds of access.
@frozen public struct AllowedAccess: OptionSet, Hashable, Sendable {
    /// One bit for each kind.
    public var rawValue: UInt8
    /// Makes a set from its bits.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The set of one kind.
    @inlinable public init(_ kind: AccessKind) { rawValue = 1 << kind.rawValue }
    /// Data reads.
    @inlinable public static var read: Self { Self(.read) }
    /// Data writes.
    @inlinable public static var write: Self { Self(.write) }
    /// Instruction fetches.
    @inlinable public static var execute: Self { Self(.execute) }
}

/// Whose view of guest physical memory a translation belongs to.
@frozen public struct TranslationTag: Hashable, Sendable {
    @usableFromInline var bits: UInt64

    /// Makes a tag.
    ///
    /// - Parameters:
    ///   - privilege: whether the entry is for user or supervisor accesses: VMPL permissions tell them apart
    @inlinable public init(asid: ASID, cBit: CBit, vmpl: VMPL, privilege: GuestPrivilege) {
        bits =
            UInt64(asid.rawValue & 0xfff) << 48 | UInt64(vmpl.rawValue) << 60 | UInt64(cBit.rawValue) << 62
            | UInt64(privilege.rawValue) << 63
    }

    @inlinable func with(_ gfn: GFN) -> UInt64 { bits | (gfn.rawValue &+ 1) }
    @inlinable static func asid(_ bits: UInt64) -> UInt64 { bits >> 48 & 0xfff }
    @inlinable static func frame(_ bits: UInt64) -> UInt64 { (bits & 0xffff_ffff_ffff) &- 1 }
}

/// The nested TLB of one processor. Not for use by several threads.
@safe public final class NestedTLB {
    /// The number of entries.
    @inlinable public static var entryCount: Int { 2048 }

    @usableFromInline struct Slot {
        /// The tag with the frame plus one; 0 is an empty slot.
        @usableFromInline var key: UInt64 = 0
        @usableFromInline var epoch: UInt64 = 0
        @usableFromInline var value = CachedTranslation(pfn: PFN(0), level: .level4K, allowed: [])
        @usableFromInline var generation: UInt32 = 0
        @inlinable init() {}
    }

    @usableFromInline let slots: UnsafeMutablePointer<Slot>
    @usableFromInline let rmp: ReverseMapTable
    @usableFromInline let epochs: TranslationEpochs

    /// Grows with every flush: what else keeps translations must forget them too.
    @safe @exclusivity(unchecked) public private(set) var flushCount: UInt64 = 0

    /// Makes an empty TLB over a machine's RMP and flush counters.
    public init(rmp: ReverseMapTable, epochs: TranslationEpochs) {
        self.rmp = rmp
        self.epochs = epochs
        unsafe slots = .allocate(capacity: Self.entryCount)
        unsafe slots.initialize(repeating: Slot(), count: Self.entryCount)
    }

    deinit { unsafe slots.deallocate() }

    /// The cached translation of a frame for a kind of access, or nil if a walk must find it.
    @inlinable public func lookup(_ gfn: GFN, _ tag: TranslationTag, _ kind: AccessKind) -> CachedTranslation? {
        find(gfn, tag, kind)?.value
    }

    /// The cached translation with the RMP generation of its frame's region that it was checked under.
    @inlinable @inline(__always) func find(
        _ gfn: GFN, _ tag: TranslationTag, _ kind: AccessKind
    ) -> (value: CachedTranslation, generation: UInt32)? {
        // SAFETY: the index is masked to the number of slots.
        let slot = unsafe slots + Int(truncatingIfNeeded: gfn.rawValue) & (Self.entryCount &- 1)
        guard unsafe slot.pointee.key == tag.with(gfn) else { return nil }
        let value = unsafe slot.pointee.value
        guard value.allowed.contains(AllowedAccess(kind)) else { return nil }
        guard unsafe slot.pointee.epoch == epochs.epoch(of: ASID(UInt32(TranslationTag.asid(tag.bits)))) else {
            return nil
        }
        let generation = unsafe slot.pointee.generation
        guard !rmp.covers(value.pfn) || generation == rmp.generation(of: value.pfn) else { return nil }
        return (value, generation)
    }

    /// Keeps a translation.
    ///
    /// - Parameters:
    ///   - epoch: the ASID's epoch, read before the walk began
    ///   - generation: the RMP generation of the frame's region, read before the RMP was; an odd one is not kept
    @inlinable public func insert(
        _ gfn: GFN, _ tag: TranslationTag, _ value: CachedTranslation, epoch: UInt64, generation: UInt32
    ) {
        guard generation & 1 == 0, gfn.rawValue < PageTable.frameCount else { return }
        let slot = unsafe slots + Int(truncatingIfNeeded: gfn.rawValue) & (Self.entryCount &- 1)
        unsafe slot.pointee.key = tag.with(gfn)
        unsafe slot.pointee.epoch = epoch
        unsafe slot.pointee.value = value
        unsafe slot.pointee.generation = generation
    }

    /// Removes all translations.
    public func flush() {
        flushCount &+= 1
        unsafe slots.update(repeating: Slot(), count: Self.entryCount)
    }

    /// Removes an ASID's translations.
    public func flush(_ asid: ASID) {
        unsafe removeAll { unsafe TranslationTag.asid($0.pointee.key) == UInt64(asid.rawValue) }
    }

    /// Removes the translation of the page that holds a guest frame, whatever its size, for every VMPL and C-bit.
    ///
    /// - Spec: APM3 INVLPGA
    public func flush(_ gfn: GFN, of asid: ASID) {
        unsafe removeAll { slot in
            let key = unsafe slot.pointee.key
            guard TranslationTag.asid(key) == UInt64(asid.rawValue) else { return false }
            let mask = unsafe ~(slot.pointee.value.level.pageCount &- 1)
            return (TranslationTag.frame(key) ^ gfn.rawValue) & mask == 0
        }
    }

    private func removeAll(where test: (UnsafeMutablePointer<Slot>) -> Bool) {
        flushCount &+= 1
        for index in 0..<Self.entryCount {
            let slot = unsafe slots + index
            if unsafe slot.pointee.key != 0, unsafe test(slot) { unsafe slot.pointee = Slot() }
        }
    }
}
