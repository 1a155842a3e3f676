// The small world in which a scenario plays: a machine, its firmware, a host, and guests; built once, and put back as it was
// after each run.

public import Hypervisor
public import Machine
public import SNPArchitecture
public import Scheduling
public import SecureProcessor

/// What kind of world a scenario needs.
public struct WorldConfiguration: Sendable {
    /// DRAM in bytes.
    public var dramByteCount: UInt64 = 16 << 20
    /// How many ASIDs SNP guests can have.
    public var asidCount: UInt32 = 8
    /// The IOMMUs' buffers, which firmware takes while SNP is on.
    public var iommuBuffers: [Range<PFN>] = []
    /// Whether SNP is on from the start.
    public var initializesSNP = true

    /// Makes the configuration of most scenarios.
    public init() {}
}

/// A host with guests, and the means to make its hardware and firmware refuse.
public final class World {
    /// The silicon.
    public let machine: Machine
    /// The firmware.
    public let secureProcessor: SecureProcessor
    /// The host kernel.
    public let host: Host
    /// The writes to the machine's memory since the world was sealed.
    public let log = ChangeLog()
    /// What is broken on purpose, for a scenario that boots another host.
    let defects: KnownDefects
    /// The guests, in the order in which they were made.
    public private(set) var guests: [Guest] = []
    /// The threads of the scenario.
    private(set) var threads: [(name: String, body: () throws -> Void)] = []
    /// What to check after a run in which all threads came to their end.
    private(set) var endChecks: [() throws -> Void] = []
    /// Whether the invariants of living guests hold at every point and at the end.
    public var checksInvariants = true
    /// Where failures go; the engine sets it.
    var onFailure: (String) -> Void = { _ in }
    private let faults: FaultSource
    private var checkpoint = Checkpoint()
    private var starts: [() -> Void] = []
    /// The part of the state's hash that is not of the machine's memory, and the number of changes noted when it was made. A
    /// world belongs to one OS thread: no access to them needs a check.
    @safe @exclusivity(unchecked) private var outsideHash: UInt64 = 0
    @safe @exclusivity(unchecked) private var hashedTouches = UInt64.max
    /// The virtual machines that had virtual CPUs then: these change without a note.
    @safe @exclusivity(unchecked) private var running: [VirtualMachine] = []

    /// Builds a world.
    ///
    /// - Throws: what the machine, the firmware or the host refuses
    public init(_ configuration: WorldConfiguration = WorldConfiguration(), defects: KnownDefects = []) throws {
        log.adoptReservations()
        self.defects = defects
        var hardware = MachineConfiguration(
            dramByteCount: configuration.dramByteCount, coreCount: 2,
            minimumSEVASID: configuration.asidCount + 1, asidCount: configuration.asidCount + 1)
        hardware.iommuBuffers = configuration.iommuBuffers
        machine = try Machine(hardware)
        secureProcessor = SecureProcessor(machine: machine)
        faults = FaultSource(firmware: secureProcessor)
        machine.mailbox.connect(faults)
        host = try Host(machine: machine, defects: defects)
        if configuration.initializesSNP { try host.initializeSNP() }
    }

    // MARK: What a scenario says

    /// Adds a guest.
    ///
    /// - Throws: what the host refuses
    public func addGuest(
        pages: UInt64, folioOrder: UInt8 = 0, policy: any ConversionPolicy = EagerPolicy(), isInitialized: Bool = true
    ) throws -> Guest {
        let guest = try Guest(
            self, number: guests.count, pages: pages, folioOrder: folioOrder, policy: policy,
            isInitialized: isInitialized)
        guests.append(guest)
        return guest
    }

    /// Adds a thread.
    public func thread(_ name: String, _ body: @escaping () throws -> Void) { threads.append((name, body)) }

    /// Adds a check of the end.
    public func atEnd(_ check: @escaping () throws -> Void) { endChecks.append(check) }

    /// Adds something to do before each run, such as to forget what the last run noted.
    public func atStart(_ body: @escaping () -> Void) {
        starts.append(body)
        body()
    }

    /// Reports what is wrong; on a thread of the scenario this does not return.
    public func fail(_ problem: String) { onFailure(problem) }

    /// Reports a problem unless the condition holds.
    public func expect(_ condition: Bool, _ problem: @autoclosure () -> String) {
        if !condition { fail(problem()) }
    }

