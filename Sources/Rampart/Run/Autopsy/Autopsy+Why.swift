// What ended a guest, in words.

internal import Hypervisor
internal import Machine
internal import Processor
internal import SNPArchitecture

extension AutopsyParts {
    /// Why the guest died.
    var reasons: [String] {
        switch ending {
        case .exited, .timeLimit, .quit: return []
        case .shutdown: return shutdownReasons
        case .stuck: return nestedFault.map { faultReasons($0) + repetitionReasons($0) } ?? []
        case .terminated(let ghcb): return terminationReasons(ghcb)
        case .halted:
            return run.processors.filter { $0.memory != nil }.map {
                "vCPU \($0.vcpu) " + ($0.lastExit.code == .halt ? "executed HLT" : "waits")
                    + " with RFLAGS.IF = \($0.last.rflags >> 9 & 1)"
                    + ($0.last.rflags >> 9 & 1 == 0 ? ": no interrupt could wake it, only an NMI or INIT." : ".")
            }
        case .refused(let text, let vcpu):
            if let exit = nestedFault { return faultReasons(exit) }
            if let cpu = run.guest.virtualCPUs.first(where: { $0.id == vcpu }), let gfn = cpu.guestVMSA {
                return ["VMRUN of vCPU \(vcpu) refuses the VMSA that the guest gave it at GPA \(gfn.address)."]
                    + vmsaReasons(gfn)
            }
            return ["The host does not go on: \(text)."]
        }
    }

    /// The nested page fault that the guest died of.
    var nestedFault: GuestExit? {
        guard subject.lastExit.code == .nestedPageFault else { return nil }
        switch ending {
        case .refused, .stuck: return subject.lastExit
        case .exited, .terminated, .shutdown, .halted, .timeLimit, .quit: return nil
        }
    }

    private var shutdownReasons: [String] {
        let trail = subject.processor.trail.exceptions
        guard let last = trail.last else { return ["The processor shut down without an exception."] }
        var chain = [last]
        for exception in trail.dropLast().reversed() {
            guard chain[chain.count - 1].during != nil else { break }
            chain.append(exception)
        }
        var lines = ["An exception could not be delivered, nor the double fault that followed: a triple fault."]
        for exception in chain.reversed() {
            let prefix = exception.during.map { "While \(DeliveredException.name($0)) was delivered: " } ?? "First: "
            lines.append(prefix + exception.words + " at \(hexadecimal(exception.rip)).")
        }
        let table = subject.last.idtr
        let size: UInt64 = subject.last.efer & 0x400 != 0 ? 16 : 8
        if let first = chain.last, UInt64(first.vector) * size + size - 1 > UInt64(table.limit) {
            lines.append(
                "The IDT at \(hexadecimal(table.base)) ends after \(UInt64(table.limit) + 1) bytes: it has no gate for "
                    + "\(DeliveredException.name(first.vector)), which would be at \(UInt64(first.vector) * size).")
        }
        return lines
    }

    private func terminationReasons(_ ghcb: UInt64) -> [String] {
        guard case .terminate(let reason) = GHCBMSRRequest(rawValue: ghcb) else {
            return ["The guest sent the request TERMINATE by its GHCB page at \(hexadecimal(ghcb & ~0xfff))."]
        }
        var lines = [
            "The guest wrote TERMINATE to the GHCB MSR: reason set \(reason.reasonSet), code \(hexadecimal(UInt64(reason.code)))."
        ]
        if reason.reasonSet == 0 {
            let names: [UInt8: String] = [
                0: "a general termination request", 1: "the GHCB protocol range is not supported",
                2: "the guest misses a feature of the host",
            ]
            if let name = names[reason.code] { lines.append("The GHCB specification calls this: \(name).") }
        } else {
            lines.append("Reason sets other than 0 are the guest's own; its source says what the code means.")
        }
        if let exception = subject.processor.trail.exceptions.last, !exception.isExternal {
            let distance = subject.processor.counts.instructions &- exception.instructions
            lines.append(
                "The last exception, \(distance) instructions before: \(exception.words) at "
                    + "\(hexadecimal(exception.rip)).")
            if let instruction = instruction(at: exception.rip, of: subject) {
                lines.append("The instruction there: \(instruction.text).")
            }
        } else {
            lines.append("No exception came before it: the guest's own code decided.")
        }
        return lines
    }

