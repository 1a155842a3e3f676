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
    /// A seed stands for the chip of firmware with this chip seed, as `rampart certs make --chip-seed` has it, and for that of
    /// a machine with this seed, as `rampart report make --seed` has it.
    public init(seeds: [UInt64]) {
        var chips: [Key: EmulatedChip] = [:]
        for product in ProductName.allCases {
            for seed in seeds {
                for chip in [
                    EmulatedChip(seed: seed, product: product.machineProduct),
                    EmulatedChip(machineSeed: seed, product: product.machineProduct),
                ] {
                    chips[Key(product: product.line, identifier: chip.identifier)] = chip
                }
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
