// The way of an address through guest tables, nested tables and the RMP, every entry decoded, and what each says to the access.

internal import Hypervisor
internal import Machine
internal import Processor
internal import SNPArchitecture

extension AutopsyParts {
    /// The addresses that matter to this death, each with its way.
    var addresses: [[String]] {
        guard let memory = subject.memory else { return [] }
        if let exit = nestedFault { return [faultingAddress(exit, memory)] }
        switch ending {
        case .refused(_, let vcpu):
            guard let gfn = run.guest.virtualCPUs.first(where: { $0.id == vcpu })?.guestVMSA else { return [] }
            return [
                ["the VMSA of vCPU \(vcpu), at GPA \(gfn.address)"]
                    + nestedWay(gfn.address, .private, nil, memory, at: .supervisor)
            ]
        case .shutdown, .terminated:
            let trail = subject.processor.trail.exceptions
            guard let fault = trail.last(where: { $0.vector == 14 }), let address = fault.address,
                ending == .shutdown || fault == trail.last
            else { return [] }
            let error = fault.errorCode ?? 0
            let kind: AccessKind = error & 16 != 0 ? .execute : error & 2 != 0 ? .write : .read
            return [["the address of the page fault, \(hexadecimal(address))"] + way(of: address, kind, memory)]
        case .exited, .timeLimit, .quit, .halted, .stuck: return []
        }
    }

    private func faultingAddress(_ exit: GuestExit, _ memory: GuestAccess) -> [String] {
        let gpa = GPA(exit.info2)
        let error = PageFaultError(rawValue: exit.info1)
        let kind: AccessKind =
            error.contains(.instructionFetch) ? .execute : error.contains(.write) ? .write : .read
        // Only the guest physical address is known; the instruction's own accesses tell which linear address led there.
        for access in subject.last.accesses(of: fetch(subject.last, of: subject)) {
            for linear in [access.linear, access.linear &+ UInt64(access.byteCount - 1)] {
                let walk = GuestWalkRecord(subject.last, linear, access.kind) { read($0, $1, memory) }
                guard walk.gpa?.frame == gpa.frame, !error.contains(.guestPageTable) else { continue }
                return ["\(access.name), at \(hexadecimal(linear))"] + way(of: linear, kind, memory)
            }
        }
        return ["guest physical \(gpa)" + (error.contains(.guestPageTable) ? ", where a guest page table lies" : "")]
            + nestedWay(gpa, error.contains(.encrypted) ? .private : .shared, kind, memory, at: privilege)
    }

    private var privilege: GuestPrivilege { subject.last.cpl == 3 ? .user : .supervisor }

    /// The way of a linear address.
    private func way(of linear: UInt64, _ kind: AccessKind, _ memory: GuestAccess) -> [String] {
        let walk = GuestWalkRecord(subject.last, linear, kind) { read($0, $1, memory) }
        var lines: [String] = []
        if walk.isUnpaged {
            lines.append("  paging is off: linear addresses are guest physical")
        } else if !walk.entries.isEmpty {
            lines.append("  guest tables, CR3 \(hexadecimal(subject.last.cr3))")
        }
        for entry in walk.entries { lines.append("    " + Self.words(entry)) }
        if let refusal = walk.refusal {
            lines.append("    REFUSED by the guest's own tables: \(refusal.words(kind))")
            if refusal == .unreadable, let last = walk.entries.last {
                return lines + nestedWay(last.address, .private, .read, memory, at: privilege)
            }
            guard walk.gpa != nil else { return lines }
        }
        guard let gpa = walk.gpa else { return lines }
        return lines + nestedWay(gpa, walk.cBit, kind, memory, at: privilege)
    }

    private static func words(_ entry: GuestTableEntry) -> String {
        let level =
            [39: "level 4", 30: "level 3", 21: "level 2", 22: "level 2", 12: "level 1"][entry.shift] ?? "level 5"
        guard let value = entry.value else { return "\(level) at GPA \(entry.address): cannot be read" }
        guard value & 1 != 0 else { return "\(level) at GPA \(entry.address) = \(hexadecimal(value)): not present" }
        let target = value & 0x0007_ffff_ffff_f000
        return "\(level) at GPA \(entry.address) = \(hexadecimal(value)): "
            + (entry.isLeaf ? "page of \(pageSize(entry.shift)) at " : "table at ") + hexadecimal(target)
            + (value & 2 != 0 ? ", writable" : ", read only") + (value & 4 != 0 ? ", user" : ", supervisor")
            + (value >> 63 != 0 ? ", no execute" : "") + (value >> 51 & 1 != 0 ? ", C-bit" : ", no C-bit")
    }

    private static func pageSize(_ shift: UInt64) -> String {
        [12: "4K", 21: "2M", 22: "4M", 30: "1G"][shift] ?? "some size"
    }

    // MARK: From guest physical on

    /// The way of a guest physical address, and what each step says to the access. Without a kind only what is there.
    func nestedWay(
        _ gpa: GPA, _ cBit: CBit, _ kind: AccessKind?, _ memory: GuestAccess, at privilege: GuestPrivilege
    ) -> [String] {
        let walk = memory.recordWalk(gpa)
        let attribute = run.guest.machine.attribute(of: gpa.frame)
        var lines = [
            "  guest physical \(gpa): the guest says \(cBit == .private ? "private (C-bit 1)" : "shared (C-bit 0)"), the host's "
                + "attribute says \(attribute)",
            "  nested tables, root \(memory.context.nestedRoot.address)",
        ]
        for entry in walk.entries { lines.append("    " + Self.words(entry)) }
        switch walk.ending {
        case .notPresent:
            lines.append("    REFUSED by the nested tables: not present" + missingReason(cBit, attribute))
        case .reservedBits:
            lines.append(
                "    REFUSED by the nested tables: the host marks this page as a device's with a reserved bit (#VC)")
        case .outside: lines.append("    REFUSED by the nested tables: no such address")
        case .page(let pfn, let level):
            if kind == .write, !walk.allows(.writable) { lines.append("    REFUSED by the nested tables: read only") }
            if kind == .execute, walk.forbidsExecute { lines.append("    REFUSED by the nested tables: no execute") }
            lines += rmpWay(GuestPage(gpa: gpa, pfn: pfn, level: level), cBit, kind, memory, privilege)
        }
        if walk.pfn == nil { lines += backing(of: gpa.frame, memory) }
        return lines
    }

