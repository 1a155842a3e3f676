// The types of page that a launch can load.

/// The type of a page of the launch image. An open set of three bits: 0 and 7 have no meaning.
///
/// - Spec: FWABI 56860, SNP_LAUNCH_UPDATE, PAGE_TYPE
@frozen public struct PageType: RawRepresentable, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// The number.
    public var rawValue: UInt8
    /// Makes a type from its number.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// PAGE_TYPE_NORMAL: measured data.
    @inlinable public static var normal: Self { Self(rawValue: 1) }
    /// PAGE_TYPE_VMSA: the initial state of a virtual CPU.
    @inlinable public static var vmsa: Self { Self(rawValue: 2) }
    /// PAGE_TYPE_ZERO: firmware fills the page with zeros.
    @inlinable public static var zero: Self { Self(rawValue: 3) }
    /// PAGE_TYPE_UNMEASURED: data whose content is not measured.
    @inlinable public static var unmeasured: Self { Self(rawValue: 4) }
    /// PAGE_TYPE_SECRETS: firmware writes the secrets page.
    @inlinable public static var secrets: Self { Self(rawValue: 5) }
    /// PAGE_TYPE_CPUID: a CPUID table that firmware checks.
    @inlinable public static var cpuid: Self { Self(rawValue: 6) }
    /// The types that have a meaning.
    public static let allCases: [PageType] = [.normal, .vmsa, .zero, .unmeasured, .secrets, .cpuid]

    /// The name in the ABI document, or the number.
    public var description: String {
        let names = ["NORMAL", "VMSA", "ZERO", "UNMEASURED", "SECRETS", "CPUID"]
        return 1...6 ~= rawValue ? names[Int(rawValue) - 1] : String(rawValue)
    }
}
