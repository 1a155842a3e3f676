// What can be asked of a key distribution server, and the URLs that ask for it.

internal import Attestation
public import SNPArchitecture

/// Whose certificates are asked for.
public enum EndorsementKind: String, CaseIterable, Sendable {
    /// Versioned chip endorsement keys, under the ASK.
    case vcek
    /// Versioned loaded endorsement keys, under the ASVK. The service provider that loads one has its certificate.
    case vlek
}

/// One document of a key distribution server.
///
/// - Spec: 57230, chapter 4
public enum KeyDistributionRequest: Hashable, Sendable {
    /// The ASK or ASVK and the ARK, as PEM, in this order.
    case chain(EndorsementKind, AttestationProduct)
    /// The revocation list of the ARK, as DER.
    case revocationList(EndorsementKind, AttestationProduct)
    /// The VCEK certificate of a chip at a TCB, as DER. The identifier has 64 bytes, as CHIP_ID in a report.
    case endorsement(AttestationProduct, chip: [UInt8], tcb: TCBVersion)

    /// The path and the parameters that ask for it: levels are decimal with two digits at least.
    public var target: String {
        switch self {
        case .chain(let kind, let product): return "/\(kind.rawValue)/v1/\(product.rawValue)/cert_chain"
        case .revocationList(let kind, let product): return "/\(kind.rawValue)/v1/\(product.rawValue)/crl"
        case .endorsement(let product, let chip, let tcb):
            let levels = tcb.components(product.tcbLayout)
            let parameters = Self.parameters(of: product).map { name, part in
                "\(name)=\(Self.decimal(part.level(in: levels)))"
            }
            let identifier = chip.prefix(product.chipIDByteCount).map(Self.hexadecimal).joined()
            return "/vcek/v1/\(product.rawValue)/\(identifier)?" + parameters.joined(separator: "&")
        }
    }

    /// The names of the levels that a product has, in the order of AMD's URLs.
    static func parameters(of product: AttestationProduct) -> [(name: String, part: TCBPart)] {
        let common: [(name: String, part: TCBPart)] = [
            ("blSPL", .bootLoader), ("teeSPL", .tee), ("snpSPL", .snp), ("ucodeSPL", .microcode),
        ]
        return product == .turin ? [("fmcSPL", .fmc)] + common : common
    }

    private static func decimal(_ level: UInt8) -> String { (level < 10 ? "0" : "") + String(level) }
    private static func hexadecimal(_ byte: UInt8) -> String {
        (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
    }
}
