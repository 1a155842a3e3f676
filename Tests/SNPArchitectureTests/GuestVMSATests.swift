import SNPArchitecture
import Testing

@Suite("VMSA")
struct GuestVMSATests {
    /// Written down from the manual's table, independently of the code: name, offset, bytes.
    static let table: [(String, Int, Int)] =
        ["ES", "CS", "SS", "DS", "FS", "GS", "GDTR", "LDTR", "IDTR", "TR"].enumerated().map { ($1, $0 * 16, 16) } + [
            ("PL0_SSP", 0xa0, 8), ("PL1_SSP", 0xa8, 8), ("PL2_SSP", 0xb0, 8), ("PL3_SSP", 0xb8, 8), ("U_CET", 0xc0, 8),
            ("VMPL", 0xca, 1), ("CPL", 0xcb, 1), ("EFER", 0xd0, 8), ("XSS", 0x140, 8), ("CR4", 0x148, 8),
            ("CR3", 0x150, 8), ("CR0", 0x158, 8), ("DR7", 0x160, 8), ("DR6", 0x168, 8), ("RFLAGS", 0x170, 8),
            ("RIP", 0x178, 8), ("DR0", 0x180, 8), ("DR1", 0x188, 8), ("DR2", 0x190, 8), ("DR3", 0x198, 8),
            ("DR0_ADDR_MASK", 0x1a0, 8), ("DR3_ADDR_MASK", 0x1b8, 8), ("RSP", 0x1d8, 8), ("S_CET", 0x1e0, 8),
            ("SSP", 0x1e8, 8), ("ISST_ADDR", 0x1f0, 8), ("RAX", 0x1f8, 8), ("STAR", 0x200, 8), ("LSTAR", 0x208, 8),
            ("CSTAR", 0x210, 8), ("SFMASK", 0x218, 8), ("KernelGsBase", 0x220, 8), ("SYSENTER_CS", 0x228, 8),
            ("SYSENTER_ESP", 0x230, 8), ("SYSENTER_EIP", 0x238, 8), ("CR2", 0x240, 8), ("G_PAT", 0x268, 8),
            ("DBGCTL", 0x270, 8), ("BR_FROM", 0x278, 8), ("BR_TO", 0x280, 8), ("LASTEXCPFROM", 0x288, 8),
            ("LASTEXCPTO", 0x290, 8), ("SPEC_CTRL", 0x2e0, 8), ("PKRU", 0x2e8, 4), ("TSC_AUX", 0x2ec, 4),
            ("GUEST_TSC_SCALE", 0x2f0, 8), ("GUEST_TSC_OFFSET", 0x2f8, 8), ("REG_PROT_NONCE", 0x300, 8),
            ("RCX", 0x308, 8), ("RDX", 0x310, 8), ("RBX", 0x318, 8), ("SECURE_AVIC_CTRL", 0x320, 8), ("RBP", 0x328, 8),
            ("RSI", 0x330, 8), ("RDI", 0x338, 8), ("R8", 0x340, 8), ("R15", 0x378, 8), ("GUEST_EXITINFO1", 0x390, 8),
            ("GUEST_EXITINFO2", 0x398, 8), ("GUEST_EXITINTINFO", 0x3a0, 8), ("GUEST_NRIP", 0x3a8, 8),
            ("SEV_FEATURES", 0x3b0, 8), ("VINTR_CTRL", 0x3b8, 8), ("GUEST_EXITCODE", 0x3c0, 8),
            ("VIRTUAL_TOM", 0x3c8, 8), ("TLB_ID", 0x3d0, 8), ("PCPU_ID", 0x3d8, 8), ("EVENTINJ", 0x3e0, 8),
            ("XCR0", 0x3e8, 8), ("X87_DP", 0x400, 8), ("MXCSR", 0x408, 4), ("X87_FTW", 0x40c, 2),
            ("X87_FSW", 0x40e, 2), ("X87_FCW", 0x410, 2), ("X87_FOP", 0x412, 2), ("X87_DS", 0x414, 2),
            ("X87_CS", 0x416, 2), ("X87_RIP", 0x418, 8), ("FPREG_X87", 0x420, 80), ("FPREG_XMM", 0x470, 256),
            ("FPREG_YMM", 0x570, 256), ("LBR_STACK", 0x670, 256), ("LBR_SELECT", 0x770, 8), ("IBS", 0x778, 80),
        ]

