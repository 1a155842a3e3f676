// What Genoa's firmware lets a CPUID table say. Product data: one row for each leaf and subleaf.
//
// The short names make the rows readable as a table: `ex` exactly, `su` subset of a mask, `le` at most, `an` anything.

internal import SNPArchitecture

private let an = CPUIDRegisterRule.free
private func ex(_ value: UInt32) -> CPUIDRegisterRule { .exactly(value) }
private func su(_ mask: UInt32) -> CPUIDRegisterRule { .subset(mask) }
private func le(_ limit: UInt32) -> CPUIDRegisterRule { .atMost(limit) }
private func row(
    _ leaf: UInt32, _ subleaf: UInt32, _ eax: CPUIDRegisterRule, _ ebx: CPUIDRegisterRule, _ ecx: CPUIDRegisterRule,
    _ edx: CPUIDRegisterRule, reserved: [UInt32] = [0, 0, 0, 0], _ custom: CPUIDRule.Custom? = nil
) -> CPUIDRule {
    CPUIDRule(leaf: leaf, subleaf: subleaf, registers: [eax, ebx, ecx, edx], reserved: reserved, custom: custom)
}

extension CPUIDRules {
    /// The table of Genoa firmware 1.55.
    static let genoa = CPUIDRules(basicLeaves + extendedStateLeaves + extendedLeaves)

    private static let basicLeaves: [CPUIDRule] = [
        row(0x0, 0, le(0x10), an, an, an),
        row(0x1, 0, an, an, su(0x76fa_320b | 1 << 27 | 1 << 31), su(0x178b_fbff), reserved: [0xf000_f000, 0xff, 0, 0]) {
            function, signature in
            function.eax = notNewer(function.eax, than: signature)
            function.ebx = function.ebx & ~0xff00 | 8 << 8
        },
        row(0x2, 0, an, an, an, an),
        row(0x4, 0, an, an, an, an),
        row(0x5, 0, an, an, an, an, reserved: [0xffff_0000, 0xffff_0000, 0xffff_fffc, 0xffff_ff00]),
        row(0x6, 0, su(0x4), ex(0), su(0x1), ex(0)),
        row(0x7, 0, le(1), su(0xf1bf_97a9), su(0x0041_5fce | 1 << 4), an) { function, _ in
            if function.edx & ~0x1000_0010 != 0 { function.edx = 0 }
        },
        row(0x7, 1, su(0x20), ex(0), ex(0), ex(0)),
        row(0xb, 0, an, an, an, an, reserved: [0xffff_ffe0, 0xffff_0000, 0xffff_0000, 0]),
        row(0xb, 1, an, an, an, an, reserved: [0xffff_ffe0, 0xffff_0000, 0xffff_0000, 0]),
        row(0xb, 2, an, an, an, an, reserved: [0xffff_ffe0, 0xffff_0000, 0xffff_0000, 0]),
        row(0xf, 0, ex(0), an, ex(0), an, reserved: [0, 0, 0, 0xffff_fffd]),
        row(0xf, 1, an, an, an, an, reserved: [0xffff_fe00, 0, 0, 0xffff_fff8]),
        row(0x10, 0, ex(0), an, ex(0), ex(0), reserved: [0, 0xffff_fff9, 0, 0]),
        row(0x10, 1, an, an, an, an, reserved: [0xffff_ffe0, 0, 0xffff_fffb, 0xffff_0000]),
    ]

    private static let extendedStateLeaves: [CPUIDRule] = [
        row(0xd, 0, su(0x2e7), an, an, ex(0)) { function, _ in
            function.eax |= 3
            function.ebx = standardStateByteCount(xcr0: function.xcr0In)
        },
        row(0xd, 1, su(0xf), an, su(0x1800), su(0)) { function, _ in
            function.ebx = compactedStateByteCount(xcr0: function.xcr0In, xss: function.xssIn)
        },
        row(0xd, 2, ex(0x100), ex(0x240), ex(0), ex(0)),
        row(0xd, 5, ex(0x40), ex(0x340), su(3), ex(0)),
        row(0xd, 6, ex(0x200), ex(0x380), su(3), ex(0)),
        row(0xd, 7, ex(0x400), ex(0x580), su(3), ex(0)),
        row(0xd, 9, ex(0x8), ex(0x980), ex(0), ex(0)),
        row(0xd, 0xb, ex(0x10), ex(0), ex(1), ex(0)),
        row(0xd, 0xc, ex(0x18), ex(0), ex(1), ex(0)),
    ]

