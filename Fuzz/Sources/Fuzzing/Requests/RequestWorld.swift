// The world of the targets `ghcb` and `psc`: launched guests under an eager and a lazy policy, whose virtual CPUs ask the host
// for anything, and a VMM that answers truly, falsely or not at all.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import ScriptedGuest

/// What a hostile guest's requests work on.
public final class RequestWorld: ScenarioWorld {
    let sealed: SealedWorld
    let guests: [Guest]
    /// The GHCB's contents at the next event.
    var page = GHCBPage()
    /// What the guest writes into its GHCB while the VMM serves an exit.
    var rewrites: [(offset: Int, value: UInt64)] = []
    /// How the VMM answers.
    var manner = Manner.honest
    /// Its answer where it is not honest.
    var answer: UInt64 = 0

    /// How the VMM answers.
    enum Manner: Int, CaseIterable {
        /// Does what it is asked for.
        case honest
        /// Says that it did, and did not.
        case lying
        /// Answers a number of the fuzzer's.
        case refusing
        /// Answers with what the exit has no use for.
        case wrongKind
        /// Answers nothing, and runs the virtual CPU again.
        case silent
    }

    /// A launched guest.
    final class Guest {
        /// Pages of the slot: private ones first, a GHCB for each virtual CPU last.
        static let pageCount: UInt64 = 1024
        static let privateCount: UInt64 = 24
        let vm: VirtualMachine
        let file: GuestMemory
        let user: UserMemory
        let base = GFN(0x1000)
        var cpus: [VirtualCPU] = []
        let processors = [HostileProcessor(), HostileProcessor()]

        init(_ sealed: SealedWorld, _ policy: any ConversionPolicy) throws {
            vm = try VirtualMachine(host: sealed.host, policy: policy)
            sealed.add(vm)
            try vm.sevInit2()
            file = try vm.createGuestMemory(byteCount: Self.pageCount << 12, folioOrder: 9)
            user = try UserMemory(host: sealed.host, byteCount: Self.pageCount << 12)
            try vm.setMemoryRegion(
                MemoryRegion(
                    slot: 0, gpa: base.address, byteCount: Self.pageCount << 12, userMemory: user, guestMemory: file))
            try vm.enableHypercallExits()
            try vm.enableCertificateRequests()
            for id in 0..<2 as Range<UInt32> {
                cpus.append(try vm.createVirtualCPU(id: id, initialState: .scripted()))
            }
            if let signature = CPUSignature(family: 25, model: 17, stepping: 1) {
                for cpu in cpus { cpu.setCPUID(CPUIDLeaves(signature: signature, vcpuCount: 2).functions) }
            }
            try vm.snpLaunchStart(policy: .standard)
            try vm.snpLaunchFinish()
            try vm.setMemoryAttributes(base.address, byteCount: Self.privateCount << 12, to: .private)
        }

        func gpa(_ page: UInt64) -> GPA { (base + page).address }
        func ghcb(_ cpu: Int) -> GPA { gpa(Self.pageCount - 2 + UInt64(cpu)) }
    }

    init(defects: KnownDefects) throws {
        sealed = try SealedWorld(dramByteCount: 24 << 20, defects: defects)
        guests = [try Guest(sealed, EagerPolicy()), try Guest(sealed, LazyPolicy())]
        for guest in guests {
            for number in guest.cpus.indices {
                guest.cpus[number].attach(guest.processors[number])
                guest.cpus[number].setState(.runnable)
                let ghcb = guest.ghcb(number)
                guest.processors[number].add { state, memory in
                    try memory.store([0], at: ghcb, .shared)
                    state.ghcb = GHCBMSRRequest.registerGHCB(ghcb.frame).rawValue
                    return GuestExit(.vmgexit)
                }
                for page in 0..<RequestWorld.Guest.privateCount where number == 0 {
                    guest.processors[0].add { _, memory in
                        _ = try memory.rmp.pvalidate(
                            try memory.resolve(guest.gpa(page)), size: .size4K, validate: true,
                            asid: memory.context.asid, vmpl: .vmpl0)
                        return nil
                    }
                }
                run(guest, number)
            }
        }
        sealed.seal()
    }

    /// Puts everything back.
    public func restore() {
        sealed.restore()
        page = GHCBPage()
        page.protocolVersion = 2
        rewrites.removeAll()
        manner = .honest
        answer = 0
        for guest in guests {
            for processor in guest.processors { processor.clear() }
        }
    }

    /// The first broken invariant. What a hostile host has mapped against its books it takes back first.
    public func problem() -> String? {
        for guest in guests { guest.vm.endHostilities() }
        return sealed.violation()
    }

    func guest(_ number: UInt64) -> Guest { guests[Int(number % UInt64(guests.count))] }
}
