// Between a folder of certificates and the table that a host hands to its guests.

public import Attestation
internal import Monitor

/// How certificates are written.
public enum CertificateEncoding: String, CaseIterable, Sendable {
    /// Text.
    case pem
    /// Bytes.
    case der
}

/// A file that was written or an entry that was made, and what is in it.
public struct CertificateMove: Hashable, Sendable {
    /// The place in the chain; nil for what is no certificate.
    public var role: CertificateRole?
    /// Where it came from.
    public var from: String
    /// Where it went.
    public var to: String
}

/// Makes a table of the certificates in a folder.
///
/// - Returns: the table, and what went into it
/// - Throws: in check order: the folder's refusal; a file that should hold a certificate and does not; nothing to put
///   in; two certificates for one entry
public func importCertificates(_ folder: String) throws(InputError) -> (
    table: CertificateTable, moves: [CertificateMove]
) {
    let bundle: CertificateBundle
    do throws(FileError) { bundle = try CertificateBundle(path: folder) } catch { throw InputError(error.description) }
    if let fault = bundle.faults.first { throw InputError("\(fault.place): \(fault.error).") }
    var table = CertificateTable()
    var moves: [CertificateMove] = []
    for found in bundle.certificates {
        guard let role = found.item.chainRole else {
            throw InputError(
                "\(found.place): \"\(found.item.subject)\" has no place in a chain of SEV-SNP certificates.")
        }
        let key = role.tableKey
        guard table[key] == nil else {
            throw InputError(
                "\(found.place): the table has room for one \(role.rawValue), and another was found before it.")
        }
        table[key] = found.item.der
        moves.append(CertificateMove(role: role, from: found.place, to: role.rawValue))
    }
    guard !moves.isEmpty else { throw InputError("\(folder): holds no certificates.") }
    return (table, moves)
}

/// Writes the entries of a table to files of AMD's names in a folder, which is made if need be.
///
/// - Throws: in check order: the file's refusal; a malformed table; an entry that is no certificate; what writing
///   refuses
public func exportCertificates(
    _ path: String, to folder: String, as encoding: CertificateEncoding
) throws(InputError) -> [CertificateMove] {
    do {
        let table = try CertificateTable(decoding: try readFile(path, limit: CertificateBundle.fileLimit))
        var bundle = CertificateBundle()
        bundle.add(table, place: path)
        if let fault = bundle.faults.first { throw InputError("\(fault.place): \(fault.error).") }
        var files: [(CertificateMove, [UInt8])] = []
        for found in bundle.certificates {
            guard let role = found.item.chainRole else {
                throw InputError(
                    "\(found.place): \"\(found.item.subject)\" has no place in a chain of SEV-SNP certificates.")
            }
            let name = ReportArtifacts.name(role, encoding.rawValue)
            let bytes = encoding == .der ? found.item.der : Array(pemText(found.item.der, label: "CERTIFICATE").utf8)
            files.append((CertificateMove(role: role, from: found.place, to: "\(folder)/\(name)"), bytes))
        }
        if let list = table[.revocationList] {
            let bytes = encoding == .der ? list : Array(pemText(list, label: "X509 CRL").utf8)
            files.append((CertificateMove(from: path, to: "\(folder)/crl.\(encoding.rawValue)"), bytes))
        }
        try makeFolder(folder)
        for (move, bytes) in files { try writeFile(move.to, bytes) }
        return files.map(\.0)
    } catch let error as InputError {
        throw error
    } catch let error as FileError {
        throw InputError(error.description)
    } catch {
        throw InputError("\(path): \(error).")
    }
}

extension Certificate {
    /// The place in a chain that the subject's name says, or nil.
    public var chainRole: CertificateRole? {
        let name = subject.commonName
        switch name {
        case _ where name.hasPrefix("ARK-"): return .ark
        case _ where name.hasPrefix("SEV-VCEK"): return .vcek
        case _ where name.hasPrefix("SEV-VLEK"): return keyKind == .p384 ? .vlek : .asvk
        case _ where name.hasPrefix("SEV-"): return .ask
        default: return nil
        }
    }
}

extension CertificateRole {
    /// The entry of a table that it stands in.
    var tableKey: CertificateTableKey {
        switch self {
        case .ark: .ark
        case .ask, .asvk: .ask
        case .vcek: .vcek
        case .vlek: .vlek
        }
    }
}
