// The certificates of an emulated chip, without a guest: what a key distribution server would have for it.

public import Attestation
internal import Machine
internal import Monitor
public import SNPArchitecture
internal import SecureProcessor

/// A chip whose certificates are asked for.
public struct ChipCertificatesRequest: Sendable {
    /// The product.
    public var product: ProductName
    /// Seeds the chip's identifier and keys.
    public var chipSeed: UInt64
    /// The TCB that the certificate is for; nil for the one that the emulated firmware reports.
    public var tcb: TCBVersion?
    /// Makes a request.
    public init(product: ProductName, chipSeed: UInt64, tcb: TCBVersion? = nil) {
        self.product = product
        self.chipSeed = chipSeed
        self.tcb = tcb
    }
}

/// The certificates of a chip.
public struct ChipCertificates: Sendable {
    /// CHIP_ID, 64 bytes.
    public var chipIdentifier: [UInt8]
    /// The TCB that the certificate is for.
    public var tcb: TCBVersion
    /// The certificates, by their place in the chain.
    public var certificates: [CertificateRole: Certificate]

    /// Makes a chip of the seed and certifies its key.
    ///
    /// - Throws: `InputError` for a TCB with reserved bits
    public init(_ request: ChipCertificatesRequest) throws {
        let machine = try Machine(
            MachineConfiguration(product: request.product.machineProduct, dramByteCount: 64 << 20))
        let processor = SecureProcessor(
            machine: machine, configuration: FirmwareConfiguration(chipSeed: request.chipSeed))
        let authority = TestAuthority(product: request.product.line)
        tcb = request.tcb ?? processor.platformStatus.reportedTCB
        chipIdentifier = processor.chipIdentifier
        do throws(AuthorityError) {
            certificates = [
                .ark: authority.ark, .ask: authority.ask,
                .vcek: try authority.vcek(
                    publicKey: processor.vcekPublicKey(tcb), tcb: tcb, chipIdentifier: chipIdentifier),
            ]
        } catch { throw InputError("\(error).") }
    }

    /// Writes the certificates to a folder, which is made if need be.
    ///
    /// - Returns: the names written
    /// - Throws: `InputError`
    public func write(to folder: String, as encoding: CertificateEncoding) throws(InputError) -> [String] {
        do throws(FileError) {
            try makeFolder(folder)
            var names: [String] = []
            for role in CertificateRole.allCases {
                guard let certificate = certificates[role] else { continue }
                let name = ReportArtifacts.name(role, encoding.rawValue)
                let text = pemText(certificate.der, label: "CERTIFICATE")
                try writeFile("\(folder)/\(name)", encoding == .der ? certificate.der : Array(text.utf8))
                names.append(name)
            }
            return names
        } catch { throw InputError(error.description) }
    }
}