    @Test("fields stand where the manual says", arguments: table)
    func offsets(name: String, offset: Int, byteCount: Int) throws {
        let field = try #require(VMSA.layout.first { $0.name == name })
        #expect(field.offset == offset)
        #expect(field.byteCount == byteCount)
    }

    /// Which property is at which offset, for all quadwords.
    static var quadwords: [(WritableKeyPath<VMSA, UInt64>, Int)] {
        [
            (\.pl0SSP, 0xa0), (\.pl1SSP, 0xa8), (\.pl2SSP, 0xb0), (\.pl3SSP, 0xb8), (\.uCET, 0xc0), (\.efer, 0xd0),
            (\.xss, 0x140), (\.cr4, 0x148), (\.cr3, 0x150), (\.cr0, 0x158), (\.dr7, 0x160), (\.dr6, 0x168),
            (\.rflags, 0x170), (\.rip, 0x178), (\.dr0, 0x180), (\.dr1, 0x188), (\.dr2, 0x190), (\.dr3, 0x198),
            (\.dr0AddressMask, 0x1a0), (\.dr1AddressMask, 0x1a8), (\.dr2AddressMask, 0x1b0),
            (\.dr3AddressMask, 0x1b8), (\.rsp, 0x1d8), (\.sCET, 0x1e0), (\.ssp, 0x1e8), (\.isstAddress, 0x1f0),
            (\.rax, 0x1f8), (\.star, 0x200), (\.lstar, 0x208), (\.cstar, 0x210), (\.sfmask, 0x218),
            (\.kernelGSBase, 0x220), (\.sysenterCS, 0x228), (\.sysenterESP, 0x230), (\.sysenterEIP, 0x238),
            (\.cr2, 0x240), (\.gPAT, 0x268), (\.debugControl, 0x270), (\.branchFrom, 0x278), (\.branchTo, 0x280),
            (\.lastExceptionFrom, 0x288), (\.lastExceptionTo, 0x290), (\.specCtrl, 0x2e0), (\.tscScale, 0x2f0),
            (\.tscOffset, 0x2f8), (\.registerProtectionNonce, 0x300), (\.rcx, 0x308), (\.rdx, 0x310), (\.rbx, 0x318),
            (\.secureAVICControl, 0x320), (\.rbp, 0x328), (\.rsi, 0x330), (\.rdi, 0x338), (\.r8, 0x340),
            (\.r9, 0x348), (\.r10, 0x350), (\.r11, 0x358), (\.r12, 0x360), (\.r13, 0x368), (\.r14, 0x370),
            (\.r15, 0x378), (\.guestExitInfo1, 0x390), (\.guestExitInfo2, 0x398), (\.guestExitIntInfo, 0x3a0),
            (\.guestNRIP, 0x3a8), (\.sevFeatures.rawValue, 0x3b0), (\.vintrControl, 0x3b8), (\.guestExitCode, 0x3c0),
            (\.virtualTOM, 0x3c8), (\.tlbID, 0x3d0), (\.pcpuID, 0x3d8), (\.eventInjection, 0x3e0), (\.xcr0, 0x3e8),
            (\.x87DP, 0x400), (\.x87RIP, 0x418), (\.lbrSelect, 0x770),
        ]
    }

