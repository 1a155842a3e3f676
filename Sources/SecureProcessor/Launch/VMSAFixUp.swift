// What firmware changes in a VMSA after it has measured it.

internal import SNPArchitecture

/// The places in a VMSA that firmware writes at launch.
///
/// - Spec: FWABI 56860, SNP_LAUNCH_UPDATE, PAGE_TYPE_VMSA
enum VMSAFixUp {
    /// The offset of GUEST_TSC_SCALE, which is measured as zero.
    static let tscScale = 0x2f0
    /// The offset of GUEST_TSC_OFFSET, which is measured as zero.
    static let tscOffset = 0x2f8
    /// The offset of REG_PROT_NONCE.
    static let nonce = 0x300
    /// The offset of a quadword that starts as zero.
    static let zeroed = 0x380
    /// The offset of a quadword that starts as all ones.
    static let allOnes = 0x388
    /// The offset of SEV_FEATURES.
    static let features = 0x3b0
    /// SEV_FEATURES: SecureTSC, bit 9.
    static let secureTSC = 9
    /// SEV_FEATURES: VMSA register protection, bit 14.
    static let registerProtection = 14

    /// Which quadwords register protection covers; bit k is quadword k.
    static let tweakBitmap: [UInt8] = [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x88, 0x00, 0x00, 0x00, 0x00, 0xee, 0xff, 0x00, 0x00,
        0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
    ]

    /// Takes register protection away from a VMSA that has it, or puts it on: the same exclusive or.
    static func exchangeProtection(_ vmsa: inout [UInt8]) {
        precondition(vmsa.count == 4096, "one page")
        guard (vmsa.integer(at: features) as UInt64).hasBit(registerProtection) else { return }
        let value: UInt64 = vmsa.integer(at: nonce)
        for quadword in 0..<512 where tweakBitmap[quadword / 8] & (1 << UInt8(quadword % 8)) != 0 {
            vmsa.store((vmsa.integer(at: quadword * 8) as UInt64) ^ value, at: quadword * 8)
        }
    }

    /// Changes a measured VMSA of 4096 bytes into the one that the guest starts with.
    static func apply(to vmsa: UnsafeMutableRawBufferPointer, desiredTSCKilohertz: UInt32, nonce value: UInt64) {
        precondition(vmsa.count == 4096, "one page")
        let features = unsafe UInt64(littleEndian: vmsa.load(fromByteOffset: Self.features, as: UInt64.self))
        if features.hasBit(registerProtection) {
            unsafe vmsa.storeBytes(of: value.littleEndian, toByteOffset: nonce, as: UInt64.self)
            for quadword in 0..<512 where tweakBitmap[quadword / 8] & (1 << UInt8(quadword % 8)) != 0 {
                let plain = unsafe vmsa.load(fromByteOffset: quadword * 8, as: UInt64.self)
                unsafe vmsa.storeBytes(of: plain ^ value.littleEndian, toByteOffset: quadword * 8, as: UInt64.self)
            }
        }
        if features.hasBit(secureTSC) {
            let scale = TSC.scale(desiredKilohertz: desiredTSCKilohertz).littleEndian
            unsafe vmsa.storeBytes(of: scale, toByteOffset: tscScale, as: UInt64.self)
            unsafe vmsa.storeBytes(of: 0, toByteOffset: tscOffset, as: UInt64.self)
        }
        unsafe vmsa.storeBytes(of: 0, toByteOffset: zeroed, as: UInt64.self)
        unsafe vmsa.storeBytes(of: .max, toByteOffset: allOnes, as: UInt64.self)
    }
}
