// The security patch levels of the platform's trusted computing base, in the two layouts that products use.

/// How a product lays out the eight bytes of a TCB version.
public enum TCBLayout: Sendable, CaseIterable {
    /// Byte 0 boot loader, 1 TEE, 6 SNP, 7 microcode.
    case milanGenoa
    /// Byte 0 FMC, 1 boot loader, 2 TEE, 3 SNP, 7 microcode.
    case turin
}

/// The parts of a TCB version.
public struct TCBComponents: Hashable, Sendable {
    /// First-mutable-code level; only Turin has one.
    public var fmc: UInt8
    /// Boot loader level.
    public var bootLoader: UInt8
    /// Trusted OS level.
    public var tee: UInt8
    /// SNP firmware level.
    public var snp: UInt8
    /// Microcode patch level.
    public var microcode: UInt8
    /// Makes a set of levels.
    public init(fmc: UInt8 = 0, bootLoader: UInt8, tee: UInt8, snp: UInt8, microcode: UInt8) {
        self.fmc = fmc
        self.bootLoader = bootLoader
        self.tee = tee
        self.snp = snp
        self.microcode = microcode
    }
}

/// A TCB version as firmware reports it.
///
/// - Spec: FWABI 56860, TCB_VERSION
@frozen public struct TCBVersion: RawRepresentable, Hashable, Sendable {
    /// The 64 bits.
    public var rawValue: UInt64
    /// Makes a version from its bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Makes a version from its parts; Milan and Genoa have no place for `fmc`.
    public init(_ parts: TCBComponents, layout: TCBLayout) {
        switch layout {
        case .milanGenoa:
            rawValue = UInt64(parts.bootLoader) | UInt64(parts.tee) << 8 | UInt64(parts.snp) << 48
        case .turin:
            rawValue =
                UInt64(parts.fmc) | UInt64(parts.bootLoader) << 8 | UInt64(parts.tee) << 16 | UInt64(parts.snp) << 24
        }
        rawValue |= UInt64(parts.microcode) << 56
    }

    /// The parts.
    public func components(_ layout: TCBLayout) -> TCBComponents {
        func byte(_ index: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: rawValue >> (8 * index)) }
        switch layout {
        case .milanGenoa: return TCBComponents(bootLoader: byte(0), tee: byte(1), snp: byte(6), microcode: byte(7))
        case .turin:
            return TCBComponents(
                fmc: byte(0), bootLoader: byte(1), tee: byte(2), snp: byte(3), microcode: byte(7))
        }
    }

    /// The bytes that have no meaning.
    public static func reserved(_ layout: TCBLayout) -> UInt64 {
        switch layout {
        case .milanGenoa: 0x0000_ffff_ffff_0000
        case .turin: 0x00ff_ffff_0000_0000
        }
    }

    /// The version as the one number by which SNP_CONFIG compares: boot loader first, then TEE, SNP, microcode.
    ///
    /// - Deviates: where FMC stands in the order on Turin is unconfirmed; first is assumed
    public func comparisonNumber(_ layout: TCBLayout) -> UInt64 {
        let parts = components(layout)
        return [parts.fmc, parts.bootLoader, parts.tee, parts.snp, parts.microcode].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
