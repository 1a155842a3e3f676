// A virtual machine as the kernel sees it: kind, slots, attributes, nested tables, life and death.

public import Machine
public import SNPArchitecture
public import Scheduling
internal import Synchronization

/// The kind of a virtual machine, with KVM's numbers.
public enum MachineKind: UInt32, Sendable {
    /// KVM_X86_DEFAULT_VM.
    case standard = 0
    /// KVM_X86_SNP_VM.
    case snp = 4
}

/// One virtual machine.
///
/// Locks, in order: `slotsLock` (slots and attributes), `backing` (guest memory), `nested.lock`. State is changed only under
/// its lock, and no modifying access stays open across a schedule point.
public final class VirtualMachine: @unchecked Sendable {
    /// The host it runs on.
    public let host: Host
    /// Its kind.
    public let kind: MachineKind
    /// What a change of attributes does to the RMP.
    public let policy: any ConversionPolicy
    /// Its nested page tables.
    public let nested: NestedTables

    let slotsLock = Lock(.slots)
    let backing = Lock(.guestMemory)
    /// Sorted by guest frame. Changed under `slotsLock` and `nested.lock`.
    var slots: [MemorySlot] = [] { didSet { noteChange() } }
    /// Changed under `slotsLock` and `nested.lock`; read under either.
    let attributes = MemoryAttributes()
    /// Files ever made for this machine and not closed.
    var guestMemories: [GuestMemory] = [] { didSet { noteChange() } }
    /// Virtual CPUs, by identifier.
    var virtualCPUs: [VirtualCPU] = [] { didSet { noteChange() } }
    var launch = LaunchState() { didSet { noteChange() } }
    /// The GHCB protocol's settings.
    let ghcb = GHCBSettings()
    private let dead = Mutex<String?>(nil)
    private let destroyed = Mutex(false)
    /// Dead or destroyed, for those who ask often.
    private let isGone = Atomic<Bool>(false)
    private let totals = Mutex(ConversionCounts())

    /// KVM_CREATE_VM.
    ///
    /// - Throws: in check order: EINVAL (an SNP machine, and the host's parameters or SNP itself do not allow one), ENOMEM when
    ///   there is no frame for the nested tables' root
    public init(host: Host, kind: MachineKind = .snp, policy: any ConversionPolicy = EagerPolicy()) throws(Errno) {
        guard kind != .snp || host.allowsSNPMachines else { throw .invalidArgument }
        self.host = host
        self.kind = kind
        self.policy = policy
        nested = try NestedTables(host: host)
    }

    /// The guest's ASID, once the machine is initialised for SNP.
    public var asid: ASID? { launch.asid }

    /// Everything that conversions of this machine have done.
    public var conversionCounts: ConversionCounts { totals.withLock { $0 } }

    func record(_ counts: ConversionCounts) {
        totals.withLock { $0 += counts }
        host.rmp.record(counts.rmp)
    }

    // MARK: Death

    /// Why the machine is dead, or nil while it lives.
    public var causeOfDeath: String? { dead.withLock { $0 } }

    /// Marks the machine dead: every later call gets EIO.
    ///
    /// - Spec: Linux: `KVM_BUG_ON()`
    func kill(_ reason: String) {
        noteChange()
        dead.withLock { $0 = $0 ?? reason }
        isGone.store(true, ordering: .releasing)
    }

    /// Neither dead nor destroyed.
    var isAlive: Bool { !isGone.load(ordering: .acquiring) }

    func checkAlive() throws(Errno) {
        guard isAlive else { throw .ioError }
    }

