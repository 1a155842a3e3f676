// Certificates for the keys of emulated chips and for loaded keys. Keys and identifiers come from callers and are checked.

internal import Crypto
public import SNPArchitecture

extension TestAuthority {
    /// Certifies a chip's key at a TCB.
    ///
    /// - Parameter publicKey: 96 bytes, two big-endian coordinates, as `SecureProcessor.vcekPublicKey(_:)` returns them
    /// - Parameter chipIdentifier: CHIP_ID, of as many bytes as the product's chips have; also 64 bytes padded with zeros
    /// - Throws: in check order: `.publicKey`, `.reservedTCB`, `.chipIdentifier`
    public func vcek(
        publicKey: [UInt8], tcb: TCBVersion, chipIdentifier: [UInt8]
    ) throws(AuthorityError) -> Certificate {
        try sign(try vcekTemplate(publicKey: publicKey, tcb: tcb, chipIdentifier: chipIdentifier))
    }

    /// Certifies a key that a service provider loads, at a TCB.
    ///
    /// - Parameter publicKey: 96 bytes, two big-endian coordinates, as `SecureProcessor.vlekPublicKey` returns them
    /// - Throws: in check order: `.publicKey`, `.reservedTCB`, `.serviceProvider`
    public func vlek(
        publicKey: [UInt8], tcb: TCBVersion, serviceProvider: String
    ) throws(AuthorityError) -> Certificate {
        try sign(try vlekTemplate(publicKey: publicKey, tcb: tcb, serviceProvider: serviceProvider))
    }

    /// The fields of a VCEK certificate, for a caller that changes them before `sign(_:)`.
    ///
    /// - Throws: what `vcek(publicKey:tcb:chipIdentifier:)` throws
    /// - Deviates: that Turin's structVersion is 1, its stepping B1 and its hwID not wrapped is unconfirmed
    public func vcekTemplate(
        publicKey: [UInt8], tcb: TCBVersion, chipIdentifier: [UInt8]
    ) throws(AuthorityError) -> CertificateTemplate {
        var template = try template(.vcek, publicKey, tcb)
        let count = product.chipIDByteCount
        let isPadded = chipIdentifier.count == 64 && chipIdentifier[count...].allSatisfy { $0 == 0 }
        guard chipIdentifier.count == count || isPadded else {
            throw .chipIdentifier(byteCount: chipIdentifier.count, product: product)
        }
        template.endorsement.productName = product.rawValue + (product == .milan ? "-B0" : "-B1")
        template.endorsement.hardwareID = Array(chipIdentifier[..<count])
        return template
    }

    /// The fields of a VLEK certificate, for a caller that changes them before `sign(_:)`.
    ///
    /// - Throws: what `vlek(publicKey:tcb:serviceProvider:)` throws
    /// - Deviates: that a VLEK's productName has no stepping is unconfirmed
    public func vlekTemplate(
        publicKey: [UInt8], tcb: TCBVersion, serviceProvider: String
    ) throws(AuthorityError) -> CertificateTemplate {
        var template = try template(.vlek, publicKey, tcb)
        let characters = serviceProvider.utf8
        guard (1...64).contains(characters.count), characters.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw .serviceProvider
        }
        template.endorsement.productName = product.rawValue
        template.endorsement.serviceProvider = serviceProvider
        return template
    }

    /// Signs a template, whatever it says, with the key of its issuer.
    ///
    /// - Throws: in check order: `.unwritableTime`, `.unreadable`
    public func sign(_ template: CertificateTemplate) throws(AuthorityError) -> Certificate {
        let issuer: CertificateRole = template.role == .vlek ? .asvk : .ask
        guard let key = keys[issuer] else { preconditionFailure("no key of \(issuer)") }
        return try Self.certificate(
            template, CertificateFrame(issuerName: Self.commonName(issuer, product)), by: key)
    }

    private func template(
        _ role: CertificateRole, _ publicKey: [UInt8], _ tcb: TCBVersion
    ) throws(AuthorityError) -> CertificateTemplate {
        guard publicKey.count == 96, let key = try? P384.Signing.PublicKey(rawRepresentation: publicKey) else {
            throw .publicKey
        }
        let reserved = tcb.rawValue & TCBVersion.reserved(product.tcbLayout)
        guard reserved == 0 else { throw .reservedTCB(reserved) }
        let parts = tcb.components(product.tcbLayout)
        var template = CertificateTemplate(
            role, commonName: Self.commonName(role, product), publicKeyInfo: Array(key.derRepresentation))
        template.endorsement.structVersion = product == .turin ? 1 : 0
        template.endorsement.patchLevels = [
            1: parts.bootLoader, 2: parts.tee, 3: parts.snp, 4: 0, 5: 0, 6: 0, 7: 0, 8: parts.microcode,
        ]
        if product == .turin { template.endorsement.patchLevels[9] = parts.fmc }
        return template
    }
}
