// A VMM's answers to the exits of its virtual CPUs, as QEMU gives them: converts pages when asked, has no devices, and stops
// at what ends a guest. Loops, threads and turns are the caller's.

public import Hypervisor
import SNPArchitecture

/// What a VMM's loop does after an exit.
public enum ResponderDecision: Hashable, Sendable {
    /// Runs the virtual CPU again.
    case goOn
    /// Runs the virtual CPU when something has woken it.
    case wait
    /// Runs none any more.
    case stop
}

/// Answers the exits of one machine. Any thread may call it.
///
/// - Spec: KVMAPI section 5; QEMU: `kvm_cpu_exec()`, `kvm_convert_memory()`
public final class VMMResponder: Sendable {
    /// The machine.
    public let machine: VirtualMachine
    /// The certificate table that an extended request for a report gets; empty for a table without entries.
    public let certificates: [UInt8]
    /// Gives back the memory that a page no longer uses after its conversion.
    public let discardsUnusedMemory: Bool

    /// Makes a responder that takes KVM_HC_MAP_GPA_RANGE for its machine.
    ///
    /// - Throws: EINVAL if the kernel does not offer that
    public init(machine: VirtualMachine, certificates: [UInt8] = [], discardsUnusedMemory: Bool = true) throws(Errno) {
        self.machine = machine
        self.certificates = certificates
        self.discardsUnusedMemory = discardsUnusedMemory
        try machine.enableHypercallExits()
    }

    /// Does what an exit asks for and fills in the reply.
    public func respond(to exit: UserExit, of cpu: VirtualCPU) -> ResponderDecision {
        switch exit {
        case .mapRange(let call):
            guard call.pageCount <= 1 << 40 else { return .stop }
            return convert(call.gpa, call.pageCount << 12, to: call.attribute) ? .goOn : .stop
        case .memoryFault(let gpa, let byteCount, let isPrivate, .badAddress):
            return convert(gpa, byteCount, to: isPrivate ? .private : .shared) ? .goOn : .stop
        case .io(let access):
            // Nothing answers: the bus reads as ones.
            if !access.isWrite { cpu.reply(.data([UInt8](repeating: 0xff, count: access.byteCount))) }
            return .goOn
        case .mmio(let access):
            if !access.isWrite { cpu.reply(.data([UInt8](repeating: 0, count: access.byteCount))) }
            return .goOn
        case .certificates(let gfn, let pageCount):
            cpu.reply(giveCertificates(at: gfn, pageCount: pageCount))
            return .goOn
        case .halted: return .wait
        case .interrupted: return .goOn
        case .shutdown, .failEntry, .unexpectedExit, .terminated, .memoryFault, .failed: return .stop
        }
    }

    /// KVM_SET_MEMORY_ATTRIBUTES, and the memory of the other kind goes. False when the guest cannot go on.
    ///
    /// Frames in no slot cannot become private; that they are shared is true already.
    private func convert(_ gpa: GPA, _ byteCount: UInt64, to attribute: MemoryAttribute) -> Bool {
        guard let end = gpa.advanced(checked: byteCount), byteCount > 0 else { return false }
        let range = gpa.frame..<end.frame
        let parts = machine.memorySlots.map { ($0, $0.frames.clamped(to: range)) }.filter { !$0.1.isEmpty }
        let covered = parts.reduce(0) { $0 + $1.1.count }
        guard covered == range.count || attribute == .shared else { return false }
        for (slot, frames) in parts {
            guard slot.guestMemory != nil || attribute == .shared else { return false }
            let count = UInt64(frames.count) << 12
            guard
                (try? machine.setMemoryAttributes(frames.lowerBound.address, byteCount: count, to: attribute)) != nil
            else { return false }
            if discardsUnusedMemory { discard(frames, of: slot, after: attribute) }
        }
        return true
    }

    /// madvise(MADV_DONTNEED) of the shared pages, or a hole in the guest_memfd.
    private func discard(_ frames: Range<GFN>, of slot: MemorySlot, after attribute: MemoryAttribute) {
        let offset = frames.lowerBound.rawValue - slot.frames.lowerBound.rawValue
        let count = UInt64(frames.count)
        if attribute == .private {
            slot.userMemory.discard(slot.userIndex + offset..<slot.userIndex + offset + count)
        } else if let file = slot.guestMemory {
            try? machine.punchHole(file, offset: (slot.guestIndex + offset) << 12, byteCount: count << 12)
        }
    }

    /// Writes the table, if the guest has left room for it.
    private func giveCertificates(at gfn: GFN, pageCount: UInt64) -> UserReply {
        // An empty table is one entry of zeros.
        let table = certificates.isEmpty ? [UInt8](repeating: 0, count: 24) : certificates
        let needed = UInt64((table.count + 4095) / 4096)
        guard pageCount >= needed else { return .certificates(error: .noSpace, pageCount: needed) }
        let slots = machine.memorySlots
        for page in 0..<needed {
            let (frame, wraps) = gfn.rawValue.addingReportingOverflow(page)
            guard !wraps, let slot = slots.first(where: { $0.frames.contains(GFN(frame)) }) else {
                return .certificates(error: .ioError, pageCount: pageCount)
            }
            let index = slot.userIndex + (frame - slot.frames.lowerBound.rawValue)
            let start = Int(page) * 4096
            guard
                (try? slot.userMemory.write(Array(table[start..<min(start + 4096, table.count)]), at: index << 12))
                    != nil
            else { return .certificates(error: .ioError, pageCount: pageCount) }
        }
        return .certificates(error: nil, pageCount: needed)
    }
}
