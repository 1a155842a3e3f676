// What a verifier asks of a genuine report. Nil and empty mean: not asked.

public import SNPArchitecture

/// What a verifier asks of a report.
public struct ReportPolicy: Hashable, Sendable {
    /// Whether the guest's policy may allow debugging.
    public var acceptsDebug = false
    /// Whether the guest's policy may allow SMT, and the platform use it.
    public var acceptsSMT = true
    /// Whether the guest's policy may allow a migration agent.
    public var acceptsMigrationAgent = true
    /// The VMPL with the fewest rights that is accepted.
    public var maximumVMPL: UInt32?
    /// The least security version of the guest.
    public var minimumGuestSVN: UInt32?
    /// The least level of each part of the reported, current, committed and launch TCB.
    public var minimumTCB: TCBComponents?
    /// The measurements that are accepted, 48 bytes each.
    public var measurements: Set<[UInt8]>?
    /// The report data, 64 bytes.
    public var reportData: [UInt8]?
    /// The host data, 32 bytes.
    public var hostData: [UInt8]?
    /// The family id, 16 bytes.
    public var familyID: [UInt8]?
    /// The image id, 16 bytes.
    public var imageID: [UInt8]?
    /// The digests of ID keys that are accepted, 48 bytes each.
    public var idKeyDigests: Set<[UInt8]>?
    /// The digests of author keys that are accepted, 48 bytes each.
    public var authorKeyDigests: Set<[UInt8]>?

    /// Makes a policy that refuses debugging and asks for nothing else.
    public init() {}

    /// Refuses a report for the first cause.
    ///
    /// - Throws: the first of `refusals(of:product:)`
    public func check(_ report: AttestationReport, product: AttestationProduct) throws(PolicyRefusal) {
        if let first = refusals(of: report, product: product).first { throw first }
    }

    /// All causes to refuse a report, in check order: those of `PolicyRefusal`, in the order of its cases.
    public func refusals(of report: AttestationReport, product: AttestationProduct) -> [PolicyRefusal] {
        var found: [PolicyRefusal] = []
        func refuse(_ refusal: PolicyRefusal, if condition: Bool) { if condition { found.append(refusal) } }
        refuse(.debugAllowed, if: !acceptsDebug && report.policy.contains(.debugAllowed))
        refuse(.smtAllowed, if: !acceptsSMT && report.policy.contains(.smtAllowed))
        refuse(.smtEnabled, if: !acceptsSMT && report.platformInfo.contains(.smtEnabled))
        refuse(.migrationAgentAllowed, if: !acceptsMigrationAgent && report.policy.contains(.migrationAgentAllowed))
        if let maximumVMPL { refuse(.vmpl(found: report.vmpl, maximum: maximumVMPL), if: report.vmpl > maximumVMPL) }
        if let minimumGuestSVN {
            refuse(.guestSVN(found: report.guestSVN, minimum: minimumGuestSVN), if: report.guestSVN < minimumGuestSVN)
        }
        found += tcbRefusals(of: report, layout: product.tcbLayout)
        if let measurements { refuse(.measurement, if: !measurements.contains(report.measurement)) }
        if let reportData { refuse(.reportData, if: report.reportData != reportData) }
        if let hostData { refuse(.hostData, if: report.hostData != hostData) }
        if let familyID { refuse(.familyID, if: report.familyID != familyID) }
        if let imageID { refuse(.imageID, if: report.imageID != imageID) }
        if let idKeyDigests { refuse(.idKey, if: !idKeyDigests.contains(report.idKeyDigest)) }
        if let authorKeyDigests {
            refuse(.noAuthorKey, if: !report.authorKeyEnabled)
            refuse(.authorKey, if: report.authorKeyEnabled && !authorKeyDigests.contains(report.authorKeyDigest))
        }
        return found
    }

    private func tcbRefusals(of report: AttestationReport, layout: TCBLayout) -> [PolicyRefusal] {
        guard let minimumTCB else { return [] }
        let versions: [(ReportTCB, TCBVersion)] = [
            (.reported, report.reportedTCB), (.current, report.currentTCB), (.committed, report.committedTCB),
            (.launch, report.launchTCB),
        ]
        var found: [PolicyRefusal] = []
        for (which, version) in versions {
            let components = version.components(layout)
            for part in TCBPart.allCases where part.level(in: components) < part.level(in: minimumTCB) {
                let level = part.level(in: components)
                found.append(.tcb(which, part, found: level, minimum: part.level(in: minimumTCB)))
            }
        }
        return found
    }
}
