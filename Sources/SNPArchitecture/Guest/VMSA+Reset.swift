// The registers with which three families of VMM start a virtual CPU. Only these values are measured, so that a byte
// that differs is a launch digest that differs.

/// Which VMM's initial register state, and order of launch updates, a guest is measured with.
public enum VMMType: CaseIterable, Hashable, Sendable {
    /// QEMU on KVM.
    case qemu
    /// Amazon EC2.
    case ec2
    /// Google Compute Engine.
    case gce

    /// The spelling users know: "QEMU", "ec2", "gce".
    public var name: String {
        switch self {
        case .qemu: "QEMU"
        case .ec2: "ec2"
        case .gce: "gce"
        }
    }
}

extension VMSA {
    /// The address at which the bootstrap processor starts.
    public static let bootstrapEIP: UInt32 = 0xffff_fff0

    /// The guest physical address that the launch digest records for every VMSA.
    public static let measuredGPA = GPA(0xffff_ffff_f000)

    /// The state in which a VMM hands a virtual CPU to its guest, before the first instruction.
    ///
    /// - Parameters:
    ///   - vmm: whose conventions to follow
    ///   - eip: the first instruction; the reset vector for the bootstrap processor, the address in the firmware's
    ///     reset block for the others
    ///   - cpuSignature: CPUID 1 EAX, which QEMU puts into RDX and the others do not
    ///   - features: SEV_FEATURES
    /// - Spec: APM2 14.1.3, processor state after reset; the differences are what each VMM is known to measure
    public static func reset(
        vmm: VMMType, eip: UInt32, cpuSignature: CPUSignature, features: SEVFeatures
    ) -> VMSA {
        var vmsa = VMSA()
        let data = SegmentRegister(attributes: 0x93, limit: 0xffff)
        vmsa.es = data
        vmsa.ds = data
        vmsa.fs = data
        vmsa.gs = data
        vmsa.ss = data
        vmsa.cs = SegmentRegister(
            selector: 0xf000, attributes: 0x9b, limit: 0xffff, base: UInt64(eip & 0xffff_0000))
        vmsa.gdtr = SegmentRegister(limit: 0xffff)
        vmsa.idtr = SegmentRegister(limit: 0xffff)
        vmsa.ldtr = SegmentRegister(attributes: 0x82, limit: 0xffff)
        vmsa.tr = SegmentRegister(attributes: 0x8b, limit: 0xffff)
        vmsa.rip = UInt64(eip & 0xffff)
        vmsa.rflags = 0x2
        vmsa.efer = 0x1000
        vmsa.cr0 = 0x10
        vmsa.cr4 = 0x40
        vmsa.dr6 = 0xffff_0ff0
        vmsa.dr7 = 0x400
        vmsa.gPAT = 0x0007_0406_0007_0406
        vmsa.xcr0 = 1
        vmsa.sevFeatures = features
        switch vmm {
        case .qemu:
            vmsa.rdx = UInt64(cpuSignature.rawValue)
            vmsa.mxcsr = 0x1f80
            vmsa.x87FCW = 0x37f
        case .ec2:
            if eip == bootstrapEIP { vmsa.cs.attributes = 0x9a }
            vmsa.ss.attributes = 0x92
            vmsa.tr.attributes = 0x83
            vmsa.rdx = 0x600
        case .gce:
            vmsa.gPAT = 0x0007_0106
            vmsa.rdx = 0x600
        }
        return vmsa
    }
}