    private func faultReasons(_ exit: GuestExit) -> [String] {
        let error = PageFaultError(rawValue: exit.info1)
        let gpa = GPA(exit.info2)
        let guestSays = error.contains(.encrypted) ? "private (C-bit 1)" : "shared (C-bit 0)"
        let attribute = run.guest.machine.attribute(of: gpa.frame)
        let kind = error.contains(.instructionFetch) ? "A fetch" : error.contains(.write) ? "A write" : "A read"
        var lines = ["\(kind) at GPA \(gpa) faulted in nested paging: error code \(error.words)."]
        let wantsPrivate = error.contains(.encrypted)
        if wantsPrivate != (attribute == .private) {
            lines.append(
                "The guest takes the page for \(guestSays), to the host it is \(attribute): it never asked for a change, or "
                    + "the host did not make it.")
            if run.request.personality == .strict {
                lines.append(
                    "The strict host converts nothing that the guest has not asked for. So the guest cannot go on.")
            } else {
                lines.append("The VMM was told and did not convert the page.")
            }
        } else {
            lines.append("The guest takes the page for \(guestSays), and so does the host.")
        }
        return lines
    }

    /// What keeps a fault coming.
    private func repetitionReasons(_ exit: GuestExit) -> [String] {
        var lines = [
            "It has come \(subject.fault.count) times in a row: vCPU \(subject.vcpu) completed no instruction in between, and "
                + "no other one caused a change of the RMP."
        ]
        let machine = run.guest.machine
        let gfn = GPA(exit.info2).frame
        guard PageFaultError(rawValue: exit.info1).contains(.encrypted), machine.attribute(of: gfn) == .private,
            let pfn = machine.privateFrame(of: gfn), let entry = subject.memory?.rmp.effectiveEntry(pfn),
            !entry.assigned, !run.request.policy.policy.preparesAtFault
        else { return lines }
        lines.append(
            "In the RMP the page behind it, frame \(pfn), is the hypervisor's. The policy \(run.request.policy.rawValue) gives the "
                + "guest a page only where its attribute changes, and the attribute is private already: each fault fails with "
                + "EFAULT, and the VMM has nothing left to convert.")
        return lines
    }

    private func vmsaReasons(_ gfn: GFN) -> [String] {
        guard let memory = subject.memory else { return [] }
        guard let pfn = run.frame(behind: gfn, memory) else { return ["No frame is behind that address."] }
        guard let entry = memory.rmp.effectiveEntry(pfn) else { return ["The frame \(pfn) has no RMP entry."] }
        if !entry.assigned { return ["The page is the hypervisor's: a VMSA lies in the guest's private memory."] }
        if entry.asid != memory.context.asid { return ["The page belongs to ASID \(entry.asid)."] }
        if entry.pageSize == .size2M { return ["The RMP entry is of 2M; a VMSA has an entry of 4K."] }
        if !entry.validated { return ["The guest has not validated the page."] }
        if !entry.vmsa {
            return ["The RMP entry's VMSA bit is 0: the guest has not made the page a VMSA with RMPADJUST."]
        }
        let page = memory.memory.bytes(pfn.address, count: 4096, key: memory.context.key)
        guard let refusal = VMSA(bytes: page)?.refusal else {
            return ["The page is a VMSA, and its contents are in order."]
        }
        return ["The page is a VMSA, but VMRUN refuses its contents: \(refusal.words)."]
    }
}

extension VMSARefusal {
    /// In words.
    fileprivate var words: String {
        switch self {
        case .notSNP: "SEV_FEATURES bit 0 is clear"
        case .unknownFeatures: "SEV_FEATURES has bits that the processor does not know"
        case .vmpl: "VMPL is more than 3"
        case .svme: "EFER.SVME is clear"
        case .cacheControl: "CR0.NW is set and CR0.CD is clear"
        case .cr0Reserved: "CR0 has bits above 31"
        case .cr3Reserved: "CR3 has bits past the physical address width"
        case .cr4Reserved: "CR4 has bits without meaning"
        case .dr6Reserved: "DR6 has bits above 31"
        case .dr7Reserved: "DR7 has bits above 31"
        case .eferReserved: "EFER has bits without meaning"
        case .longModeWithoutPAE: "long mode and paging without CR4.PAE"
        case .longModeWithoutProtection: "long mode and paging without CR0.PE"
        case .codeSegmentSize: "a 64-bit code segment has D set"
        }
    }
}

extension GuestRun {
    /// The frame that nested tables map for a guest frame.
    func frame(behind gfn: GFN, _ memory: GuestAccess) -> PFN? { memory.recordWalk(gfn.address).pfn }
}
