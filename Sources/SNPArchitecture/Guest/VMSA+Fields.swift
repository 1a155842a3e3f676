// The one list of the VMSA's fields: encoding, decoding and the table of the layout are all made from it.

/// What is done with each field of a VMSA, in the order of the page.
protocol VMSAVisitor {
    /// Visits a field of 1, 2, 4 or 8 bytes, aligned to its size.
    mutating func integer<I: FixedWidthInteger & UnsignedInteger>(_ name: StaticString, _ offset: Int, _ value: inout I)
    /// Visits a segment register.
    mutating func segment(_ name: StaticString, _ offset: Int, _ value: inout SegmentRegister)
    /// Visits a run of quadwords.
    mutating func quadwords<let count: Int>(
        _ name: StaticString, _ offset: Int, _ value: inout InlineArray<count, UInt64>)
    /// Visits bytes that have no meaning.
    mutating func reserved(_ offset: Int, _ byteCount: Int)
}

extension VMSA {
    /// Visits every byte of the page exactly once, in order.
    mutating func visitFields<V: VMSAVisitor>(_ v: inout V) {
        visitSegments(&v)
        visitSystemRegisters(&v)
        visitGeneralRegisters(&v)
        visitVirtualization(&v)
        visitFloatingPoint(&v)
        v.quadwords("LBR_STACK", 0x670, &lbrStack)
        v.integer("LBR_SELECT", 0x770, &lbrSelect)
        v.quadwords("IBS", 0x778, &ibsRegisters)
        v.reserved(Self.saveAreaByteCount, Self.byteCount - Self.saveAreaByteCount)
    }

    private mutating func visitSegments<V: VMSAVisitor>(_ v: inout V) {
        v.segment("ES", 0x000, &es)
        v.segment("CS", 0x010, &cs)
        v.segment("SS", 0x020, &ss)
        v.segment("DS", 0x030, &ds)
        v.segment("FS", 0x040, &fs)
        v.segment("GS", 0x050, &gs)
        v.segment("GDTR", 0x060, &gdtr)
        v.segment("LDTR", 0x070, &ldtr)
        v.segment("IDTR", 0x080, &idtr)
        v.segment("TR", 0x090, &tr)
    }

    private mutating func visitSystemRegisters<V: VMSAVisitor>(_ v: inout V) {
        v.integer("PL0_SSP", 0x0a0, &pl0SSP)
        v.integer("PL1_SSP", 0x0a8, &pl1SSP)
        v.integer("PL2_SSP", 0x0b0, &pl2SSP)
        v.integer("PL3_SSP", 0x0b8, &pl3SSP)
        v.integer("U_CET", 0x0c0, &uCET)
        v.reserved(0x0c8, 2)
        v.integer("VMPL", 0x0ca, &vmpl)
        v.integer("CPL", 0x0cb, &cpl)
        v.reserved(0x0cc, 4)
        v.integer("EFER", 0x0d0, &efer)
        v.reserved(0x0d8, 104)
        v.integer("XSS", 0x140, &xss)
        v.integer("CR4", 0x148, &cr4)
        v.integer("CR3", 0x150, &cr3)
        v.integer("CR0", 0x158, &cr0)
        v.integer("DR7", 0x160, &dr7)
        v.integer("DR6", 0x168, &dr6)
        v.integer("RFLAGS", 0x170, &rflags)
        v.integer("RIP", 0x178, &rip)
        v.integer("DR0", 0x180, &dr0)
        v.integer("DR1", 0x188, &dr1)
        v.integer("DR2", 0x190, &dr2)
        v.integer("DR3", 0x198, &dr3)
        v.integer("DR0_ADDR_MASK", 0x1a0, &dr0AddressMask)
        v.integer("DR1_ADDR_MASK", 0x1a8, &dr1AddressMask)
        v.integer("DR2_ADDR_MASK", 0x1b0, &dr2AddressMask)
        v.integer("DR3_ADDR_MASK", 0x1b8, &dr3AddressMask)
        v.reserved(0x1c0, 24)
        v.integer("RSP", 0x1d8, &rsp)
        v.integer("S_CET", 0x1e0, &sCET)
        v.integer("SSP", 0x1e8, &ssp)
        v.integer("ISST_ADDR", 0x1f0, &isstAddress)
        v.integer("RAX", 0x1f8, &rax)
        v.integer("STAR", 0x200, &star)
        v.integer("LSTAR", 0x208, &lstar)
        v.integer("CSTAR", 0x210, &cstar)
        v.integer("SFMASK", 0x218, &sfmask)
        v.integer("KernelGsBase", 0x220, &kernelGSBase)
        v.integer("SYSENTER_CS", 0x228, &sysenterCS)
        v.integer("SYSENTER_ESP", 0x230, &sysenterESP)
        v.integer("SYSENTER_EIP", 0x238, &sysenterEIP)
        v.integer("CR2", 0x240, &cr2)
        v.reserved(0x248, 32)
        v.integer("G_PAT", 0x268, &gPAT)
        v.integer("DBGCTL", 0x270, &debugControl)
        v.integer("BR_FROM", 0x278, &branchFrom)
        v.integer("BR_TO", 0x280, &branchTo)
        v.integer("LASTEXCPFROM", 0x288, &lastExceptionFrom)
        v.integer("LASTEXCPTO", 0x290, &lastExceptionTo)
        v.reserved(0x298, 72)
        v.integer("SPEC_CTRL", 0x2e0, &specCtrl)
    }