    private func missingReason(_ cBit: CBit, _ attribute: MemoryAttribute) -> String {
        guard (cBit == .private) != (attribute == .private) else { return "; the host has not served the fault" }
        return "; the host maps only what attribute and C-bit agree about"
    }

    private static func words(_ entry: WalkedEntry) -> String {
        let raw = entry.entry.rawValue
        let place = "level \(entry.level) at SPA \(entry.address) = \(hexadecimal(raw)): "
        guard entry.entry.isPresent else { return place + "not present" }
        return place + (entry.isLeaf ? "page at " : "table at ") + entry.entry.pfn.address.description
            + (raw & 2 != 0 ? ", writable" : ", read only") + (raw >> 63 != 0 ? ", no execute" : "")
    }

    private func rmpWay(
        _ page: GuestPage, _ cBit: CBit, _ kind: AccessKind?, _ memory: GuestAccess, _ privilege: GuestPrivilege
    ) -> [String] {
        var lines = ["  RMP entry of frame \(page.pfn): " + (memory.rmp.effectiveEntry(page.pfn)?.words ?? "none")]
        if let kind {
            do throws(GuestFault) {
                _ = try memory.rmp.checkGuestAccess(
                    to: page, kind, cBit, asid: memory.context.asid, vmpl: memory.context.vmpl, privilege: privilege,
                    base: [])
                lines.append("    allows the access")
            } catch { lines.append("    REFUSED by the RMP: " + refusal(page, cBit, memory, error)) }
        }
        return lines + history(of: page.pfn, at: page.gpa.frame)
    }

    /// Which check of the RMP refuses, in its order.
    private func refusal(_ page: GuestPage, _ cBit: CBit, _ memory: GuestAccess, _ fault: GuestFault) -> String {
        let entry = memory.rmp.effectiveEntry(page.pfn)
        if cBit == .shared { return "a shared access, and the page is assigned" }
        guard let entry, entry.assigned else { return "a private access, and the page is the hypervisor's" }
        if entry.asid != memory.context.asid {
            return "the page belongs to ASID \(entry.asid), not \(memory.context.asid)"
        }
        if entry.immutable { return "the page is immutable" }
        if entry.gfn != page.gpa.frame {
            return "the entry is for GPA \(entry.gfn.address), not \(page.gpa.frame.address)"
        }
        if page.level != .level4K, entry.pageSize == .size4K { return "a mapping of 2M and an entry of 4K" }
        if page.level == .level4K, entry.pageSize == .size2M { return "a mapping of 4K and an entry of 2M (SIZEM)" }
        if !entry.validated { return "the guest has not validated the page (#VC \(ExitCode.pageNotValidated))" }
        return "VMPL\(memory.context.vmpl.rawValue) has permissions "
            + hexadecimal(UInt64(entry.permissions[memory.context.vmpl].rawValue)) + " (\(fault))"
    }

    /// What the RMP says of the private page behind a frame that is not mapped.
    private func backing(of gfn: GFN, _ memory: GuestAccess) -> [String] {
        guard let pfn = run.guest.machine.privateFrame(of: gfn) else {
            return ["  no private page is behind that frame"] + history(atGuest: gfn)
        }
        return ["  RMP entry of the private page, frame \(pfn): " + (memory.rmp.effectiveEntry(pfn)?.words ?? "none")]
            + history(of: pfn, at: gfn)
    }

    // MARK: Who was it

    private func history(of pfn: PFN, at gfn: GFN) -> [String] {
        Self.words(run.recorder.history.changes(of: pfn, at: gfn), run)
    }

    /// The changes of whatever frames were at a guest address.
    private func history(atGuest gfn: GFN) -> [String] {
        Self.words(run.recorder.history.changes(at: gfn), run)
    }

    private static func words(_ changes: [PageChange], _ run: GuestRun) -> [String] {
        guard !changes.isEmpty else {
            let forgotten = run.recorder.history.forgotten
            return [
                "  nobody has changed the page's state"
                    + (forgotten > 0 ? " in the last \(PageHistory.capacity) changes of the run" : " in this run")
            ]
        }
        return ["  who changed the page's state, the last first"]
            + changes.suffix(5).reversed().map { change in
                "    tick \(change.time): \(change.actor.text): \(change.text)"
            }
    }
}

extension GuestWalkRecord.Refusal {
    /// In words.
    func words(_ kind: AccessKind) -> String {
        switch self {
        case .notCanonical: "the address is not canonical"
        case .unreadable: "the entry itself cannot be read"
        case .notPresent: "the entry is not present"
        case .reservedBits: "a reserved bit is set: NX without EFER.NXE"
        case .supervisorOnly: "user code, and a supervisor's page"
        case .readOnly: "a write, and a page that is read only"
        case .noExecute: "a fetch, and a page without execute"
        case .userCode: "a supervisor's fetch from a user's page, with SMEP"
        case .userData: "a supervisor's access to a user's page, with SMAP"
        }
    }
}