    /// Makes calls of an RMP instruction fail in each run: those that are `calls`, counted from 1 from the start of the run.
    public func refuse(
        _ instruction: RMPInstruction, calls: ClosedRange<Int> = 1...Int.max, with status: RMPStatus,
        where isMeant: @escaping @Sendable (PFN) -> Bool = { _ in true }
    ) {
        faults.refuse(instruction, calls: calls, with: status, where: isMeant)
        machine.rmp.injection.set { [faults] found, pfn in faults.decide(found, pfn) }
        atStart { [faults] in faults.rewind() }
    }

    /// Makes commands of firmware fail in each run, and do nothing.
    public func refuse(_ command: FirmwareCommand, calls: ClosedRange<Int> = 1...Int.max, with status: FirmwareStatus) {
        faults.refuse(command, calls: calls, with: status)
        atStart { [faults] in faults.rewind() }
    }

    /// Takes every free frame but `left`, while the world is built.
    public func exhaustMemory(leaving left: Int) {
        var blocks: [FrameBlock] = []
        for order in [9, 0] as [UInt8] {
            while let block = host.allocator.allocate(order: order) { blocks.append(block) }
        }
        for _ in 0..<left {
            guard let block = blocks.popLast(), block.order == 0 else { break }
            host.allocator.free(block.pfn, order: 0)
        }
    }

    // MARK: What the engine does

    /// Ends the building: this is what every run starts from.
    func seal() {
        for guest in guests { guest.warmUp() }
        checkpoint = host.checkpoint()
        checkpoint.add(secureProcessor.checkpoint())
        for guest in guests { checkpoint.add(guest.vm.checkpoint()) }
        faults.isArmed = true
        log.begin()
    }

    /// Puts everything back as it was sealed.
    func restore() {
        checkpoint.restore()
        log.rollBack()
        hashedTouches = .max
        for start in starts { start() }
    }

    /// Records no more and forgets the scenario, before the world is given up.
    func close() {
        threads = []
        endChecks = []
        starts = []
        onFailure = { _ in }
        log.end()
        machine.rmp.injection.set(nil)
    }

    /// The state of everything, as a number.
    var stateHash: UInt64 {
        let touches = log.touchCount
        if touches != hashedTouches {
            hashedTouches = touches
            outsideHash = hashOutside()
        }
        assert(outsideHash == hashOutside(), "a change of the host's or a guest's state was not noted")
        var hasher = StateHasher(log.hash)
        hasher.combine(outsideHash)
        for machine in running { machine.combineVirtualCPUs(into: &hasher) }
        return hasher.value
    }

    /// The state of host and guests outside the machine's memory, as a number: the same until somebody calls `noteChange`.
    private func hashOutside() -> UInt64 {
        var hasher = StateHasher()
        host.combine(into: &hasher)
        running.removeAll(keepingCapacity: true)
        for guest in guests {
            let machine = guest.vm
            machine.combine(into: &hasher)
            if machine.hasVirtualCPUs { running.append(machine) }
        }
        return hasher.value
    }

    /// Reports a region that the host maps in small pages for nobody.
    func checkDirectMapAtRest() {
        if let found = directMapProblem(.atRest) { fail(found.description) }
    }

    /// What is wrong now: the first broken invariant.
    func problem(_ moment: InvariantMoment) -> Problem? {
        guard checksInvariants else { return nil }
        if let violation = host.checkInvariants(of: guests.map(\.vm), moment, limit: 1).first {
            return Problem(violation.description, pfn: violation.pfn)
        }
        if moment == .atRest, let stray = guests.lazy.compactMap(\.strayMapping).first { return stray }
        return directMapProblem(moment)
    }

    /// The host must be able to write its own frames: a region with 4 KiB pages of guests is mapped with 4 KiB pages, and at
    /// rest only such a region is.
    private func directMapProblem(_ moment: InvariantMoment) -> Problem? {
        let regions = 1..<machine.rmp.tableFrames[0].lowerBound.rawValue >> 9
        for region in regions {
            let head = PFN(region << 9)
            let first = machine.rmp.entry(head)
            let hasSmall = first.assigned ? first.pageSize == .size4K : first.subpageCount > 0
            let level = host.directMap.table.level(of: head)
            if hasSmall, level != .level4K {
                return Problem("region \(head) has 4K pages of guests under a large mapping of the host", pfn: head)
            }
            if moment == .atRest, !hasSmall, !first.assigned, level == .level4K {
                return Problem("region \(head) has no pages of guests and is mapped 4K by the host", pfn: head)
            }
        }
        return nil
    }
}

/// Something wrong, and the frame that it is about, if it is about one.
public struct Problem: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var description: String
    /// The frame.
    public var pfn: PFN?

    init(_ description: String, pfn: PFN? = nil) {
        self.description = description
        self.pfn = pfn
    }
}
