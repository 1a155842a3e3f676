// What a kernel shows of the RMP and of a guest that allows it: dumps of entries, a decrypted VMSA; and pre-faulting.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Dumps, debugging and pre-faulting")
struct DiagnosticsTests {
    @Test("An assigned frame dumps its own entry; one beside it, all that is not zero in the region; others nothing")
    func dump() throws {
        let guest = try TestGuest(pages: 1024, folioOrder: 9)
        try guest.allocate(0..<1024)
        try guest.convert(3..<5, to: .private)
        try guest.convert(512..<1024, to: .private)
        let (rmp, table) = (guest.host.rmp, guest.rmp)
        let own = try rmp.dump(guest.pfn(3))
        #expect(own.isAssigned && own.entries.map(\.pfn) == [guest.pfn(3)])
        #expect(own.entries[0].raw == table.rawEntry(guest.pfn(3)))
        let beside = try rmp.dump(guest.pfn(9))
        // The region's head has no owner, but counts the others.
        #expect(!beside.isAssigned && beside.entries.map(\.pfn) == [guest.pfn(0), guest.pfn(3), guest.pfn(4)])
        #expect(beside.description.split(separator: "\n").count == 4 && beside.description.contains("Guest-Invalid"))
        let inside = try rmp.dump(guest.pfn(700))
        #expect(inside.isAssigned && inside.entries.map(\.pfn) == [guest.pfn(512)], "the governing entry")
        let empty = try #require(guest.host.allocator.allocate(order: 9)).pfn
        #expect(try rmp.dump(empty).entries.isEmpty)
        #expect(throws: Errno.badAddress) { try rmp.dump(PFN(guest.rmp.coveredFrameCount)) }
        #expect(guest.host.explainFault(at: guest.pfn(3).address)?.isAssigned == true)
        #expect(guest.host.explainFault(at: empty.address) == nil)
    }

    /// A launched guest with one virtual CPU.
    private func launched(policy: GuestPolicy) throws -> TestGuest {
        let guest = try TestGuest(pages: 1024, folioOrder: 9)
        try guest.vm.snpLaunchStart(policy: policy)
        var state = VMSA()
        state.rip = 0x1234_5678
        try guest.vm.createVirtualCPU(id: 0, initialState: state)
        try guest.vm.snpLaunchFinish()
        return guest
    }

    @Test("A guest that allows debugging shows its VMSA; the page in between comes back")
    func decrypt() throws {
        let guest = try launched(policy: [.standard, .debugAllowed])
        let (free, counts) = (guest.host.allocator.freeFrameCount, guest.host.rmp.counts.updates)
        let state = try guest.vm.decryptVMSA(of: 0)
        #expect(state.rip == 0x1234_5678 && state.sevFeatures.contains(.snpActive))
        #expect(guest.host.allocator.freeFrameCount == free && guest.host.rmp.counts.updates == counts + 2)
        #expect(guest.violations == [])
        #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.decryptVMSA(of: 1) }
    }

    @Test("Without the policy's leave no page is touched; refusals of firmware and pages that it keeps are told")
    func decryptRefused() throws {
        let closed = try launched(policy: .standard)
        let commands = closed.host.firmware.commandCount
        #expect(throws: SEVCommandError(.invalidArgument)) { try closed.vm.decryptVMSA(of: 0) }
        #expect(closed.host.firmware.commandCount == commands)
        let open = try launched(policy: [.standard, .debugAllowed])
        let mailbox = open.emulated.machine.mailbox
        mailbox.injection.fail(.snpDbgDecrypt, with: .status(.invalidPageOwner))
        #expect(throws: SEVCommandError(.ioError, .invalidPageOwner)) { try open.vm.decryptVMSA(of: 0) }
        #expect(open.host.leaked.count == 0)
        mailbox.injection.fail(.snpPageReclaim, with: .status(.invalidPageState))
        #expect(throws: SEVCommandError(.ioError, .invalidPageState)) { try open.vm.decryptVMSA(of: 0) }
        mailbox.injection.set(nil)
        #expect(open.host.leaked.count == 1 && open.vm.isAlive)
        #expect(try open.vm.decryptVMSA(of: 0).rip == 0x1234_5678)
        open.vm.destroy()
        #expect(throws: SEVCommandError(.ioError)) { try open.vm.decryptVMSA(of: 0) }
    }

