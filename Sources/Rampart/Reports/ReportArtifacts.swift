// A report with the files that go with it: what `rampart report make` writes, and what a tampering changes.

public import Attestation
public import Monitor
internal import SNPArchitecture

/// A report and its chain, as bytes, good or bad.
public struct ReportArtifacts: Hashable, Sendable {
    /// The report's file.
    public var report: [UInt8]
    /// The certificates in DER, by their place in the chain.
    public var certificates: [CertificateRole: [UInt8]]
    /// A revocation list in DER.
    public var revocationList: [UInt8]?

    /// The names of the report's file and of the revocation list's.
    public static let reportName = "report.bin"
    static let revocationListName = "crl.der"

    /// The name of a certificate's file.
    static func name(_ role: CertificateRole, _ encoding: String) -> String {
        "\(role.rawValue.lowercased()).\(encoding)"
    }

    /// Every name that a set of artifacts may have in a folder.
    static let allNames =
        ([reportName, revocationListName]
            + CertificateRole.allCases.flatMap { role in
                [name(role, "pem"), name(role, "der")]
            })

    /// Writes all to a folder, which is made if need be. What an earlier set left there and this one has not is
    /// removed.
    ///
    /// - Returns: the names written, in order
    /// - Throws: `FileError`
    public func write(to folder: String) throws(FileError) -> [String] {
        try makeFolder(folder)
        var files: [(String, [UInt8])] = [(Self.reportName, report)]
        for role in CertificateRole.allCases {
            guard let der = certificates[role] else { continue }
            files.append((Self.name(role, "pem"), Array(pemText(der, label: "CERTIFICATE").utf8)))
            if role == .vcek || role == .vlek { files.append((Self.name(role, "der"), der)) }
        }
        if let revocationList { files.append((Self.revocationListName, revocationList)) }
        for (name, bytes) in files { try writeFile("\(folder)/\(name)", bytes) }
        let names = files.map(\.0)
        for name in Self.allNames where !names.contains(name) { try removeFile("\(folder)/\(name)") }
        return names
    }

    /// The same, as a source of certificates has it.
    var bundle: CertificateBundle {
        var bundle = CertificateBundle()
        for role in CertificateRole.allCases {
            guard let der = certificates[role] else { continue }
            bundle.add(der, place: Self.name(role, "der"), mustHold: true)
        }
        if let revocationList { bundle.add(revocationList, place: Self.revocationListName, mustHold: true) }
        return bundle
    }
}