    private mutating func visitGeneralRegisters<V: VMSAVisitor>(_ v: inout V) {
        v.integer("PKRU", 0x2e8, &pkru)
        v.integer("TSC_AUX", 0x2ec, &tscAux)
        v.integer("GUEST_TSC_SCALE", 0x2f0, &tscScale)
        v.integer("GUEST_TSC_OFFSET", 0x2f8, &tscOffset)
        v.integer("REG_PROT_NONCE", 0x300, &registerProtectionNonce)
        v.integer("RCX", 0x308, &rcx)
        v.integer("RDX", 0x310, &rdx)
        v.integer("RBX", 0x318, &rbx)
        v.integer("SECURE_AVIC_CTRL", 0x320, &secureAVICControl)
        v.integer("RBP", 0x328, &rbp)
        v.integer("RSI", 0x330, &rsi)
        v.integer("RDI", 0x338, &rdi)
        v.integer("R8", 0x340, &r8)
        v.integer("R9", 0x348, &r9)
        v.integer("R10", 0x350, &r10)
        v.integer("R11", 0x358, &r11)
        v.integer("R12", 0x360, &r12)
        v.integer("R13", 0x368, &r13)
        v.integer("R14", 0x370, &r14)
        v.integer("R15", 0x378, &r15)
        v.reserved(0x380, 16)
    }

    private mutating func visitVirtualization<V: VMSAVisitor>(_ v: inout V) {
        v.integer("GUEST_EXITINFO1", 0x390, &guestExitInfo1)
        v.integer("GUEST_EXITINFO2", 0x398, &guestExitInfo2)
        v.integer("GUEST_EXITINTINFO", 0x3a0, &guestExitIntInfo)
        v.integer("GUEST_NRIP", 0x3a8, &guestNRIP)
        v.integer("SEV_FEATURES", 0x3b0, &sevFeatures.rawValue)
        v.integer("VINTR_CTRL", 0x3b8, &vintrControl)
        v.integer("GUEST_EXITCODE", 0x3c0, &guestExitCode)
        v.integer("VIRTUAL_TOM", 0x3c8, &virtualTOM)
        v.integer("TLB_ID", 0x3d0, &tlbID)
        v.integer("PCPU_ID", 0x3d8, &pcpuID)
        v.integer("EVENTINJ", 0x3e0, &eventInjection)
        v.integer("XCR0", 0x3e8, &xcr0)
        v.reserved(0x3f0, 16)
    }

    private mutating func visitFloatingPoint<V: VMSAVisitor>(_ v: inout V) {
        v.integer("X87_DP", 0x400, &x87DP)
        v.integer("MXCSR", 0x408, &mxcsr)
        v.integer("X87_FTW", 0x40c, &x87FTW)
        v.integer("X87_FSW", 0x40e, &x87FSW)
        v.integer("X87_FCW", 0x410, &x87FCW)
        v.integer("X87_FOP", 0x412, &x87FOP)
        v.integer("X87_DS", 0x414, &x87DS)
        v.integer("X87_CS", 0x416, &x87CS)
        v.integer("X87_RIP", 0x418, &x87RIP)
        v.quadwords("FPREG_X87", 0x420, &x87Registers)
        v.quadwords("FPREG_XMM", 0x470, &xmmRegisters)
        v.quadwords("FPREG_YMM", 0x570, &ymmHighRegisters)
    }
}
