// What the loader tells the guest: one measured page, whose address is in RDI at the entry.

import Hardware

/// The boot information page.
struct BootInformation {
    /// "RAMPART1".
    static let magic: UInt64 = 0x3154_5241_504d_4152

    let address: UInt64

    var isValid: Bool { load64(address) == Self.magic }
    var virtualCPUCount: UInt32 { load32(address + 0x0c) }
    /// Memory reaches from address 0 to here.
    var memorySize: UInt64 { load64(address + 0x10) }
    var secrets: UInt64 { load64(address + 0x18) }
    var cpuid: UInt64 { load64(address + 0x20) }
    /// From here to the end of memory nothing was launched.
    var freeStart: UInt64 { load64(address + 0x28) }
    var cBitPosition: UInt64 { UInt64(load32(address + 0x30)) }
    var pageTableRoot: UInt64 { load64(address + 0x38) }
    /// Addresses below are mapped to themselves, in pages of 2 MiB with the C-bit.
    var mappedEnd: UInt64 { load64(address + 0x40) }
    private var commandLine: UInt64 { load64(address + 0x48) }
    private var commandLineLength: UInt64 { min(UInt64(load32(address + 0x50)), 0xf00) }

    /// The C-bit of a page table entry.
    var cBit: UInt64 { 1 << (cBitPosition & 63) }

    /// Whether the command line has anything on it.
    var hasCommandLine: Bool { commandLineLength > 0 }

    /// Whether a word of the command line is this one.
    func says(_ word: StaticString) -> Bool {
        var start = commandLine
        let end = commandLine + commandLineLength
        while start < end {
            var length: UInt64 = 0
            while start + length < end && load8(start + length) != 0x20 { length += 1 }
            if Self.matches(word, start, length) { return true }
            start += length + 1
        }
        return false
    }

    private static func matches(_ word: StaticString, _ start: UInt64, _ length: UInt64) -> Bool {
        guard UInt64(word.utf8CodeUnitCount) == length else { return false }
        for index in 0..<Int(length) where word.utf8Start[index] != load8(start + UInt64(index)) { return false }
        return true
    }
}

nonisolated(unsafe) var boot = BootInformation(address: 0)

/// Where the entry code goes on, on the bootstrap processor.
@_cdecl("guest_start")
func guestStart(_ address: UInt64) -> Never {
    boot = BootInformation(address: address)
    guard boot.isValid else { MSRProtocol.terminate(.general) }
    Exceptions.install()
    guestMain()
    leave(Check.failureCount == 0 ? 0 : 1)
}
