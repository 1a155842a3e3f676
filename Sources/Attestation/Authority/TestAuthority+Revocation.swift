// The root's revocation list: which of the authorities it issued no longer hold. Chips' certificates are in no list.

internal import SNPArchitecture

extension TestAuthority {
    /// Makes the root's list, which holds for a year.
    ///
    /// - Parameter certificates: what to revoke: the root, the ASK or the ASVK
    /// - Spec: RFC 5280 section 5.1
    /// - Throws: in check order: `.notIssuedByRoot`, `.unwritableTime` of the date and then of the end of the year
    public func revocationList(
        revoking certificates: [Certificate], at date: CertificateTime
    ) throws(AuthorityError) -> RevocationList {
        for certificate in certificates where certificate.issuer != ark.subject {
            throw .notIssuedByRoot(certificate.subject.commonName)
        }
        let thisUpdate = try DERWriter.time(date)
        let nextUpdate = try DERWriter.time(CertificateTime(secondsSince1970: date.secondsSince1970 + 365 * 86_400))
        guard let key = keys[.ark] else { preconditionFailure("no root key") }
        var entries: [UInt8] = []
        var seen: Set<[UInt8]> = []
        for certificate in certificates where seen.insert(certificate.serialNumber).inserted {
            entries += DERWriter.sequence(DERWriter.integer(certificate.serialNumber), thisUpdate)
        }
        // CRLNumber grows with time, as it must; before 1970 it stays 0.
        let number = DERWriter.integer(UInt64(max(0, date.secondsSince1970)))
        let extensions = DERWriter.sequence(
            Self.listExtension(35, Self.authorityKeyIdentifier(key)), Self.listExtension(20, number))
        let part = DERWriter.sequence(
            DERWriter.integer(1), Self.algorithm, Self.name(Self.commonName(.ark, product)), thisUpdate, nextUpdate,
            entries.isEmpty ? [] : DERWriter.value(0x30, entries), DERWriter.tagged(0, extensions))
        do throws(CertificateError) {
            return try RevocationList(der: Self.signed(part, by: key))
        } catch { throw .unreadable(error) }
    }

    private static func listExtension(_ number: UInt32, _ value: [UInt8]) -> [UInt8] {
        DERWriter.sequence(DERWriter.identifier([2, 5, 29, number]), DERWriter.octets(value))
    }
}
