import SNPArchitecture
import Testing

@Suite("CPU signature")
struct GuestCPUSignatureTests {
    @Test(
        "family, model and stepping pack as CPUID 1 EAX",
        arguments: [
            (23, 1, 2, 0x80_0f12), (23, 49, 0, 0x83_0f10), (25, 1, 1, 0xa0_0f11), (25, 17, 0, 0xa1_0f10),
            (26, 0, 0, 0xb0_0f00), (15, 0, 0, 0xf00), (6, 0x3a, 9, 0x3_06a9), (0, 0, 0, 0),
            (270, 255, 15, 0xfff_0fff),
        ] as [(Int, Int, Int, UInt32)])
    func packing(family: Int, model: Int, stepping: Int, raw: UInt32) throws {
        let signature = try #require(CPUSignature(family: family, model: model, stepping: stepping))
        #expect(signature.rawValue == raw)
        #expect([signature.family, signature.model, signature.stepping] == [family, model, stepping])
    }

    @Test(
        "numbers that do not fit are refused",
        arguments: [(-1, 0, 0), (271, 0, 0), (23, -1, 0), (23, 256, 0), (23, 1, -1), (23, 1, 16)])
    func range(family: Int, model: Int, stepping: Int) {
        #expect(CPUSignature(family: family, model: model, stepping: stepping) == nil)
    }

    @Test("QEMU's names have the signatures of their generation")
    func names() throws {
        #expect(CPUModel.all.count == 16)
        for model in CPUModel.all {
            let expected =
                switch model.name.split(separator: "-").dropFirst().first {
                case "Rome": (23, 49, 0)
                case "Milan": (25, 1, 1)
                case "Genoa": (25, 17, 0)
                case "Turin": (26, 0, 0)
                default: (23, 1, 2)
                }
            let signature = model.signature
            #expect((signature.family, signature.model, signature.stepping) == expected, "\(model.name)")
            #expect(CPUModel(named: model.name) == model)
        }
        #expect(CPUModel(named: "epyc") == nil)
    }
}

/// The leaves against the firmware's rules for the Genoa generation, written down from the table of rules.
@Suite("CPUID leaves")
struct GuestCPUIDLeavesTests {
    /// What a register may hold.
    enum Rule: Sendable {
        case exact(UInt32), mask(UInt32), most(UInt32), reserved(UInt32), any
        func accepts(_ value: UInt32) -> Bool {
            switch self {
            case .exact(let only): value == only
            case .mask(let mask): value & ~mask == 0
            case .most(let most): value <= most
            case .reserved(let bits): value & bits == 0
            case .any: true
            }
        }
    }
    static let rules: [UInt64: [Rule]] = [
        0x0_0000_0000: [.most(0x10), .any, .any, .any],
        0x0_0000_0001: [
            .reserved(0xf000_f000), .mask(0xffff_0800), .mask(0x76fa_320b | 1 << 27 | 1 << 31), .mask(0x178b_fbff),
        ],
        0x0_0000_0006: [.mask(4), .exact(0), .mask(1), .exact(0)],
        0x0_0000_0007: [.most(1), .mask(0xf1bf_97a9), .mask(0x0041_5fce), .mask(0x1000_0010)],
        0x0_0000_000b: [.reserved(0xffff_ffe0), .reserved(0xffff_0000), .reserved(0xffff_0000), .any],
        0x1_0000_000b: [.reserved(0xffff_ffe0), .reserved(0xffff_0000), .reserved(0xffff_0000), .any],
        0x0_0000_000d: [.mask(0x2e7), .exact(0x240), .any, .exact(0)],
        0x1_0000_000d: [.mask(0xf), .exact(0x240), .mask(0x1800), .exact(0)],
        0x2_0000_000d: [.exact(0x100), .exact(0x240), .exact(0), .exact(0)],
        0x0_8000_0000: [.most(0x8000_0028), .any, .any, .any],
        0x0_8000_0001: [.reserved(0xf000_f000), .reserved(0x0fff_ffff), .mask(0x75c2_37ff), .mask(0x2fd3_fbff)],
        0x0_8000_0002: [.any, .any, .any, .any], 0x0_8000_0003: [.any, .any, .any, .any],
        0x0_8000_0004: [.any, .any, .any, .any], 0x0_8000_0005: [.any, .any, .any, .any],
        0x0_8000_0006: [.any, .any, .any, .reserved(0x0003_0000)],
        0x0_8000_0007: [.exact(0), .mask(0x3b), .any, .mask(0x6799)],
        0x0_8000_0008: [.reserved(0xff00_0000), .mask(0x79be_f35f), .reserved(0xfffc_0f00), .exact(0)],
        0x0_8000_001f: [.mask(0x030f_ffff), .reserved(0xffff_0000), .any, .any],
        0x0_8000_0021: [.mask(0x1806_2fcf), .reserved(0xffff_f000), .exact(0), .exact(0)],
    ]

    @Test("every leaf obeys the firmware's rules", arguments: [1, 2, 3, 64, 255, 256, 4096])
    func obeys(vcpuCount: Int) throws {
        let genoa = try #require(CPUModel(named: "EPYC-Genoa")).signature
        let leaves = CPUIDLeaves(signature: genoa, vcpuCount: vcpuCount).functions
        #expect(leaves.count <= 64)
        #expect(Set(leaves.map { UInt64($0.ecxIn) << 32 | UInt64($0.eaxIn) }).count == leaves.count)
        for leaf in leaves {
            let rule = try #require(Self.rules[UInt64(leaf.ecxIn) << 32 | UInt64(leaf.eaxIn)])
            let registers = [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]
            for index in 0..<4 {
                #expect(rule[index].accepts(registers[index]), "\(String(leaf.eaxIn, radix: 16)) register \(index)")
            }
            #expect(leaf.xcr0In == (leaf.eaxIn == 0xd && leaf.ecxIn < 2 ? 1 : 0))
            #expect(leaf.xssIn == 0)
        }
    }

    @Test("the leaves with rules of their own: cache line, XCR0, address widths, C-bit")
    func custom() throws {
        let leaves = CPUIDLeaves(signature: CPUSignature(rawValue: 0xa1_0f10), vcpuCount: 5).functions
        func leaf(_ function: UInt32, _ index: UInt32 = 0) throws -> CPUIDFunction {
            try #require(leaves.first { $0.eaxIn == function && $0.ecxIn == index })
        }
        #expect(try leaf(1).eax == 0xa1_0f10)
        #expect(try leaf(1).ebx == 0x0005_0800)
        #expect(try leaf(0xb, 1).eax == 3)
        #expect(try leaf(0xb, 1).ebx == 5)
        #expect(try leaf(0xd).eax & 3 == 3)
        #expect(try leaf(0x8000_0008).eax & 0xff <= 0x34)
        #expect(try leaf(0x8000_0008).eax >> 8 & 0xff <= 0x39)
        #expect(try leaf(0x8000_001f).ebx & 0x3f == 51)
        #expect(try leaf(0x8000_001f).ebx >> 12 <= 4)
        #expect(try leaf(0).ebx == 0x6874_7541)
        #expect(try leaf(0x8000_0002).eax == 0x706d_6152)
    }
}
