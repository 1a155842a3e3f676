// The product names that users type, and what each means to the machine and to attestation.

internal import Machine
public import SNPArchitecture

/// A product by the name that its users give it.
public enum ProductName: String, CaseIterable, Sendable {
    /// EPYC 7003.
    case milan
    /// EPYC 9004.
    case genoa
    /// EPYC 97x4.
    case bergamo
    /// EPYC 8004.
    case siena
    /// EPYC 9005.
    case turin

    /// The product line whose root of trust it has: Bergamo and Siena are of Genoa's.
    public var line: AttestationProduct { machineProduct.attestationProduct }

    var machineProduct: Product {
        switch self {
        case .milan: .milan
        case .genoa: .genoa
        case .bergamo: .bergamo
        case .siena: .siena
        case .turin: .turin
        }
    }
}
