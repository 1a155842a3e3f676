// Revocation lists in files that may be either PEM or DER.

internal import SwiftASN1

extension RevocationList {
    /// Reads the revocation list of a file: DER if it starts as a DER sequence does, else the first PEM block.
    ///
    /// - Throws: in check order: `.malformed` (a block), `.noPEM`, `.wrongPEMLabel`, and what `init(der:)` throws
    public init(contents: [UInt8]) throws(CertificateError) {
        if contents.first == 0x30 {
            try self.init(der: contents)
            return
        }
        guard let text = String(validating: contents, as: UTF8.self) else { throw .noPEM }
        let documents: [PEMDocument]
        do { documents = try PEMDocument.parseMultiple(pemString: text) } catch { throw .malformed("the PEM text") }
        guard let document = documents.first else { throw .noPEM }
        guard document.discriminator == "X509 CRL" else { throw .wrongPEMLabel(document.discriminator) }
        try self.init(der: document.derBytes)
    }
}