    /// The machine's state outside the emulated machine's memory, for putting it back.
    public func checkpoint() -> Checkpoint {
        let lists = (slots, guestMemories, virtualCPUs)
        let (savedLaunch, savedCounts) = (launch, conversionCounts)
        let (savedDeath, isDestroyed) = (causeOfDeath, destroyed.withLock { $0 })
        let settings = ghcb.current
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in
            (slots, guestMemories, virtualCPUs) = (lists.0, lists.1, lists.2)
            launch = savedLaunch
            totals.withLock { $0 = savedCounts }
            dead.withLock { $0 = savedDeath }
            destroyed.withLock { $0 = isDestroyed }
            isGone.store(savedDeath != nil || isDestroyed, ordering: .releasing)
            ghcb.change { $0 = settings }
        }
        if let hostile = settings.hostile { checkpoint.add(hostile.checkpoint()) }
        checkpoint.add(attributes.checkpoint())
        checkpoint.add(launch.launched.checkpoint())
        checkpoint.add(nested.checkpoint())
        for cpu in virtualCPUs { checkpoint.add(cpu.checkpoint()) }
        for file in guestMemories { checkpoint.add(file.checkpoint()) }
        for slot in slots { checkpoint.add(slot.userMemory.checkpoint()) }
        return checkpoint
    }

    /// The machine's state outside the emulated machine's memory, as a number, without its virtual CPUs: what changes it calls
    /// `noteChange`.
    public func combine(into hasher: inout StateHasher) {
        attributes.combine(into: &hasher)
        nested.combine(into: &hasher)
        launch.combine(into: &hasher)
        // Each list is read once.
        let (slots, cpus, files) = (slots, virtualCPUs, guestMemories)
        var flags: UInt64 = isAlive ? 1 : 0
        flags |= UInt64(slots.count) << 8 | UInt64(cpus.count) << 16 | UInt64(files.count) << 24
        flags |= UInt64(cpus.count { $0.vmsaFrame != nil }) << 32
        hasher.combine(flags)
        for slot in slots { hasher.combine(UInt64(slot.id) << 48 ^ slot.frames.lowerBound.rawValue) }
        for file in files { hasher.combine(UInt64(file.bindings.count)) }
    }

    /// Whether it has virtual CPUs.
    public var hasVirtualCPUs: Bool { !virtualCPUs.isEmpty }

    /// The state of its virtual CPUs, as a number. They change without a note while they run.
    public func combineVirtualCPUs(into hasher: inout StateHasher) {
        for cpu in virtualCPUs { cpu.combine(into: &hasher) }
    }

    // MARK: Reading, for tools and tests

    /// A port through which guest code of this machine reaches memory, or nil before its key is installed.
    public func makeGuestAccess(vmpl: VMPL = .vmpl0) -> GuestAccess? {
        guard let asid, let key = host.machine.encryption.key(for: asid) else { return nil }
        return GuestAccess(
            memory: host.machine.memory, rmp: host.machine.rmp, epochs: host.machine.epochs,
            context: RunningGuest(asid: asid, vmpl: vmpl, nestedRoot: nested.table.root, key: key))
    }

    /// The attribute of a guest frame.
    public func attribute(of gfn: GFN) -> MemoryAttribute { nested.lock.withLock { attributes.attribute(of: gfn) } }

    /// The runs of one attribute within a range.
    public func attributeRuns(in range: Range<GFN>) -> [(range: Range<GFN>, attribute: MemoryAttribute)] {
        nested.lock.withLock { attributes.runs(in: range) }
    }

    /// How many virtual CPUs it has.
    public var virtualCPUCount: Int { slotsLock.withLock { virtualCPUs.count } }

    /// The memory slots, by guest frame.
    public var memorySlots: [MemorySlot] { slotsLock.withLock { slots } }

    /// Destroys the machine: virtual CPUs, mappings, guest memory, firmware context, ASID. Later calls get EIO; a second
    /// destruction is nothing to do.
    public func destroy() {
        let isFirst = destroyed.withLock { gone in
            defer { gone = true }
            return !gone
        }
        guard isFirst else { return }
        noteChange()
        isGone.store(true, ordering: .releasing)
        // No virtual CPU is in the guest from here on, nor enters it again.
        for cpu in nested.lock.withLock({ virtualCPUs }) { cpu.waitUntilOutside() }
        if host.has(.requestPagesFreedEarly) { freeRequestPagesEarly() }
        slotsLock.withLock {
            let removed = slots
            // Faults in flight map nothing until all is gone, and then find the machine destroyed.
            for slot in removed { beginInvalidation(slot.frames) }
            backing.withLock {
                for file in guestMemories {
                    file.bindings.removeAll()
                    free(file, 0..<file.pageCount)
                }
                guestMemories.removeAll()
                ghcb.current.hostile?.release(for: self)
            }
            nested.lock.withLock { slots.removeAll() }
            for slot in removed {
                endInvalidation(slot.frames)
                slot.userMemory.unbind(slot)
            }
        }
        tearDownLaunch()
        nested.destroy()
    }
}
