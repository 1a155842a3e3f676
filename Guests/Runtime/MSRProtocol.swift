// The GHCB MSR protocol: what a guest can ask for before it has a page that the host can read.

import Hardware

/// Why a guest ends itself: reason set in bits 15:12, code in bits 23:16.
enum Termination: UInt64 {
    case general = 0x00_0000
    case protocolRange = 0x01_0000
    case noSNP = 0x02_0000
    case registration = 0x00_1000
    case pageState = 0x01_1000
    case validation = 0x02_1000
    case exception = 0x10_1000
}

enum MSRProtocol {
    /// Asks once. The MSR holds the GHCB's address otherwise, and gets it back.
    static func ask(_ request: UInt64) -> UInt64 {
        let before = ghcb_msr()
        set_ghcb_msr(request)
        vmgexit()
        let answer = ghcb_msr()
        if before & 0xfff == 0 { set_ghcb_msr(before) }
        return answer
    }

    /// Ends the guest. The host need not obey, so that the processor halts for ever if it does not.
    static func terminate(_ reason: Termination) -> Never {
        while true {
            set_ghcb_msr(reason.rawValue | 0x100)
            vmgexit()
            halt()
        }
    }

    /// Protocol versions and C-bit: 0x002, 0x001.
    static func information() -> (maximum: UInt64, minimum: UInt64, cBit: UInt64)? {
        let answer = ask(0x002)
        guard answer & 0xfff == 0x001 else { return nil }
        return (answer >> 48, answer >> 32 & 0xffff, answer >> 24 & 0xff)
    }

    /// The host's features: 0x080, 0x081.
    static func features() -> UInt64? {
        let answer = ask(0x080)
        return answer & 0xfff == 0x081 ? answer >> 12 : nil
    }

    /// Registers this processor's GHCB: 0x012, 0x013.
    static func register(_ address: UInt64) -> Bool { ask(address | 0x012) == address | 0x013 }

    /// Changes the state of one page: 0x014, 0x015. Operation 1 is private, 2 shared.
    static func changeState(of address: UInt64, _ operation: UInt64) -> Bool {
        let answer = ask(operation << 52 | address & 0x000f_ffff_ffff_f000 | 0x014)
        return answer & 0xfff == 0x015 && answer >> 32 == 0
    }
}
