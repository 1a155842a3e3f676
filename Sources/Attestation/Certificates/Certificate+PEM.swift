// Certificates as text, one or many, and files that may be either PEM or DER.

internal import SwiftASN1

extension Certificate {
    /// Reads all certificates of a PEM text, in order.
    ///
    /// - Throws: in check order: `.malformed` (a block), `.noPEM`, `.wrongPEMLabel`, and what `init(der:)` throws
    public static func all(pem: String) throws(CertificateError) -> [Certificate] {
        let documents: [PEMDocument]
        do { documents = try PEMDocument.parseMultiple(pemString: pem) } catch { throw .malformed("the PEM text") }
        guard !documents.isEmpty else { throw .noPEM }
        var certificates: [Certificate] = []
        for document in documents {
            guard document.discriminator == "CERTIFICATE" else { throw .wrongPEMLabel(document.discriminator) }
            certificates.append(try Certificate(der: document.derBytes))
        }
        return certificates
    }

    /// Reads the certificates of a file: DER if it starts as a DER sequence does, else PEM.
    public static func all(contents: [UInt8]) throws(CertificateError) -> [Certificate] {
        guard contents.first != 0x30 else { return [try Certificate(der: contents)] }
        guard let text = String(validating: contents, as: UTF8.self) else { throw .noPEM }
        return try all(pem: text)
    }

    /// The certificate as a PEM block.
    public var pem: String { PEMDocument(type: "CERTIFICATE", derBytes: der).pemString }
}