    @Test("each property is stored at its own offset")
    func properties() {
        for (index, (property, offset)) in Self.quadwords.enumerated() {
            var vmsa = VMSA()
            vmsa[keyPath: property] = 0x1122_3344_5566_7700 + UInt64(index)
            let page = vmsa.quadwords
            let stored = page.indices.filter { page[$0] != 0 }
            #expect(stored == [offset / 8] && page[offset / 8] == 0x1122_3344_5566_7700 + UInt64(index), "\(property)")
        }
        var vmsa = VMSA()
        (vmsa.vmpl, vmsa.cpl, vmsa.pkru, vmsa.tscAux, vmsa.mxcsr) = (1, 2, 3, 4, 5)
        (vmsa.x87FTW, vmsa.x87FSW, vmsa.x87FCW, vmsa.x87FOP, vmsa.x87DS, vmsa.x87CS) = (6, 7, 8, 9, 10, 11)
        (vmsa.es.selector, vmsa.cs.attributes, vmsa.ss.limit, vmsa.ds.base) = (12, 13, 14, 15)
        (vmsa.fs.base, vmsa.gs.base, vmsa.gdtr.base, vmsa.ldtr.base, vmsa.idtr.base, vmsa.tr.base) = (
            16, 17, 18, 19, 20, 21
        )
        let bytes = vmsa.bytes
        let places = [
            0xca, 0xcb, 0x2e8, 0x2ec, 0x408, 0x40c, 0x40e, 0x410, 0x412, 0x414, 0x416, 0x00, 0x12, 0x24, 0x38, 0x48,
            0x58,
            0x68, 0x78, 0x88, 0x98,
        ]
        #expect(places.map { bytes[$0] } == Array(1...21))
        #expect(bytes.count { $0 != 0 } == 21)
    }

    @Test("fields and reserved ranges cover the 4096 bytes without gap or overlap")
    func coverage() {
        var next = 0
        for field in VMSA.layout {
            #expect(field.offset == next, "\(field.name)")
            next = field.offset + field.byteCount
        }
        #expect(next == 4096)
        #expect(VMSA.layout.last?.isReserved == true)
        #expect(VMSA.layout.filter { !$0.isReserved }.allSatisfy { $0.offset + $0.byteCount <= 0x7c8 })
        let names = VMSA.layout.filter { !$0.isReserved }.map(\.name)
        #expect(Set(names).count == names.count)
    }

    @Test("every named byte survives decoding and encoding; every reserved byte comes back zero")
    func roundTrip() throws {
        let reserved = VMSA.layout.filter(\.isReserved).reduce(into: Set<Int>()) {
            $0.formUnion($1.offset..<($1.offset + $1.byteCount))
        }
        #expect(reserved.count == 2 + 4 + 104 + 24 + 32 + 72 + 16 + 16 + (4096 - 0x7c8))
        // Two patterns, so that no byte can survive by chance.
        for seed: UInt8 in [1, 0x5a] {
            let page = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) ^ seed }
            let encoded = try #require(VMSA(bytes: page)).bytes
            #expect(encoded.count == 4096)
            for index in 0..<4096 where encoded[index] != (reserved.contains(index) ? 0 : page[index]) {
                Issue.record("byte \(String(index, radix: 16))")
            }
        }
    }

    @Test("storing into a page leaves its reserved bytes alone")
    func storing() {
        var page = InlineArray<512, UInt64>(repeating: .max)
        var vmsa = VMSA()
        vmsa.vmpl = 2
        vmsa.store(into: &page)
        #expect(page[0xc8 / 8] == 0xffff_ffff_0002_ffff)
        #expect(page[0x388 / 8] == .max)
        #expect(page[0x178 / 8] == 0)
        #expect(page[511] == .max)
    }

    @Test("a page of another length is no VMSA", arguments: [0, 4095, 4097])
    func wrongLength(byteCount: Int) {
        #expect(VMSA(bytes: [UInt8](repeating: 0, count: byteCount)) == nil)
    }

    @Test("equality sees every field")
    func equality() throws {
        for field in VMSA.layout where !field.isReserved {
            var page = [UInt8](repeating: 0, count: 4096)
            page[field.offset + field.byteCount - 1] = 0x80
            #expect(try #require(VMSA(bytes: page)) != VMSA(), "\(field.name)")
        }
        #expect(VMSA() == VMSA())
    }
}

