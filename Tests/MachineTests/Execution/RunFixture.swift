// A small machine with one VMSA page of an SNP guest, and a processor whose guest code is a closure.

import Machine
import SNPArchitecture
import Testing

/// A processor that runs a closure as guest code.
final class ClosureProcessor: GuestProcessor {
    typealias Body = (inout VirtualCPUState, GuestAccess, InterruptLine) -> GuestExit
    var body: Body
    private(set) var runs = 0

    init(_ body: @escaping Body = { _, _, _ in GuestExit(.halt) }) { self.body = body }

    func run(_ state: inout VirtualCPUState, _ memory: GuestAccess, interruptedBy line: InterruptLine) -> GuestExit {
        runs += 1
        return body(&state, memory, line)
    }
}

/// A guest with ASID 5, its key, a nested table, and a VMSA in frame 1030.
struct RunFixture {
    static let asid = ASID(5)
    let machine: Machine
    let key: KeyID
    let nested: PageTable
    let vmsaFrame = PFN(1030)
    let vmsaGPA = GPA(0x7000)
    let processor = ClosureProcessor()
    let thread: HardwareThread

    init(_ vmsa: VMSA = RunFixture.vmsa) throws {
        machine = try Machine(MachineConfiguration(dramByteCount: 32 << 20))
        key = machine.encryption.installKey((0..<16).map { UInt8($0 ^ 0x33) }, for: Self.asid)
        nested = try PageTable(memory: machine.memory, pages: CountingPages(first: PFN(2048)))
        thread = HardwareThread(processor)
        try give(vmsaFrame, at: vmsaGPA.frame)
        let page = GuestPage(gpa: vmsaGPA, pfn: vmsaFrame, level: .level4K)
        try machine.rmp.rmpAdjust(
            page, size: .size4K, target: .vmpl1, permissions: [], vmsa: true, asid: Self.asid, vmpl: .vmpl0)
        store(vmsa)
    }

    static var vmsa: VMSA {
        var vmsa = VMSA.reset(
            vmm: .qemu, eip: VMSA.bootstrapEIP, cpuSignature: CPUSignature(rawValue: 0), features: .snpActive)
        vmsa.rax = 0x1234
        return vmsa
    }

    /// Gives a frame to the guest and validates it.
    func give(_ pfn: PFN, at gfn: GFN) throws {
        try machine.rmp.rmpUpdate(pfn.address, to: .guest(Self.asid, at: gfn.address, .size4K))
        let page = GuestPage(gpa: gfn.address, pfn: pfn, level: .level4K)
        _ = try machine.rmp.pvalidate(page, size: .size4K, validate: true, asid: Self.asid, vmpl: .vmpl0)
    }

    func store(_ vmsa: VMSA) { machine.memory.store(vmsa.bytes, at: vmsaFrame.address, key: key) }

    /// The VMSA as it stands in memory, under a key.
    func stored(_ key: KeyID) throws -> VMSA {
        try #require(VMSA(bytes: machine.memory.bytes(vmsaFrame.address, count: 4096, key: key)))
    }

    var vmcb: VMCB { VMCB(asid: Self.asid, nestedRoot: nested.root, vmsa: vmsaFrame.address) }

    /// Runs and returns the VMCB afterwards.
    @discardableResult
    func run(_ vmcb: VMCB? = nil, budget: UInt64 = .max) -> VMCB {
        var vmcb = vmcb ?? self.vmcb
        var budget = budget
        machine.vmrun(&vmcb, on: thread, budget: &budget)
        return vmcb
    }

    var isMarkedInUse: Bool { machine.rmp.entry(vmsaFrame).locked }
}
