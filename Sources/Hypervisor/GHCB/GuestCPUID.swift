// CPUID as the host answers it: the table that user space gave, and what depends on the virtual CPU and its state.

internal import SNPArchitecture

/// The CPUID table of one virtual CPU.
struct GuestCPUID: Hashable, Sendable {
    /// The four registers of a result.
    struct Result: Hashable, Sendable {
        var eax: UInt32 = 0
        var ebx: UInt32 = 0
        var ecx: UInt32 = 0
        var edx: UInt32 = 0

        subscript(_ register: CPUIDRegister) -> UInt32 {
            switch register {
            case .eax: eax
            case .ebx: ebx
            case .ecx: ecx
            case .edx: edx
            }
        }
    }

    private let functions: [CPUIDFunction]

    init(_ functions: [CPUIDFunction] = []) { self.functions = functions }

    /// Functions whose result depends on ECX.
    private static let indexed: Set<UInt32> = [
        0x4, 0x7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1d, 0x1f, 0x8000_001d, 0x8000_0020, 0x8000_0026,
    ]

    /// What CPUID returns. A function that is not in the table is zero.
    ///
    /// - Spec: APM3 CPUID, Appendix E; KVMAPI, KVM_SET_CPUID2
    /// - Deviates: OSXSAVE and OSPKE are the table's, since the host does not see CR4
    func result(_ function: UInt32, _ index: UInt32, xcr0: UInt64, xss: UInt64, apicID: UInt32) -> Result {
        let isIndexed = Self.indexed.contains(function)
        let row = functions.first { $0.eaxIn == function && (!isIndexed || $0.ecxIn == index) }
        var result = row.map { Result(eax: $0.eax, ebx: $0.ebx, ecx: $0.ecx, edx: $0.edx) } ?? Result()
        let isKnown = functions.contains { $0.eaxIn == function }
        switch (function, index) {
        case (0x1, _) where isKnown: result.ebx = result.ebx & 0xff_ffff | apicID << 24
        case (0xb, _) where isKnown:
            if row == nil { result.ecx = index & 0xff }
            result.edx = apicID
        case (0xd, 0) where isKnown: result.ebx = saveAreaSize(xcr0, compacted: false)
        case (0xd, 1) where isKnown: result.ebx = saveAreaSize(xcr0 | xss, compacted: true)
        case (0x8000_001e, _) where isKnown: result.eax = apicID
        default: break
        }
        return result
    }

    /// The size of the XSAVE area for some components: 0x240 bytes, and what lies beyond.
    private func saveAreaSize(_ components: UInt64, compacted: Bool) -> UInt32 {
        var size: UInt32 = 0x240
        for component in 2..<63 as Range<UInt32> where components >> UInt64(component) & 1 == 1 {
            guard let row = functions.first(where: { $0.eaxIn == 0xd && $0.ecxIn == component }) else { continue }
            size = compacted ? size &+ row.eax : max(size, row.ebx &+ row.eax)
        }
        return size
    }
}