    @Test("KVM_PRE_FAULT_MEMORY takes what it has done off the request, and stops where the slot ends")
    func preFault() throws {
        let guest = try launched(policy: .standard)
        let cpu = try #require(guest.vm.virtualCPUs.first)
        try guest.convert(0..<700, to: .private)
        var request = PreFaultRequest(gpa: (guest.base + 1).address, byteCount: 699 << 12)
        try cpu.preFault(&request)
        #expect(request.byteCount == 0 && request.gpa == (guest.base + 700).address)
        #expect(guest.mapping(0) != nil && guest.mapping(699) != nil && guest.mapping(700) == nil)
        request = PreFaultRequest(gpa: (guest.base + 1000).address, byteCount: 100 << 12)
        try cpu.preFault(&request)
        #expect(request.gpa == (guest.base + 1024).address && request.byteCount == 76 << 12, "the slot ends there")
        #expect(throws: Errno.noEntry) { try cpu.preFault(&request) }
        #expect(request.byteCount == 76 << 12 && guest.violations == [])
    }

    @Test("Errors of KVM_PRE_FAULT_MEMORY, in order; a refused request is as it was")
    func preFaultRefused() throws {
        let guest = try launched(policy: .standard)
        let cpu = try #require(guest.vm.virtualCPUs.first)
        func errno(_ change: (inout PreFaultRequest) -> Void) -> Errno? {
            var request = PreFaultRequest(gpa: guest.base.address, byteCount: 4096)
            change(&request)
            let before = request
            defer { #expect(request.gpa == before.gpa || request.byteCount < before.byteCount) }
            do throws(Errno) {
                try cpu.preFault(&request)
                return nil
            } catch { return error }
        }
        let changes: [(inout PreFaultRequest) -> Void] = [
            { $0.flags = 1 }, { $0.padding[4] = 1 }, { $0.gpa = $0.gpa + 1 }, { $0.byteCount = 0 },
            { $0.byteCount = 4097 },
            { ($0.gpa, $0.byteCount) = (GPA(UInt64.max - 0xfff), 0x2000) },
        ]
        for change in changes { #expect(errno(change) == .invalidArgument) }
        cpu.interruptRun()
        #expect(errno { _ in } == .interrupted)
        #expect(errno { $0.flags = 1 } == .invalidArgument, "the arguments are looked at first")
        #expect(errno { _ in } == .interrupted, "the signal stays for the run that it is meant for")
        let young = try TestGuest(pages: 512)
        let early = try young.vm.createVirtualCPU(id: 0, initialState: VMSA())
        var request = PreFaultRequest(gpa: young.base.address, byteCount: 4096)
        #expect(throws: Errno.notSupported) { try early.preFault(&request) }
        guest.vm.destroy()
        #expect(errno { $0.flags = 1 } == .ioError)
    }

    @Test("SEV_INIT2 refuses SEV_FEATURES that the host does not offer, and takes the others")
    func features() throws {
        var parameters = HostParameters()
        parameters.vmsaFeatures = [.debugSwap]
        let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20), parameters: parameters)
        let vm = try VirtualMachine(host: emulated.host)
        for bits in [1 << 1, 1 << 9, 1 << 40, 1 << 63, 1 << 5 | 1 << 6] as [UInt64] {
            #expect(throws: SEVCommandError(.invalidArgument)) { try vm.sevInit2(vmsaFeatures: bits) }
            #expect(vm.asid == nil)
        }
        try vm.sevInit2(vmsaFeatures: 1 << 5)
        #expect(vm.vmsaFeatures == 1 << 5 | 1)
        let usual = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
        let other = try VirtualMachine(host: usual.host)
        #expect(throws: SEVCommandError(.invalidArgument)) { try other.sevInit2(vmsaFeatures: 1 << 40) }
        try other.sevInit2(vmsaFeatures: SEVFeatures.defined.subtracting(.snpActive).rawValue)
    }
}
