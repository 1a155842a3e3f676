// What a verifier asks of a report, as options.

import ArgumentParser
import Attestation
import Rampart
import SNPArchitecture

/// The options of a verifier's policy.
struct ReportPolicyOptions: ParsableArguments {
    @Flag(help: "Accept a guest that the host may debug.")
    var allowDebug = false

    @Flag(help: "Refuse a guest that may run with SMT, and a host that does.")
    var forbidSmt = false

    @Flag(help: "Refuse a guest that may have a migration agent.")
    var forbidMigration = false

    @Option(
        help: ArgumentHelp(
            "Least levels of every TCB of the report, such as bl=3,tee=0,snp=8,ucode=115.", valueName: "levels"),
        transform: TCBArgument.init(argument:))
    var minTcb: TCBArgument?

    @Option(help: ArgumentHelp("Least security version of the guest.", valueName: "n"))
    var minSvn: UInt32?

    @Option(help: ArgumentHelp("The VMPL with the fewest rights that is accepted.", valueName: "n"))
    var vmpl: UInt32?

    @Option(
        help: ArgumentHelp("Launch digest to accept; may be repeated.", valueName: "hex"),
        transform: { try BinaryArgument($0, count: 48) })
    var measurement: [BinaryArgument] = []

    @Option(
        help: ArgumentHelp("Report data to ask for; zeros follow.", valueName: "hex"),
        transform: { try BinaryArgument($0, limit: 64) })
    var reportData: BinaryArgument?

    @Option(
        help: ArgumentHelp("Host data to ask for; zeros follow.", valueName: "hex"),
        transform: { try BinaryArgument($0, limit: 32) })
    var hostData: BinaryArgument?

    @Option(
        help: ArgumentHelp("Family id to ask for.", valueName: "hex"), transform: { try BinaryArgument($0, count: 16) })
    var familyID: BinaryArgument?

    @Option(
        help: ArgumentHelp("Image id to ask for.", valueName: "hex"), transform: { try BinaryArgument($0, count: 16) })
    var imageID: BinaryArgument?

    @Option(
        help: ArgumentHelp("Digest of an ID key to accept; may be repeated.", valueName: "hex"),
        transform: { try BinaryArgument($0, count: 48) })
    var idKeyDigest: [BinaryArgument] = []

    @Option(
        help: ArgumentHelp("Digest of an author key to accept; may be repeated.", valueName: "hex"),
        transform: { try BinaryArgument($0, count: 48) })
    var authorKeyDigest: [BinaryArgument] = []

    /// The policy that the options say.
    ///
    /// - Throws: `CommandFailure` for a TCB written as a number without a product
    func policy(product: ProductName?) throws -> ReportPolicy {
        var policy = ReportPolicy()
        policy.acceptsDebug = allowDebug
        policy.acceptsSMT = !forbidSmt
        policy.acceptsMigrationAgent = !forbidMigration
        if let minTcb {
            guard minTcb.number == nil || product != nil else {
                throw CommandFailure.usage(
                    "--min-tcb as a number needs --product, which says how it is laid out. Or write bl=3,tee=0,snp=8,ucode=115."
                )
            }
            policy.minimumTCB = minTcb.components(product?.line.tcbLayout ?? .milanGenoa)
        }
        policy.minimumGuestSVN = minSvn
        policy.maximumVMPL = vmpl
        policy.measurements = measurement.isEmpty ? nil : Set(measurement.map(\.bytes))
        policy.reportData = reportData?.padded(to: 64)
        policy.hostData = hostData?.padded(to: 32)
        policy.familyID = familyID?.bytes
        policy.imageID = imageID?.bytes
        policy.idKeyDigests = idKeyDigest.isEmpty ? nil : Set(idKeyDigest.map(\.bytes))
        policy.authorKeyDigests = authorKeyDigest.isEmpty ? nil : Set(authorKeyDigest.map(\.bytes))
        return policy
    }
}
