// Who changed which page when, and who left one out: the last changes of the RMP in a run, for the explanation of a guest's
// death.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

/// What the host is busy with.
enum HostActivity: Hashable {
    /// Setting up the guest.
    case launch
    /// Serving an exit of a virtual CPU.
    case exit(GuestExit, ghcb: UInt64)
    /// Serving an exit to the monitor.
    case userExit(UserExit)

    /// In words.
    var text: String {
        switch self {
        case .launch: "the launch"
        case .exit(let exit, let ghcb):
            switch exit.code {
            case .nestedPageFault: "a nested page fault at \(GPA(exit.info2))"
            case .vmgexit: ghcb & 0xfff == 0 ? "a GHCB request" : "a request by the GHCB MSR"
            default: "an exit (\(exit.code))"
            }
        case .userExit(let exit):
            switch exit {
            case .mapRange(let call):
                "a page state change: \(call.pageCount) pages at \(call.gpa) to \(call.attribute)"
            case .memoryFault(let gpa, _, let isPrivate, _): "a \(isPrivate ? "private" : "shared") access to \(gpa)"
            default: "an exit to the monitor"
            }
        }
    }
}

/// Who acts.
struct Actor: Hashable {
    /// Which virtual CPU, if one is concerned.
    var vcpu: UInt32?
    /// The guest itself, at this address; else the host.
    var guestRIP: UInt64?
    /// What the host is busy with.
    var activity = HostActivity.launch
    /// The call that changes memory attributes, if the host is inside one.
    var attributes: MemoryAttribute?
    /// The firmware's command, if firmware is at work.
    var command: FirmwareCommand?

    /// In words.
    var text: String {
        if let guestRIP { return "the guest, vCPU \(vcpu ?? 0), at RIP \(hexadecimal(guestRIP))" }
        var text = command.map { "firmware in \($0)" } ?? "the host"
        if let attributes { text += " in KVM_SET_MEMORY_ATTRIBUTES to \(attributes)" }
        text += activity == .launch ? " during " : " serving "
        text += activity.text
        if let vcpu, activity != .launch { text += " of vCPU \(vcpu)" }
        return text
    }
}

/// A call of KVM_SET_MEMORY_ATTRIBUTES.
struct AttributeCall {
    var gpa: GPA
    var byteCount: UInt64
    /// How many of its 4 KiB pages had no memory behind them, and so nothing in the RMP to change.
    var skipped: UInt64 = 0

    func covers(_ gfn: GFN) -> Bool {
        gfn.rawValue >= gpa.frame.rawValue && gfn.rawValue - gpa.frame.rawValue < byteCount >> 12
    }
}

/// A change of the RMP, or one that was left out.
struct PageChange {
    enum Event {
        case rmp(RMPChange, RMPOutcome)
        case passedOver(AttributeCall)
    }
    var time: UInt64
    var actor: Actor
    var event: Event

    /// The event in words.
    var text: String {
        switch event {
        case .rmp(let change, let outcome): change.text + (outcome == .done ? "" : " (\(outcome.word))")
        case .passedOver(let call):
            "passed over \(call.skipped) of \(call.byteCount >> 12) pages at \(call.gpa): no memory was behind them yet"
        }
    }

    func touches(_ pfn: PFN) -> Bool {
        guard case .rmp(let change, _) = event else { return false }
        return change.touches(pfn)
    }

    func passesOver(_ gfn: GFN) -> Bool {
        guard case .passedOver(let call) = event else { return false }
        return call.covers(gfn)
    }
}

/// The last changes of a run, the oldest forgotten first.
struct PageHistory {
    static let capacity = 1 << 16
    private var ring: [PageChange] = []
    private var next = 0
    private(set) var forgotten: UInt64 = 0

    mutating func add(_ change: PageChange) {
        if ring.count < Self.capacity {
            ring.append(change)
        } else {
            ring[next] = change
            next = (next + 1) % Self.capacity
            forgotten += 1
        }
    }

