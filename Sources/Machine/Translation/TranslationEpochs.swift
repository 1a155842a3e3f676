// The flush that reaches every processor: a counter for each ASID, which TLB entries remember.

public import CPlatform
public import SNPArchitecture

/// How often each ASID's translations have been flushed on all processors.
///
/// A flush takes effect everywhere at once, as INVLPGB with TLBSYNC does. The hypervisor must still ask for it: an entry
/// that was zapped and not flushed is used on.
@safe public final class TranslationEpochs: @unchecked Sendable {
    @usableFromInline let counters: UnsafeMutablePointer<UInt64>

    /// The number of counters: one for each ASID that an RMP entry can hold.
    @inlinable static var count: Int { Int(ASID.maximum.rawValue) + 1 }

    /// Makes counters of zero.
    public init() {
        unsafe counters = .allocate(capacity: Self.count)
        unsafe counters.initialize(repeating: 0, count: Self.count)
    }

    deinit { unsafe counters.deallocate() }

    /// How often the ASID has been flushed.
    @inlinable public func epoch(of asid: ASID) -> UInt64 {
        precondition(asid <= .maximum, "an ASID past the RMP's ten bits")
        return unsafe cp_load_acquire_u64(counters + Int(asid.rawValue))
    }

    /// Flushes the ASID's translations on all processors.
    ///
    /// - Spec: APM3 INVLPGB, TLBSYNC; APM2 15.16 (TLB control)
    public func flush(_ asid: ASID) {
        precondition(asid <= .maximum, "an ASID past the RMP's ten bits")
        unsafe cp_undo_note_hidden(counters + Int(asid.rawValue))
        _ = unsafe cp_fetch_add_relaxed_u64(counters + Int(asid.rawValue), 1)
    }
}
