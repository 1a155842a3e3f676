// How firmware checks a CPUID table: one rule for each register of each function, and what to put where a rule is broken.

internal import Machine
internal import SNPArchitecture

/// What one register of a CPUID function may be.
enum CPUIDRegisterRule: Sendable {
    /// Anything.
    case free
    /// This value.
    case exactly(UInt32)
    /// Only bits of this mask.
    case subset(UInt32)
    /// At most this value.
    case atMost(UInt32)

    /// The value itself if it keeps the rule, else what it is corrected to.
    func corrected(_ value: UInt32) -> UInt32 {
        switch self {
        case .free: value
        case .exactly(let wanted): wanted
        case .subset(let mask): value & mask
        case .atMost(let limit): min(value, limit)
        }
    }
}

/// The rule of one function: a leaf and subleaf.
struct CPUIDRule: Sendable {
    /// Corrects a function in a way that register rules cannot say. `signature` is the host's CPUID leaf 1 EAX.
    typealias Custom = @Sendable (_ function: inout CPUIDFunction, _ signature: UInt32) -> Void

    var leaf: UInt32
    var subleaf: UInt32
    /// EAX, EBX, ECX, EDX.
    var registers: [CPUIDRegisterRule] = [.free, .free, .free, .free]
    /// Bits that must be zero in EAX, EBX, ECX, EDX; looked at after the rules.
    var reserved: [UInt32] = [0, 0, 0, 0]
    var custom: Custom?

    /// The function as it may be.
    func corrected(_ function: CPUIDFunction, signature: UInt32) -> CPUIDFunction {
        var result = function
        custom?(&result, signature)
        result.eax = registers[0].corrected(result.eax) & ~reserved[0]
        result.ebx = registers[1].corrected(result.ebx) & ~reserved[1]
        result.ecx = registers[2].corrected(result.ecx) & ~reserved[2]
        result.edx = registers[3].corrected(result.edx) & ~reserved[3]
        return result
    }
}

/// The rules of one product.
struct CPUIDRules: Sendable {
    private let byFunction: [UInt64: CPUIDRule]

    init(_ rules: [CPUIDRule]) {
        byFunction = Dictionary(uniqueKeysWithValues: rules.map { (Self.key($0.leaf, $0.subleaf), $0) })
    }

    private static func key(_ leaf: UInt32, _ subleaf: UInt32) -> UInt64 { UInt64(leaf) << 32 | UInt64(subleaf) }

    /// Whether firmware looks at a leaf; others, such as the hypervisor's, pass.
    static func checks(_ leaf: UInt32) -> Bool { leaf <= 0xffff || 0x8000_0000...0x8000_ffff ~= leaf }

    /// The function as it may be. One that no rule knows must be all zero.
    func corrected(_ function: CPUIDFunction, signature: UInt32) -> CPUIDFunction {
        guard Self.checks(function.eaxIn) else { return function }
        guard let rule = byFunction[Self.key(function.eaxIn, function.ecxIn)] else {
            var zero = function
            (zero.eax, zero.ebx, zero.ecx, zero.edx) = (0, 0, 0, 0)
            return zero
        }
        return rule.corrected(function, signature: signature)
    }
}

extension Firmware {
    /// Checks the CPUID page of a launch. Broken entries are corrected in the page, in plain.
    ///
    /// - Spec: FWABI 56860, PAGE_TYPE_CPUID
    /// - Throws: INVALID_PARAM: in check order: header (nothing is written), any entry (the page is corrected)
    /// - Deviates: the table is Genoa's for every product. Whether a reserved field counts in the entry of a leaf that
    ///   firmware does not check is unconfirmed; here it does
    func checkCPUIDPage(_ pfn: PFN) throws(FirmwareStatus) {
        let bytes = memory.bytes(pfn.address, count: CPUIDPage.byteCount)
        let page = CPUIDPage(decoding: bytes)
        guard page.reserved04 == 0, page.reserved08 == 0, page.count <= CPUIDPage.maximumCount else {
            throw .invalidParam
        }
        var isGood = true
        var corrected = bytes
        for (index, function) in page.functions.enumerated() {
            guard function.reserved == 0 else {
                isGood = false
                continue
            }
            let result = CPUIDRules.genoa.corrected(function, signature: machine.product.signature)
            guard result != function else { continue }
            isGood = false
            corrected.store(result.encoded, at: 0x10 + index * CPUIDFunction.byteCount, limit: CPUIDFunction.byteCount)
        }
        guard isGood else {
            memory.store(corrected, at: pfn.address)
            throw .invalidParam
        }
    }
}
