import Attestation
import SNPArchitecture
import Testing

@Suite("Policies for reports")
struct ReportPolicyTests {
    typealias Change = @Sendable (inout AttestationReport, inout ReportPolicy) -> Void

    struct Row: Sendable, CustomTestStringConvertible {
        var refusal: PolicyRefusal
        var change: Change
        init(_ refusal: PolicyRefusal, _ change: @escaping Change) {
            self.refusal = refusal
            self.change = change
        }
        var testDescription: String { refusal.description }
    }

    /// A policy that asks for all that a report says.
    static func strict(_ report: AttestationReport) -> ReportPolicy {
        var policy = ReportPolicy()
        policy.acceptsSMT = false
        policy.acceptsMigrationAgent = false
        policy.maximumVMPL = report.vmpl
        policy.minimumGuestSVN = report.guestSVN
        policy.minimumTCB = report.reportedTCB.components(.milanGenoa)
        policy.measurements = [report.measurement]
        policy.reportData = report.reportData
        policy.hostData = report.hostData
        policy.familyID = report.familyID
        policy.imageID = report.imageID
        policy.idKeyDigests = [report.idKeyDigest]
        policy.authorKeyDigests = [report.authorKeyDigest]
        return policy
    }
    static func report() -> AttestationReport {
        var report = Scenario(.milan, .v3).report
        report.policy = .mustBeOne
        report.vmpl = 1
        report.authorKeyEnabled = true
        return report
    }

    static let rows: [Row] = [
        Row(.debugAllowed) { report, _ in report.policy.insert(.debugAllowed) },
        Row(.smtAllowed) { report, _ in report.policy.insert(.smtAllowed) },
        Row(.smtEnabled) { report, _ in report.platformInfo.insert(.smtEnabled) },
        Row(.migrationAgentAllowed) { report, _ in report.policy.insert(.migrationAgentAllowed) },
        Row(.vmpl(found: 2, maximum: 1)) { report, _ in report.vmpl = 2 },
        Row(.guestSVN(found: 3, minimum: 4)) { report, _ in report.guestSVN = 3 },
        Row(.tcb(.reported, .bootLoader, found: 2, minimum: 3)) { report, _ in report.reportedTCB.rawValue -= 1 },
        Row(.tcb(.current, .tee, found: 0, minimum: 1)) { report, _ in report.currentTCB.rawValue -= 0x100 },
        Row(.tcb(.committed, .snp, found: 7, minimum: 8)) { report, _ in report.committedTCB.rawValue -= 1 << 48 },
        Row(.tcb(.launch, .microcode, found: 0xd2, minimum: 0xd3)) { report, _ in
            report.launchTCB.rawValue -= 1 << 56
        },
        Row(.measurement) { report, _ in report.measurement[47] ^= 1 },
        Row(.reportData) { report, _ in report.reportData[0] ^= 1 },
        Row(.hostData) { report, _ in report.hostData[31] ^= 1 },
        Row(.familyID) { report, _ in report.familyID[0] ^= 1 },
        Row(.imageID) { report, _ in report.imageID[15] ^= 1 },
        Row(.idKey) { report, _ in report.idKeyDigest[5] ^= 1 },
        Row(.noAuthorKey) { report, _ in report.authorKeyEnabled = false },
        Row(.authorKey) { report, _ in report.authorKeyDigest[5] ^= 1 },
        Row(.measurement) { _, policy in policy.measurements = [] },
    ]

    @Test("A strict policy accepts what it asks for, and higher levels")
    func accepts() throws {
        var report = Self.report()
        let policy = Self.strict(report)
        #expect(policy.refusals(of: report, product: .milan).isEmpty)
        report.guestSVN += 1
        report.vmpl = 0
        report.currentTCB.rawValue += 1
        #expect(policy.refusals(of: report, product: .milan).isEmpty)
    }

    @Test("Each field that a policy asks for refuses by itself", arguments: rows)
    func refuses(_ row: Row) {
        var report = Self.report()
        var policy = Self.strict(report)
        row.change(&report, &policy)
        #expect(policy.refusals(of: report, product: .milan) == [row.refusal])
        #expect(throws: row.refusal) { try policy.check(report, product: .milan) }
    }

    @Test("A policy that asks for nothing still refuses debugging, through the chain")
    func byDefault() throws {
        var scenario = Scenario(.genoa, .v5)
        scenario.policy = ReportPolicy()
        #expect(try scenario.judge().version == .v5)
        scenario.report.policy.insert(.debugAllowed)
        #expect(throws: AttestationError.policy(.debugAllowed)) { try scenario.judge() }
        scenario.policy?.acceptsDebug = true
        #expect(try scenario.judge().policy.contains(.debugAllowed))
    }

    @Test("TCB levels are read in the product's layout")
    func layout() {
        let report = Scenario(.turin, .v5).report
        var policy = ReportPolicy()
        policy.minimumTCB = TCBComponents(fmc: 2, bootLoader: 3, tee: 1, snp: 8, microcode: 0xd3)
        #expect(policy.refusals(of: report, product: .turin).isEmpty)
        policy.minimumTCB?.fmc = 3
        #expect(policy.refusals(of: report, product: .turin).first == .tcb(.reported, .fmc, found: 2, minimum: 3))
    }
}
