// A guest whose virtual CPU asks by GHCB without running: the test writes the page and plays user space.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

/// A machine with two virtual CPUs, one of which has a registered GHCB in shared memory.
final class GHCBFixture {
    let guest: TestGuest
    let cpu: VirtualCPU
    let other: VirtualCPU
    var vm: VirtualMachine { guest.vm }
    var base: GFN { guest.base }
    /// The GHCB: page 3 of the slot.
    var ghcb: GPA { (guest.base + 3).address }

    /// A host that fixtures may share; each destroys its machine when it goes.
    static let sharedHost = try? EmulatedHost(MachineConfiguration(dramByteCount: 96 << 20))
    private let destroysMachine: Bool

    deinit { if destroysMachine { guest.vm.destroy() } }

    init(
        _ personality: GHCBPersonality = .kvm2026, kind: MachineKind = .snp, convertsOnRequest: Bool = true,
        asksForCertificates: Bool = false, on shared: EmulatedHost? = nil
    ) throws {
        guest = try TestGuest(pages: 2048, kind: kind, on: shared)
        destroysMachine = shared != nil
        if asksForCertificates { try guest.vm.enableCertificateRequests() }
        cpu = try guest.vm.createVirtualCPU(id: 0, initialState: VMSA())
        other = try guest.vm.createVirtualCPU(id: 1, initialState: VMSA())
        guest.vm.setPersonality(personality)
        if convertsOnRequest { try guest.vm.enableHypercallExits() }
        let signature = try #require(CPUSignature(family: 25, model: 17, stepping: 1))
        for cpu in [cpu, other] { cpu.setCPUID(CPUIDLeaves(signature: signature, vcpuCount: 2).functions) }
        cpu.ghcbState.registered = ghcb.frame
    }

    /// A page as a guest of version 2 leaves it.
    static func page(_ code: ExitCode, _ info1: UInt64 = 0, _ info2: UInt64 = 0, _ fields: [GHCBField: UInt64] = [:])
        -> GHCBPage
    {
        var page = GHCBPage()
        page.protocolVersion = 2
        page.setExit(code.rawValue, info1, info2)
        for (field, value) in fields { page.set(field, value) }
        return page
    }

    /// The page as it stands in memory.
    var page: GHCBPage {
        get {
            guard let bytes = try? vm.readShared(ghcb, count: 4096), let page = GHCBPage(bytes) else {
                preconditionFailure("the GHCB is gone")
            }
            return page
        }
        set { try? vm.writeShared(newValue.bytes, at: ghcb) }
    }

    /// VMGEXIT with a page.
    func send(_ page: GHCBPage) -> ExitDisposition {
        self.page = page
        cpu.ghcb = ghcb.rawValue
        return cpu.handleVMGEXIT(of: vm)
    }

    /// VMGEXIT by the MSR.
    func send(msr: UInt64) -> ExitDisposition {
        cpu.ghcb = msr
        return cpu.handleVMGEXIT(of: vm)
    }

    /// User space's reply, or the wake of a held virtual CPU.
    func resume(_ reply: UserReply) -> ExitDisposition? {
        guard let complete = cpu.completion else { return nil }
        cpu.completion = nil
        return complete(cpu, reply)
    }

    /// What a request leads to in the end, step by step, in the words of the tables.
    func trace(_ first: ExitDisposition, _ replies: [UserReply] = []) -> [String] {
        var steps: [String] = []
        var next = first
        var replies = replies[...]
        while true {
            switch next {
            case .exit(let exit):
                steps.append(describe(exit))
                guard cpu.completion != nil else { return steps }
                guard let after = resume(replies.popFirst() ?? exit.tablesReply) else { return steps }
                next = after
            case .resume:
                guard cpu.completion != nil else { return steps }
                // Only a reset hold resumes with something left to do.
                steps.append(cpu.state == .apResetHold ? "hold" : "resumed with a completion")
                cpu.state = .runnable
                cpu.sipiHasCome = true
                guard let after = resume(.none) else { return steps }
                next = after
            }
            if steps.count > 300 { return steps + ["endless"] }
        }
    }

    private func describe(_ exit: UserExit) -> String {
        func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
        func text(_ bytes: [UInt8]) -> String {
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        switch exit {
        case .io(let access):
            let kind = access.isWrite ? "w" : "r"
            let data = access.isWrite ? "," + text(access.data) : ""
            return "io(\(hex(access.port)),\(kind),\(access.size)x\(access.count)\(data))"
        case .mmio(let access):
            let kind = access.isWrite ? "w" : "r"
            let data = access.isWrite ? "," + text(access.data) : ""
            return "mmio(\(hex(access.gpa.rawValue)),\(kind),\(access.byteCount)\(data))"
        case .mapRange(let call):
            return "map(\(call.gpa.frame)+\(call.pageCount),\(call.attribute),\(call.pageSize))"
        case .certificates(let gfn, let count): return "certificates(\(gfn)+\(count))"
        case .terminated(let msr): return "terminated(\(hex(msr)))"
        case .unexpectedExit(let code): return "unexpected(\(code))"
        case .failed(let errno): return "fail(\(errno))"
        default: return "\(exit)"
        }
    }
}

extension UserExit {
    /// What the tables' user space replies: bytes a1, a2, ... or success.
    var tablesReply: UserReply {
        func bytes(_ count: Int) -> UserReply { .data((0..<count).map { UInt8(truncatingIfNeeded: 0xa1 + $0) }) }
        switch self {
        case .io(let access) where !access.isWrite: return bytes(access.byteCount)
        case .mmio(let access) where !access.isWrite: return bytes(access.byteCount)
        case .mapRange, .certificates: return .result(0)
        default: return .none
        }
    }
}
