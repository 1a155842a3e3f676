// The chips that an emulated manufacturer knows: those of some seeds, each in every product.

public import SNPArchitecture
internal import SecureProcessor

/// Emulated chips, found by their identifiers.
public struct EmulatedChips: Sendable {
    private struct Key: Hashable {
        var product: AttestationProduct
        var identifier: [UInt8]
    }
    private let chips: [Key: EmulatedChip]

    /// Makes the chips of some seeds.
    ///
    /// A seed names the same chip to `rampart certs make --chip-seed` and to `rampart report make --seed`.
    public init(seeds: [UInt64]) {
        var chips: [Key: EmulatedChip] = [:]
        for product in ProductName.allCases {
            for seed in seeds {
                let chip = EmulatedChip(seed: seed, product: product.machineProduct)
                chips[Key(product: product.line, identifier: chip.identifier)] = chip
            }
        }
        self.chips = chips
    }

    /// The public key of a chip at a TCB, 96 bytes; nil if there is no such chip.
    ///
    /// - Parameter identifier: CHIP_ID, 64 bytes.
    public func publicKey(_ identifier: [UInt8], _ tcb: TCBVersion, _ product: AttestationProduct) -> [UInt8]? {
        chips[Key(product: product, identifier: identifier)]?.vcekPublicKey(tcb)
    }

    /// The identifiers of a product's chips, in order.
    public func identifiers(_ product: AttestationProduct) -> [[UInt8]] {
        chips.keys.filter { $0.product == product }.map(\.identifier).sorted { $0.lexicographicallyPrecedes($1) }
    }
}