    private static let extendedLeaves: [CPUIDRule] = [
        row(0x8000_0000, 0, le(0x8000_0028), an, an, an),
        row(
            0x8000_0001, 0, an, an, su(0x75c2_37ff), su(0x2fd3_fbff), reserved: [0xf000_f000, 0x0fff_ffff, 0, 0]
        ) { function, signature in function.eax = notNewer(function.eax, than: signature) },
        row(0x8000_0002, 0, an, an, an, an),
        row(0x8000_0003, 0, an, an, an, an),
        row(0x8000_0004, 0, an, an, an, an),
        row(0x8000_0005, 0, an, an, an, an),
        row(0x8000_0006, 0, an, an, an, an, reserved: [0, 0, 0, 0x0003_0000]),
        row(0x8000_0007, 0, ex(0), su(0x3b), an, su(0x6799)),
        row(0x8000_0008, 0, an, su(0x79be_f35f), an, an, reserved: [0xff00_0000, 0, 0xfffc_0f00, 0]) { function, _ in
            function.eax = clampBytes(function.eax, to: [0x34, 0x39, 0xff, 0xff])
            function.edx =
                function.edx & 0xff00_0000 | min(function.edx >> 16 & 0xff, 1) << 16 | min(function.edx & 0xffff, 7)
        },
        row(0x8000_000a, 0, an, an, ex(0), su(0x1fbf_bcff), reserved: [0xffff_ff00, 0, 0, 0]),
        row(0x8000_0019, 0, an, an, ex(0), ex(0)),
        row(0x8000_001a, 0, an, ex(0), ex(0), ex(0), reserved: [0xffff_fff8, 0, 0, 0]),
        row(0x8000_001b, 0, su(0xbff), ex(0), ex(0), ex(0)),
        row(0x8000_001d, 0, an, an, an, an, reserved: [0xfc00_3c00, 0, 0, 0xffff_fffc]),
        row(0x8000_001d, 1, an, an, an, an, reserved: [0xfc00_3c00, 0, 0, 0xffff_fffc]),
        row(0x8000_001d, 2, an, an, an, an, reserved: [0xfc00_3c00, 0, 0, 0xffff_fffc]),
        row(0x8000_001d, 3, an, an, an, an, reserved: [0xfc00_3c00, 0, 0, 0xffff_fffc]),
        row(0x8000_001d, 4, an, ex(0), an, ex(0), reserved: [0xffff_fff0, 0, 0, 0]),
        row(0x8000_001e, 0, an, an, an, an, reserved: [0, 0xffff_0000, 0xffff_f800, 0xffff_ffff]),
        row(0x8000_001f, 0, su(0x030f_ffff), an, an, an, reserved: [0, 0xffff_0000, 0, 0]) { function, _ in
            function.ebx = function.ebx & 0xffff_0fc0 | min(function.ebx >> 12 & 0xf, 4) << 12 | 0x33
        },
        row(0x8000_0020, 0, ex(0), an, ex(0), ex(0), reserved: [0, 0xffff_ffe1, 0, 0]),
        row(0x8000_0020, 1, ex(0), ex(0), ex(0), an),
        row(0x8000_0020, 2, ex(0), ex(0), ex(0), an),
        row(0x8000_0020, 3, ex(0), an, su(0x7f), ex(0)),
        row(0x8000_0021, 0, su(0x1806_2fcf), an, ex(0), ex(0), reserved: [0, 0xffff_f000, 0, 0]),
        row(0x8000_0022, 0, su(7), an, an, ex(0)) { function, _ in
            function.ebx = function.ebx & ~0x3ff | min(function.ebx >> 4 & 0x3f, 0x10) << 4 | min(function.ebx & 0xf, 6)
        },
        row(0x8000_0023, 0, su(1), an, ex(0), ex(0)),
        row(0x8000_0024, 0, le(1), su(1), su(3), ex(0)),
        row(0x8000_0024, 1, su(0x1ff), ex(0), ex(0), ex(0)),
        row(0x8000_0026, 0, an, an, an, an),
        row(0x8000_0026, 1, an, an, an, an),
        row(0x8000_0026, 2, an, an, an, an),
        row(0x8000_0026, 3, an, an, an, an),
    ]

    /// A processor signature, or the host's if it names a newer part than the host.
    private static func notNewer(_ signature: UInt32, than host: UInt32) -> UInt32 {
        func order(_ value: UInt32) -> [UInt32] {
            let family = (value >> 8 & 0xf) + (value >> 20 & 0xff)
            return [family, value >> 16 & 0xf, value >> 4 & 0xf, value & 0xf]
        }
        return order(host).lexicographicallyPrecedes(order(signature)) ? host : signature
    }

    /// The size of the XSAVE area in standard form.
    private static func standardStateByteCount(xcr0: UInt64) -> UInt32 {
        let sizes: [(bit: Int, byteCount: UInt32)] = [(9, 0x988), (7, 0x980), (6, 0x580), (5, 0x380), (2, 0x340)]
        return sizes.first { xcr0.hasBit($0.bit) }?.byteCount ?? 0x240
    }

    /// The size of the XSAVE area in compacted form.
    private static func compactedStateByteCount(xcr0: UInt64, xss: UInt64) -> UInt32 {
        let user: [(bit: Int, byteCount: UInt32)] = [(9, 0x8), (7, 0x400), (6, 0x200), (5, 0x40), (2, 0x100)]
        let supervisor: [(bit: Int, byteCount: UInt32)] = [(11, 0x10), (12, 0x18)]
        let both = user.filter { xcr0.hasBit($0.bit) } + supervisor.filter { xss.hasBit($0.bit) }
        return both.reduce(0x240) { $0 + $1.byteCount }
    }

    /// Each byte, at most its limit; the lowest byte first.
    private static func clampBytes(_ value: UInt32, to limits: [UInt32]) -> UInt32 {
        (0..<4 as Range<UInt32>).reduce(0) { $0 | min(value >> ($1 * 8) & 0xff, limits[Int($1)]) << ($1 * 8) }
    }
}
