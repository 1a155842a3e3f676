// VMRUN's checks of registers: each alone, and each before the later ones.

import Machine
import SNPArchitecture
import Testing

@Suite("VMRUN's checks of a VMSA")
struct VMSACheckTests {
    /// How to fail each check. A later row does not mend what an earlier one spoils.
    static func spoil(_ refusal: VMSARefusal, _ vmsa: inout VMSA) {
        switch refusal {
        case .notSNP: vmsa.sevFeatures.remove(.snpActive)
        case .unknownFeatures: vmsa.sevFeatures.formUnion(SEVFeatures(rawValue: 1 << 40))
        case .vmpl: vmsa.vmpl = 4
        case .svme: vmsa.efer &= ~(1 << 12)
        case .cacheControl: vmsa.cr0 = (vmsa.cr0 | 1 << 29) & ~(1 << 30)
        case .cr0Reserved: vmsa.cr0 |= 1 << 32
        case .cr3Reserved: vmsa.cr3 |= 1 << 52
        case .cr4Reserved: vmsa.cr4 |= 1 << 13
        case .dr6Reserved: vmsa.dr6 |= 1 << 32
        case .dr7Reserved: vmsa.dr7 |= 1 << 63
        case .eferReserved: vmsa.efer |= 1 << 16
        case .longModeWithoutPAE:
            longMode(&vmsa)
            vmsa.cr4 &= ~(1 << 5)
        case .longModeWithoutProtection:
            longMode(&vmsa)
            vmsa.cr0 &= ~1
        case .codeSegmentSize:
            longMode(&vmsa)
            vmsa.cs.attributes |= 1 << 9 | 1 << 10
        }
    }

    private static func longMode(_ vmsa: inout VMSA) {
        vmsa.efer |= 1 << 8
        vmsa.cr0 |= 1 << 31 | 1
        vmsa.cr4 |= 1 << 5
    }

    @Test("Each check refuses its own fault", arguments: VMSARefusal.allCases)
    func single(_ refusal: VMSARefusal) {
        var vmsa = RunFixture.vmsa
        #expect(vmsa.refusal == nil)
        Self.spoil(refusal, &vmsa)
        #expect(vmsa.refusal == refusal)
    }

    @Test("Of two faults the earlier check is named")
    func order() {
        for (index, first) in VMSARefusal.allCases.enumerated() {
            for second in VMSARefusal.allCases[(index + 1)...] {
                var vmsa = RunFixture.vmsa
                // The three of long mode need each other's bits; they are alone above.
                if [.longModeWithoutPAE, .longModeWithoutProtection].contains(first) { continue }
                Self.spoil(second, &vmsa)
                Self.spoil(first, &vmsa)
                #expect(vmsa.refusal == first, "\(first) before \(second)")
            }
        }
    }

    @Test("What launch, firmware and Linux give a processor may run")
    func accepted() {
        for type in VMMType.allCases {
            let vmsa = VMSA.reset(
                vmm: type, eip: VMSA.bootstrapEIP, cpuSignature: CPUSignature(rawValue: 0), features: .snpActive)
            #expect(vmsa.refusal == nil)
        }
        var application = RunFixture.vmsa
        application.cr0 = 0x6000_0010
        application.tr.attributes = 0
        #expect(application.refusal == nil, "caches off, and a task register without a type")
        Self.longMode(&application)
        application.cs.attributes = 0xa9b
        application.vmpl = 3
        #expect(application.refusal == nil)
    }
}
