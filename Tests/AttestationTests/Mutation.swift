import Attestation
import SNPArchitecture
import Testing

/// One way to spoil a good scenario, and the one cause for which it must be refused.
struct Mutation: Sendable, CustomTestStringConvertible {
    var name: String
    var cause: AttestationError
    var product = AttestationProduct.milan
    var version = AttestationReportVersion.v3
    var vlek = false
    var spoil: @Sendable (inout Scenario) -> Void

    init(
        _ name: String, _ cause: AttestationError, _ product: AttestationProduct = .milan,
        _ version: AttestationReportVersion = .v3, vlek: Bool = false,
        _ spoil: @escaping @Sendable (inout Scenario) -> Void
    ) {
        self.name = name
        self.cause = cause
        self.product = product
        self.version = version
        self.vlek = vlek
        self.spoil = spoil
    }
    var testDescription: String { name }

    /// Judges the spoilt scenario, and expects the cause and words for it.
    func check() {
        var scenario = Scenario(product, version, vlek: vlek)
        spoil(&scenario)
        #expect(throws: cause) { try scenario.judge() }
        #expect(cause.description.count > 12 && cause.description != "refused")
    }
}
