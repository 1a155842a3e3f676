// The GHCB page: fields with their bits of validity, one request at a time.
//
// The MSR of the processor says where its page is, so that an exception handler finds it without any other register.

import Hardware

/// The offset of a field in the page.
enum GHCBField: UInt64 {
    case cpl = 0x0cb
    case rax = 0x1f8
    case rcx = 0x308
    case rdx = 0x310
    case rbx = 0x318
    case exitCode = 0x390
    case exitInfo1 = 0x398
    case exitInfo2 = 0x3a0
    case scratch = 0x3a8
    case xcr0 = 0x3e8
}

/// The answer to a request.
struct GHCBResult {
    /// SW_EXITINFO1, bits 31:0: 0 done, 1 raise an exception, 2 malformed.
    var action: UInt64
    /// SW_EXITINFO2.
    var info2: UInt64
    var isDone: Bool { action == 0 }
}

/// A shared page of this processor.
struct GHCB {
    static let sharedBuffer: UInt64 = 0x800
    static let sharedBufferSize: UInt64 = 0x7f0
    private static let validBitmap: UInt64 = 0x3f0

    let address: UInt64

    /// This processor's page, or nil before there is one.
    static var current: GHCB? {
        let value = ghcb_msr()
        return value != 0 && value & 0xfff == 0 ? GHCB(address: value) : nil
    }

    /// Makes a private page of the image this processor's GHCB: rescinds its validation, makes it shared, registers it.
    static func establish(at address: UInt64) -> GHCB {
        guard pvalidate(address, 0, 0) == 0 else { MSRProtocol.terminate(.validation) }
        guard MSRProtocol.changeState(of: address, 2) else { MSRProtocol.terminate(.pageState) }
        PageTables.map(address, 1, isPrivate: false)
        return adopt(address)
    }

    /// Makes a page that is shared already this processor's GHCB.
    static func adopt(_ address: UInt64) -> GHCB {
        for offset in stride(from: 0, to: UInt64(4096), by: 8) { store64(address + offset, 0) }
        guard MSRProtocol.register(address) else { MSRProtocol.terminate(.registration) }
        set_ghcb_msr(address)
        return GHCB(address: address)
    }

    var buffer: UInt64 { address + Self.sharedBuffer }

    func get(_ field: GHCBField) -> UInt64 { load64(address + field.rawValue) }

    /// A field that the host has to return. A host that does not mark it as valid cannot be dealt with.
    func answered(_ field: GHCBField) -> UInt64 {
        let bit = field.rawValue / 8
        let byte = load8(address + Self.validBitmap + bit / 8)
        guard byte >> UInt8(bit & 7) & 1 == 1 else { MSRProtocol.terminate(.general) }
        return get(field)
    }

    func set(_ field: GHCBField, _ value: UInt64) {
        if field == .cpl {
            store8(address + field.rawValue, UInt8(truncatingIfNeeded: value))
        } else {
            store64(address + field.rawValue, value)
        }
        let bit = field.rawValue / 8
        let byte = address + Self.validBitmap + bit / 8
        store8(byte, load8(byte) | 1 << UInt8(bit & 7))
    }

    /// Starts a request: nothing is valid.
    func begin() {
        store64(address + Self.validBitmap, 0)
        store64(address + Self.validBitmap + 8, 0)
        store16(address + 0xffa, 2)
        store32(address + 0xffc, 0)
    }

    /// Sends the request as it stands.
    func send() -> GHCBResult {
        set_ghcb_msr(address)
        vmgexit()
        return GHCBResult(action: answered(.exitInfo1) & 0xffff_ffff, info2: answered(.exitInfo2))
    }

    /// Fills in code and infos, and sends.
    func call(_ code: UInt64, _ info1: UInt64 = 0, _ info2: UInt64 = 0) -> GHCBResult {
        set(.exitCode, code)
        set(.exitInfo1, info1)
        set(.exitInfo2, info2)
        return send()
    }
}

/// Codes of the requests that guests make here.
enum ExitCode {
    static let rdtsc: UInt64 = 0x6e
    static let cpuid: UInt64 = 0x72
    static let ioio: UInt64 = 0x7b
    static let msr: UInt64 = 0x7c
    static let rdtscp: UInt64 = 0x87
    static let wbinvd: UInt64 = 0x89
    static let pageStateChange: UInt64 = 0x8000_0010
    static let guestRequest: UInt64 = 0x8000_0011
    static let createProcessor: UInt64 = 0x8000_0013
    static let features: UInt64 = 0x8000_fffd
    static let terminate: UInt64 = 0x8000_fffe
}
