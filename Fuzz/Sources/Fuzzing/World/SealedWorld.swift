// A machine, its firmware and a host, built once and put back as they were after each run.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import Scheduling
internal import SecureProcessor

/// What every world is made of.
final class SealedWorld {
    /// The silicon.
    let machine: Machine
    /// The firmware.
    let firmware: SecureProcessor
    /// The host kernel.
    let host: Host
    /// The living guests.
    private(set) var guests: [VirtualMachine] = []
    private let refusals = Refusals()
    private let log = ChangeLog()
    private var checkpoint = Checkpoint()
    private var sealedGuests: [VirtualMachine] = []
    /// What a run has made; it must outlive the roll-back, which writes to its tables.
    private var made: [AnyObject] = []

    /// Builds a host on which SNP is on.
    ///
    /// - Throws: what the machine or the host refuses
    init(dramByteCount: UInt64 = 24 << 20, defects: KnownDefects = []) throws {
        machine = try Machine(
            MachineConfiguration(dramByteCount: dramByteCount, coreCount: 2, minimumSEVASID: 9, asidCount: 9))
        firmware = SecureProcessor(machine: machine)
        machine.mailbox.connect(firmware)
        host = try Host(machine: machine, defects: defects)
        try host.initializeSNP()
    }

    /// Notes a guest.
    func add(_ guest: VirtualMachine) { guests.append(guest) }

    /// Forgets a guest that is destroyed.
    func remove(_ guest: VirtualMachine) {
        made.append(guest)
        guests.removeAll { $0 === guest }
    }

    /// Keeps something alive to the end of the run.
    func keep(_ object: AnyObject) { made.append(object) }

    /// Ends the building: this is what every run starts from.
    func seal() {
        checkpoint = host.checkpoint()
        checkpoint.add(firmware.checkpoint())
        for guest in guests { checkpoint.add(guest.checkpoint()) }
        sealedGuests = guests
        log.begin()
    }

    /// Puts everything back as it was sealed.
    func restore() {
        disarm()
        checkpoint.restore()
        // Guests of this run stay until their tables are rolled back.
        withExtendedLifetime((guests, made)) { log.rollBack() }
        guests = sealedGuests
        made.removeAll(keepingCapacity: true)
    }

    /// The first broken invariant.
    func violation() -> String? {
        host.checkInvariants(of: guests, .atRest, limit: 1).first?.description
    }

    // MARK: Refusals

    /// Makes RMPUPDATE or PSMASH fail: after `skipped` calls, `count` times.
    func refuse(_ instruction: RMPInstruction, skipped: Int, count: Int, with status: RMPStatus) {
        refusals.instruction = Refusals.Rule(skipped: skipped, count: count)
        refusals.refusedInstruction = instruction
        refusals.status = status
        machine.rmp.injection.set { [refusals] found, _ in refusals.answer(found) }
    }

    /// Makes commands of firmware fail: after `skipped` commands, `count` times.
    func refuseFirmware(skipped: Int, count: Int, with status: FirmwareStatus) {
        refusals.command = Refusals.Rule(skipped: skipped, count: count)
        machine.mailbox.injection.set { [refusals] _, _ in
            refusals.command.isDue() ? .status(status) : nil
        }
    }

    /// Takes every free frame but some.
    func exhaustMemory(leaving left: Int) {
        var blocks: [FrameBlock] = []
        for order in [9, 0] as [UInt8] {
            while let block = host.allocator.allocate(order: order) { blocks.append(block) }
        }
        for _ in 0..<left {
            guard let block = blocks.popLast(), block.order == 0 else { break }
            host.allocator.free(block.pfn, order: 0)
        }
    }

    private func disarm() {
        machine.rmp.injection.set(nil)
        machine.mailbox.injection.set(nil)
    }
}

/// What is to be refused. Used by the fuzzer's one thread only.
private final class Refusals: @unchecked Sendable {
    struct Rule {
        var skipped = 0
        var count = 0

        mutating func isDue() -> Bool {
            if skipped > 0 {
                skipped -= 1
                return false
            }
            guard count > 0 else { return false }
            count -= 1
            return true
        }
    }
    var instruction = Rule()
    var refusedInstruction = RMPInstruction.rmpUpdate
    var status = RMPStatus.failInUse
    var command = Rule()

    func answer(_ found: RMPInstruction) -> RMPStatus? {
        found == refusedInstruction && instruction.isDue() ? status : nil
    }
}
