// The registers with which a program without firmware starts: what firmware or a boot loader would have set up.

internal import SNPArchitecture

extension VMSA {
    /// The state of a virtual CPU before the image's first instruction.
    ///
    /// - Spec: the boot ABI of Guests/README.md; Multiboot 0.6.96, section 3.2
    static func direct(_ image: GuestImage, features: SEVFeatures, isBootstrap: Bool) -> VMSA {
        var vmsa = VMSA.reset(vmm: .gce, eip: 0, cpuSignature: CPUSignature(rawValue: 0), features: features)
        vmsa.rdx = 0
        vmsa.gPAT = 0x0007_0406_0007_0406
        vmsa.mxcsr = 0x1f80
        vmsa.x87FCW = 0x37f
        let flatData = SegmentRegister(selector: 0x10, attributes: 0xc93, limit: 0xffff_ffff)
        switch image.mode {
        case .real16:
            // The segment starts at the entry's 64 KiB, or the entry itself would not fit in IP.
            let base = image.entry.rawValue & 0xf_0000
            vmsa.cs = SegmentRegister(
                selector: UInt16(base >> 4), attributes: 0x9b, limit: 0xffff, base: base)
            vmsa.rip = image.entry.rawValue - base
            return vmsa
        case .protected32:
            vmsa.cs = SegmentRegister(selector: 0x08, attributes: 0xc9b, limit: 0xffff_ffff)
            vmsa.cr0 = 0x31
        case .long64:
            vmsa.cs = SegmentRegister(selector: 0x08, attributes: 0xa9b, limit: 0xffff_ffff)
            // EFER: SVME, NXE, LMA, LME. CR4: OSXMMEXCPT, OSFXSR, MCE, PAE. CR0: PG, WP, NE, ET, MP, PE.
            vmsa.efer = 0x1d00
            vmsa.cr4 = 0x660
            vmsa.cr3 = DirectLayout.pageTables.rawValue | 1 << UInt64(DirectLayout.cBit)
            vmsa.cr0 = 0x8001_0033
        }
        (vmsa.ds, vmsa.es, vmsa.ss, vmsa.fs, vmsa.gs) = (flatData, flatData, flatData, flatData, flatData)
        vmsa.gdtr = SegmentRegister()
        vmsa.idtr = SegmentRegister()
        vmsa.rip = image.entry.rawValue
        switch image.bootProtocol {
        case .direct:
            vmsa.rdi = DirectLayout.information.rawValue
            vmsa.rsi = isBootstrap ? 0 : 1
        case .multiboot:
            vmsa.rax = UInt64(MultibootHeader.loaderMagic)
            vmsa.rbx = DirectLayout.information.rawValue
        }
        return vmsa
    }
}
