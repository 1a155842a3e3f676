// The fields of the GHCB's save area that carry a request or an answer, and the bitmap that says which of them count.

/// A field of the GHCB's save area. The raw value is its offset in the page, in bytes.
///
/// - Spec: GHCB 56421, "GHCB save area"
/// - Deviates: X87_STATE_GPA (0x400) lies past the bitmap's reach and is `GHCBPage.x87StateGPA`
@frozen public enum GHCBField: Int, CaseIterable, Sendable {
    /// The privilege level, one byte.
    case cpl = 0x0cb
    /// XSS.
    case xss = 0x140
    /// DR7.
    case dr7 = 0x160
    /// RIP.
    case rip = 0x178
    /// RSP.
    case rsp = 0x1d8
    /// RAX.
    case rax = 0x1f8
    /// RCX.
    case rcx = 0x308
    /// RDX.
    case rdx = 0x310
    /// RBX.
    case rbx = 0x318
    /// RBP.
    case rbp = 0x328
    /// RSI.
    case rsi = 0x330
    /// RDI.
    case rdi = 0x338
    /// R8.
    case r8 = 0x340
    /// R9.
    case r9 = 0x348
    /// R10.
    case r10 = 0x350
    /// R11.
    case r11 = 0x358
    /// R12.
    case r12 = 0x360
    /// R13.
    case r13 = 0x368
    /// R14.
    case r14 = 0x370
    /// R15.
    case r15 = 0x378
    /// SW_EXITCODE.
    case exitCode = 0x390
    /// SW_EXITINFO1.
    case exitInfo1 = 0x398
    /// SW_EXITINFO2.
    case exitInfo2 = 0x3a0
    /// SW_SCRATCH: a guest physical address.
    case scratch = 0x3a8
    /// XCR0.
    case xcr0 = 0x3e8

    /// The size in bytes.
    @inlinable public var byteCount: Int { self == .cpl ? 1 : 8 }
    /// The field's bit in the valid bitmap: its offset in quadwords.
    @inlinable public var validBit: Int { rawValue / 8 }
}

/// VALID_BITMAP: one bit for each quadword of the save area's first 1024 bytes.
///
/// - Spec: GHCB 56421, "GHCB save area", VALID_BITMAP
@frozen public struct GHCBValidBitmap: Hashable, Sendable {
    /// Bits 0 to 63, at offset 0x3f0.
    public var low: UInt64
    /// Bits 64 to 127, at offset 0x3f8.
    public var high: UInt64

    /// Makes a bitmap from its two quadwords.
    @inlinable public init(low: UInt64 = 0, high: UInt64 = 0) {
        self.low = low
        self.high = high
    }

    /// Makes a bitmap with the bits of some fields.
    @inlinable public init(_ fields: [GHCBField]) {
        self.init()
        for field in fields { insert(field) }
    }

    /// Whether the field's bit is set.
    @inlinable public func contains(_ field: GHCBField) -> Bool {
        field.validBit < 64 ? low.hasBit(field.validBit) : high.hasBit(field.validBit - 64)
    }

    /// Sets the field's bit.
    @inlinable public mutating func insert(_ field: GHCBField) {
        if field.validBit < 64 { low |= 1 << field.validBit } else { high |= 1 << (field.validBit - 64) }
    }

    /// Clears the field's bit.
    @inlinable public mutating func remove(_ field: GHCBField) {
        if field.validBit < 64 { low &= ~(1 << field.validBit) } else { high &= ~(1 << (field.validBit - 64)) }
    }
}