    /// The changes of a frame, and the calls that passed over the guest frame, oldest first.
    func changes(of pfn: PFN, at gfn: GFN) -> [PageChange] {
        all.filter { $0.touches(pfn) || $0.passesOver(gfn) }
    }

    /// Every change that is remembered, oldest first.
    private var all: [PageChange] { Array(ring[next...] + ring[..<next]) }
}

extension RMPChange {
    /// Whether the change concerns a frame.
    func touches(_ pfn: PFN) -> Bool {
        func covers(_ head: PFN, _ size: PageSize) -> Bool {
            pfn.rawValue >= head.rawValue && pfn.rawValue - head.rawValue < size.pageCount
        }
        switch self {
        case .rmpUpdate(let spa, let state): return covers(spa.frame, state.pageSize)
        case .psmash(let spa): return covers(spa.frame, .size2M)
        case .pvalidate(let page, let size, _, _, _): return covers(page.pfn.aligned(down: size), size)
        case .rmpAdjust(let page, let size, _, _, _, _, _): return covers(page.pfn.aligned(down: size), size)
        case .firmwareWrite(let head, let entry): return covers(head, entry.pageSize)
        case .firmwareUnsmash(let head): return covers(head, .size2M)
        case .firmwareClear: return true
        }
    }

    /// In words.
    var text: String {
        switch self {
        case .rmpUpdate(_, let state):
            guard state.assigned else { return "RMPUPDATE to the hypervisor, \(state.pageSize)" }
            guard state.asid != .host else { return "RMPUPDATE to firmware" }
            return "RMPUPDATE to ASID \(state.asid) at GPA \(state.gpa), \(state.pageSize)"
                + (state.immutable ? ", immutable" : "")
        case .psmash: return "PSMASH into 512 pages of 4K"
        case .pvalidate(let page, let size, let validate, _, _):
            return (validate ? "PVALIDATE" : "PVALIDATE, taking back,") + " of GPA \(page.gpa), \(size)"
        case .rmpAdjust(let page, let size, let target, let permissions, let vmsa, _, _):
            return "RMPADJUST of GPA \(page.gpa), \(size), for VMPL\(target.rawValue), permissions "
                + hexadecimal(UInt64(permissions.rawValue)) + (vmsa ? ", a VMSA" : "")
        case .firmwareWrite(_, let entry): return "made " + entry.words
        case .firmwareUnsmash: return "512 pages of 4K made one of 2M"
        case .firmwareClear: return "the RMP cleared"
        }
    }
}

extension RMPOutcome {
    /// A word for traces.
    var word: String {
        switch self {
        case .done: "SUCCESS"
        case .unchanged: "UNCHANGED"
        case .refused(let status): status.name
        case .fault(.nestedPageFault): "NPF"
        case .fault(.pageNotValidated): "NOT_VALIDATED"
        }
    }
}

extension RMPEntry {
    /// The entry in words.
    var words: String {
        guard assigned else { return immutable ? "the hypervisor's, fixed" : "the hypervisor's (\(state))" }
        guard asid != .host else { return "firmware's (\(state))" }
        return "ASID \(asid)'s at GPA \(gfn.address), \(pageSize), \(validated ? "validated" : "not validated")"
            + (vmsa ? ", a VMSA" : "") + (immutable ? ", immutable" : "") + " (\(state))"
    }
}

/// A number as explanations write it.
func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

extension PageHistory {
    /// The changes that name a guest frame: of RMPUPDATEs that gave a page there, and of the guest's own instructions.
    func changes(at gfn: GFN) -> [PageChange] {
        let frames = Set(
            all.compactMap { change -> PFN? in
                guard case .rmp(.rmpUpdate(let spa, let state), _) = change.event, state.assigned else { return nil }
                let first = state.gpa.frame
                guard gfn.rawValue >= first.rawValue, gfn.rawValue - first.rawValue < state.pageSize.pageCount else {
                    return nil
                }
                return spa.frame + (gfn.rawValue - first.rawValue)
            })
        return all.filter { change in change.passesOver(gfn) || frames.contains { change.touches($0) } }
    }
}
