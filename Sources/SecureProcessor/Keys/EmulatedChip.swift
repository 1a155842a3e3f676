// A chip as its manufacturer knows it: identifier and public keys, without a machine around it.

internal import Crypto
public import Machine
public import SNPArchitecture

/// A chip that a seed makes, outside of any machine.
public struct EmulatedChip: Sendable {
    private let secret: ChipSecret

    /// Makes the chip that firmware with this `chipSeed` runs on.
    public init(seed: UInt64, product: Product) { secret = ChipSecret(seed: seed, product: product) }

    /// Makes the chip of a machine whose firmware's configuration names no `chipSeed`.
    public init(machineSeed: UInt64, product: Product) {
        self.init(seed: Self.seed(ofMachine: machineSeed), product: product)
    }

    /// The chip's seed where only the machine has one.
    static func seed(ofMachine seed: UInt64) -> UInt64 { seed ^ 0x4348_4950_5345_4544 }

    /// CHIP_ID, 64 bytes; on Turin 8 bytes and zeros.
    public var identifier: [UInt8] { secret.identifier }

    /// The public half of the chip's key at a TCB, 96 bytes, two big-endian coordinates.
    public func vcekPublicKey(_ tcb: TCBVersion) -> [UInt8] {
        Array(secret.vcek(tcb).signing.publicKey.rawRepresentation)
    }
}