@Suite("VMSA at reset")
struct GuestVMSAResetTests {
    static let milan = CPUSignature(rawValue: 0xa0_0f11)

    @Test("what the three VMMs have in common", arguments: VMMType.allCases)
    func common(vmm: VMMType) {
        let vmsa = VMSA.reset(vmm: vmm, eip: 0x80_b004, cpuSignature: Self.milan, features: [.snpActive, .debugSwap])
        let data = SegmentRegister(selector: 0, attributes: 0x93, limit: 0xffff, base: 0)
        #expect([vmsa.ds, vmsa.es, vmsa.fs, vmsa.gs] == [data, data, data, data])
        #expect(vmsa.cs == SegmentRegister(selector: 0xf000, attributes: 0x9b, limit: 0xffff, base: 0x80_0000))
        #expect(vmsa.ldtr == SegmentRegister(selector: 0, attributes: 0x82, limit: 0xffff, base: 0))
        #expect(vmsa.gdtr == SegmentRegister(selector: 0, attributes: 0, limit: 0xffff, base: 0))
        #expect(vmsa.idtr == vmsa.gdtr)
        #expect([vmsa.efer, vmsa.cr0, vmsa.cr4, vmsa.rflags, vmsa.xcr0] == [0x1000, 0x10, 0x40, 2, 1])
        #expect([vmsa.dr6, vmsa.dr7, vmsa.rip] == [0xffff_0ff0, 0x400, 0xb004])
        #expect(vmsa.sevFeatures.rawValue == 0x21)
    }

    @Test("what they differ in")
    func differences() {
        func reset(_ vmm: VMMType, _ eip: UInt32 = 0xffff_fff0) -> VMSA {
            VMSA.reset(vmm: vmm, eip: eip, cpuSignature: Self.milan, features: .snpActive)
        }
        #expect(VMMType.allCases.map { reset($0).rdx } == [0xa0_0f11, 0x600, 0x600])
        #expect(VMMType.allCases.map { reset($0).mxcsr } == [0x1f80, 0, 0])
        #expect(VMMType.allCases.map { reset($0).x87FCW } == [0x37f, 0, 0])
        #expect(VMMType.allCases.map { reset($0).ss.attributes } == [0x93, 0x92, 0x93])
        #expect(VMMType.allCases.map { reset($0).tr.attributes } == [0x8b, 0x83, 0x8b])
        #expect(VMMType.allCases.map { reset($0).cs.attributes } == [0x9b, 0x9a, 0x9b])
        #expect(VMMType.allCases.map { reset($0, 0x1000).cs.attributes } == [0x9b, 0x9b, 0x9b])
        #expect(reset(.qemu).gPAT == 0x0007_0406_0007_0406)
        #expect(reset(.ec2).gPAT == 0x0007_0406_0007_0406)
        #expect(reset(.gce).gPAT == 0x0007_0106)
        #expect(reset(.qemu).cs.base == 0xffff_0000)
        #expect(reset(.qemu).rip == 0xfff0)
    }

    @Test("segment attributes are packed from a descriptor's two bytes")
    func attributes() {
        #expect(SegmentRegister.attributes(descriptor: 0xc09b) == 0xc9b)
        #expect(SegmentRegister.attributes(descriptor: 0xa09b) == 0xa9b)
        #expect(SegmentRegister.attributes(descriptor: 0x0f93) == 0x093)
    }

    @Test("SEV_STATUS is SEV and SEV-ES, then SEV_FEATURES two bits higher")
    func status() {
        #expect(SEVFeatures.snpActive.sevStatus == 0x7)
        #expect(SEVFeatures([.snpActive, .secureTSC]).sevStatus == 0x807)
    }
}
