// The save area of a processor that the guest starts itself: 64-bit mode, the same tables, a stack and an argument.

import Hardware

/// A page that is to become a VMSA.
struct VMSA {
    let address: UInt64

    private func segment(_ offset: UInt64, _ selector: UInt64, _ attributes: UInt64, _ limit: UInt64) {
        store64(address + offset, selector | attributes << 16 | limit << 32)
        store64(address + offset + 8, 0)
    }

    /// Fills a page of zeros.
    func fill(stack: UInt64, argument: UInt64) {
        segment(0x10, 0x08, 0xa9b, 0xffff_ffff)
        for offset in stride(from: 0x20, through: UInt64(0x50), by: 0x10) {
            segment(offset, 0x10, 0xc93, 0xffff_ffff)
        }
        segment(0x00, 0x10, 0xc93, 0xffff_ffff)
        segment(0x70, 0, 0x82, 0xffff)
        segment(0x90, 0, 0x8b, 0xffff)
        store64(address + 0xd0, 0x1d00)  // EFER: SVME, NXE, LMA, LME
        store64(address + 0x148, 0x660)  // CR4: PAE, MCE, OSFXSR, OSXMMEXCPT
        store64(address + 0x150, boot.pageTableRoot | boot.cBit)  // CR3
        store64(address + 0x158, 0x8001_0033)  // CR0: PG, WP, NE, ET, MP, PE
        store64(address + 0x160, 0x400)  // DR7
        store64(address + 0x168, 0xffff_0ff0)  // DR6
        store64(address + 0x170, 0x2)  // RFLAGS
        store64(address + 0x178, application_entry())  // RIP
        store64(address + 0x1d8, stack)  // RSP
        store64(address + 0x268, 0x0007_0406_0007_0406)  // PAT
        store64(address + 0x338, argument)  // RDI
        store64(address + 0x3b0, sev_status() >> 2)  // SEV_FEATURES
        store64(address + 0x3e8, 1)  // XCR0
        store32(address + 0x408, 0x1f80)  // MXCSR
        store16(address + 0x410, 0x37f)  // FCW
    }
}
