// Model-specific registers that the host emulates for RDMSR and WRMSR of a guest: few, and most of them constant.

internal import Scheduling

/// The emulated registers of one virtual CPU.
///
/// - Deviates: without an interrupt controller nothing stands behind the x2APIC registers but INIT and SIPI of the ICR; no
///   MTRR acts on anything; without one the TSC counts nanoseconds
struct GuestMSRs: Hashable, Sendable {
    /// A register, or a run of registers, that has a value.
    private struct Row {
        var range: ClosedRange<UInt32>
        var reset: UInt64 = 0
        var writable: UInt64 = 0
    }

    static let tsc: UInt32 = 0x10
    static let apicBase: UInt32 = 0x1b
    static let x2APIC: ClosedRange<UInt32> = 0x800...0x8ff
    static let x2APICIdentifier: UInt32 = 0x802
    static let x2APICCommand: UInt32 = 0x830
    /// Global enable, x2APIC enable, base address.
    private static let apicBaseWritable: UInt64 = 0xf_ffff_fc00

    private static let rows: [Row] = [
        Row(range: 0x8b...0x8b, reset: 0x0100_0065),
        Row(range: 0xfe...0xfe, reset: 0x508),
        Row(range: 0x179...0x17a),
        Row(range: 0x1a0...0x1a0, reset: 1, writable: .max),
        Row(range: 0x200...0x20f, writable: .max),
        Row(range: 0x250...0x250, writable: .max),
        Row(range: 0x258...0x259, writable: .max),
        Row(range: 0x268...0x26f, writable: .max),
        Row(range: 0x2ff...0x2ff, writable: 0xcff),
        Row(range: 0xc001_0010...0xc001_0010),
        Row(range: 0xc001_0015...0xc001_0015, writable: 1 << 24),
        Row(range: 0xc001_1029...0xc001_1029, reset: 2, writable: 2),
        Row(range: 0x803...0x803, reset: 0x5_0014),
        Row(range: 0x808...0x808, writable: 0xff),
        Row(range: 0x80a...0x80a),
        Row(range: 0x80d...0x80d),
        Row(range: 0x80f...0x80f, reset: 0xff, writable: 0x1ff),
        Row(range: 0x810...0x827),
        Row(range: 0x828...0x828, writable: 0xff),
        Row(range: 0x830...0x830, writable: .max),
        Row(range: 0x832...0x837, reset: 1 << 16, writable: 0x3_17ff),
        Row(range: 0x838...0x838, writable: 0xffff_ffff),
        Row(range: 0x839...0x839),
        Row(range: 0x83e...0x83e, writable: 0xb),
    ]

    private var values: [UInt32: UInt64] = [:]
    private var tscOffset: UInt64 = 0

    /// APIC_BASE and the x2APIC's registers.
    static func isInterruptController(_ index: UInt32) -> Bool { index == apicBase || x2APIC.contains(index) }

    private func base(apicID: UInt32) -> UInt64 {
        values[Self.apicBase] ?? (0xfee0_0000 | 1 << 11 | (apicID == 0 ? 1 << 8 : 0))
    }

    /// The time-stamp counter.
    var timeStamp: UInt64 { HostClock.now.nanoseconds &+ tscOffset }

    /// RDMSR: nil for #GP.
    func read(_ index: UInt32, apicID: UInt32) -> UInt64? {
        switch index {
        case Self.tsc: return timeStamp
        case Self.apicBase: return base(apicID: apicID)
        case Self.x2APIC where base(apicID: apicID) & 1 << 10 == 0: return nil
        case Self.x2APICIdentifier: return UInt64(apicID)
        default: return values[index] ?? Self.rows.first { $0.range.contains(index) }?.reset
        }
    }

    /// WRMSR: false for #GP, with nothing changed.
    mutating func write(_ index: UInt32, _ value: UInt64, apicID: UInt32) -> Bool {
        switch index {
        case Self.tsc: tscOffset = value &- HostClock.now.nanoseconds
        case Self.apicBase:
            guard (value ^ base(apicID: apicID)) & ~Self.apicBaseWritable == 0 else { return false }
            values[index] = value
        case Self.x2APIC where base(apicID: apicID) & 1 << 10 == 0: return false
        // End of interrupt: write-only, and zero.
        case 0x80b: return value == 0
        default:
            guard let row = Self.rows.first(where: { $0.range.contains(index) }) else { return false }
            guard (value ^ row.reset) & ~row.writable == 0, row.writable != 0 else { return false }
            values[index] = value
        }
        return true
    }
}
