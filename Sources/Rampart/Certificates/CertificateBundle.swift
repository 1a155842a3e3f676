// Certificates and revocation lists as they are found in folders, files and tables, with where each was found.

public import Attestation
public import Monitor

/// What a source of certificates holds.
public struct CertificateBundle: Sendable {
    /// Something found.
    public struct Found<Item: Hashable & Sendable>: Hashable, Sendable {
        /// What.
        public var item: Item
        /// The file, or the place in one.
        public var place: String
    }

    /// A file that should hold a certificate, by its name, and does not.
    public struct Fault: Hashable, Sendable {
        /// The place in the chain that the file's name says, if any.
        public var role: CertificateRole?
        /// The file, or the place in one.
        public var place: String
        /// What is wrong.
        public var error: CertificateError
    }

    /// The certificates, each once, in order of their places.
    public var certificates: [Found<Certificate>] = []
    /// The revocation lists.
    public var revocationLists: [Found<RevocationList>] = []
    /// What could not be read.
    public var faults: [Fault] = []

    /// Makes an empty bundle.
    public init() {}

    /// The largest file that is read.
    static let fileLimit = 1 << 20

    /// Reads a folder's files, or one file: certificates in PEM or DER, revocation lists, tables of certificates.
    ///
    /// In a folder a file counts if its name ends as those of certificates do, or if certificates are in it; all else
    /// is passed over.
    ///
    /// - Throws: `FileError`
    public init(path: String) throws(FileError) {
        guard isFolder(path) else {
            add(try readFile(path, limit: Self.fileLimit), place: path, mustHold: true)
            return
        }
        let folder = path.hasSuffix("/") ? path : path + "/"
        for name in try listFolder(path) where !isFolder(folder + name) {
            let role = Self.role(named: name)
            let isNamed = [".pem", ".der", ".crt", ".cer", ".cert", ".crl"].contains { name.lowercased().hasSuffix($0) }
            let contents: [UInt8]
            do throws(FileError) { contents = try readFile(folder + name, limit: Self.fileLimit) } catch {
                guard isNamed || role != nil else { continue }
                throw error
            }
            add(contents, place: folder + name, mustHold: isNamed)
        }
    }

    /// Adds what a file holds.
    ///
    /// - Parameter mustHold: whether a file that holds nothing is a fault
    public mutating func add(_ contents: [UInt8], place: String, mustHold: Bool) {
        let error: CertificateError
        do throws(CertificateError) {
            for certificate in try Certificate.all(contents: contents) { add(certificate, place) }
            return
        } catch let failure { error = failure }
        if let list = try? RevocationList(contents: contents) {
            revocationLists.append(Found(item: list, place: place))
            return
        }
        if let table = try? CertificateTable(decoding: contents), !table.entries.isEmpty {
            add(table, place: place)
            return
        }
        guard mustHold else { return }
        faults.append(
            Fault(role: Self.role(named: String(place.split(separator: "/").last ?? "")), place: place, error: error))
    }

    /// Adds the entries of a table. A revocation list may stand among them.
    public mutating func add(_ table: CertificateTable, place: String) {
        for (key, contents) in table.entries {
            let name = key.role.map(\.rawValue) ?? (key == .revocationList ? "CRL" : "an entry of another kind")
            let place = "\(place) (\(name))"
            if let list = try? RevocationList(contents: contents) {
                revocationLists.append(Found(item: list, place: place))
                continue
            }
            do throws(CertificateError) {
                for certificate in try Certificate.all(contents: contents) { add(certificate, place) }
            } catch { faults.append(Fault(role: key.role, place: place, error: error)) }
        }
    }

    private mutating func add(_ certificate: Certificate, _ place: String) {
        guard !certificates.contains(where: { $0.item == certificate }) else { return }
        certificates.append(Found(item: certificate, place: place))
    }

    /// Where a certificate was found.
    public func place(of certificate: Certificate) -> String? {
        certificates.first { $0.item == certificate }?.place
    }

    /// The place in the chain that a file's name says: AMD's names, such as ark.pem, vcek.der, VLEK.crt.
    static func role(named name: String) -> CertificateRole? {
        let stem = name.split(separator: ".", omittingEmptySubsequences: false).first ?? ""
        return CertificateRole.allCases.first { $0.rawValue.lowercased() == stem.lowercased() }
    }
}

extension CertificateTableKey {
    /// The place in the chain that the entry is for; ASVK stands at ASK's.
    public var role: CertificateRole? {
        switch self {
        case .ark: .ark
        case .ask: .ask
        case .vcek: .vcek
        case .vlek: .vlek
        default: nil
        }
    }
}
