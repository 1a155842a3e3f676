// The family, model and stepping of a processor as CPUID 1 EAX packs them, and QEMU's names for some of them.

/// The signature of a processor: CPUID function 1, EAX.
///
/// - Spec: APM3 E.3.2, CPUID Fn0000_0001_EAX
@frozen public struct CPUSignature: RawRepresentable, Hashable, Sendable {
    /// Stepping 3:0, base model 7:4, base family 11:8, extended model 19:16, extended family 27:20.
    public var rawValue: UInt32
    /// Makes a signature from its register value.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The largest family that a signature can hold.
    public static let maximumFamily = 0xf + 0xff
    /// The largest model that a signature can hold.
    public static let maximumModel = 0xff
    /// The largest stepping that a signature can hold.
    public static let maximumStepping = 0xf

    /// Packs a family, a model and a stepping, or gives nil if one of them does not fit.
    public init?(family: Int, model: Int, stepping: Int) {
        guard (0...Self.maximumFamily).contains(family) else { return nil }
        guard (0...Self.maximumModel).contains(model) else { return nil }
        guard (0...Self.maximumStepping).contains(stepping) else { return nil }
        let baseFamily = min(family, 0xf)
        let low = stepping | (model & 0xf) << 4 | baseFamily << 8
        self.init(rawValue: UInt32(low | (model >> 4) << 16 | (family - baseFamily) << 20))
    }

    /// The family, extended family included.
    public var family: Int {
        let base = Int(rawValue >> 8 & 0xf)
        return base == 0xf ? base + Int(rawValue >> 20 & 0xff) : base
    }
    /// The model, extended model included.
    public var model: Int { Int(rawValue >> 4 & 0xf | rawValue >> 12 & 0xf0) }
    /// The stepping.
    public var stepping: Int { Int(rawValue & 0xf) }
}

/// A CPU model by the name that QEMU gives it.
public struct CPUModel: Hashable, Sendable {
    /// The name, for example "EPYC-Milan".
    public let name: String
    /// The signature that a guest of this model is measured with.
    public let signature: CPUSignature

    /// Every model that has a name, in the order in which they are listed to users.
    public static let all: [CPUModel] = {
        let naples: UInt32 = 0x80_0f12
        let rome: UInt32 = 0x83_0f10
        let milan: UInt32 = 0xa0_0f11
        let genoa: UInt32 = 0xa1_0f10
        let turin: UInt32 = 0xb0_0f00
        let table: [(String, UInt32)] = [
            ("EPYC", naples), ("EPYC-v1", naples), ("EPYC-v2", naples), ("EPYC-IBPB", naples), ("EPYC-v3", naples),
            ("EPYC-v4", naples), ("EPYC-Rome", rome), ("EPYC-Rome-v1", rome), ("EPYC-Rome-v2", rome),
            ("EPYC-Rome-v3", rome), ("EPYC-Milan", milan), ("EPYC-Milan-v1", milan), ("EPYC-Milan-v2", milan),
            ("EPYC-Genoa", genoa), ("EPYC-Genoa-v1", genoa), ("EPYC-Turin", turin),
        ]
        return table.map { CPUModel(name: $0.0, signature: CPUSignature(rawValue: $0.1)) }
    }()

    /// Finds a model by its exact name.
    public init?(named name: String) {
        guard let model = Self.all.first(where: { $0.name == name }) else { return nil }
        self = model
    }

    private init(name: String, signature: CPUSignature) {
        self.name = name
        self.signature = signature
    }
}
