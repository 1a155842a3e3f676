// The world of the target `ioctls`: three initialised guests of different policies, each with a slot over a guest_memfd.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import ScriptedGuest

/// What system calls of a VMM work on.
public final class IoctlWorld: ScenarioWorld {
    let sealed: SealedWorld
    /// Guests by number; some may be destroyed, and some may be added.
    var guests: [Guest] = []
    private var sealedGuests: [Guest] = []

    /// The operations, those with plain numbers and those with raw ones.
    static var operations: [Operation<IoctlWorld>] {
        memoryOperations + faultOperations + launchOperations + hardwareOperations
    }

    /// A guest and the VMM's handles of it.
    final class Guest {
        let vm: VirtualMachine
        let base: GFN
        var files: [GuestMemory] = []
        var users: [UserMemory] = []
        var cpus: [VirtualCPU] = []

        init(_ vm: VirtualMachine, base: GFN) {
            self.vm = vm
            self.base = base
        }

        /// Copies the handles, so that those of a run can be forgotten.
        func copy() -> Guest {
            let guest = Guest(vm, base: base)
            (guest.files, guest.users, guest.cpus) = (files, users, cpus)
            return guest
        }
    }

    init(defects: KnownDefects) throws {
        sealed = try SealedWorld(dramByteCount: 24 << 20, defects: defects)
        for (policy, pages, order) in [
            (EagerPolicy() as any ConversionPolicy, 1024 as UInt64, 9 as UInt8), (LazyPolicy(), 1024, 9),
            (EagerPolicy(), 64, 0),
        ] {
            let guest = try addGuest(policy)
            try guest.vm.sevInit2()
            let file = try guest.vm.createGuestMemory(byteCount: pages << 12, folioOrder: order)
            let user = try UserMemory(host: sealed.host, byteCount: pages << 12)
            try guest.vm.setMemoryRegion(
                MemoryRegion(
                    slot: 0, gpa: guest.base.address, byteCount: pages << 12, userMemory: user, guestMemory: file))
            guest.files.append(file)
            guest.users.append(user)
        }
        sealedGuests = guests.map { $0.copy() }
        sealed.seal()
    }

    /// Makes a guest.
    @discardableResult
    func addGuest(_ policy: any ConversionPolicy) throws -> Guest {
        let vm = try VirtualMachine(host: sealed.host, policy: policy)
        let guest = Guest(vm, base: GFN(0x1000 + UInt64(guests.count) << 16))
        guests.append(guest)
        sealed.add(vm)
        return guest
    }

    func destroy(_ guest: Guest) {
        guest.vm.destroy()
        sealed.remove(guest.vm)
    }

    /// Puts everything back.
    public func restore() {
        withExtendedLifetime(guests) { sealed.restore() }
        guests = sealedGuests.map { $0.copy() }
    }

    /// The first broken invariant.
    public func problem() -> String? { sealed.violation() }

    // MARK: What operations name

    func guest(_ number: UInt64) -> Guest { guests[Int(number % UInt64(guests.count))] }
}

extension IoctlWorld.Guest {
    /// A guest address near the first slot.
    func gpa(_ page: UInt64) -> GPA { (base + page).address }

    /// A file of the guest; nil for number 0.
    func file(_ number: UInt64) -> GuestMemory? {
        number == 0 || files.isEmpty ? nil : files[Int((number - 1) % UInt64(files.count))]
    }

    /// A range of the VMM's memory.
    func user(_ number: UInt64) -> UserMemory? { users.isEmpty ? nil : users[Int(number % UInt64(users.count))] }

    /// Does a guest access as its processor would: nested page faults go to the hypervisor, and the access starts again, a
    /// few times. Before LAUNCH_START a guest has no key, and cannot run.
    func access(_ body: (GuestAccess) throws -> Void) throws {
        guard let memory = vm.makeGuestAccess() else { throw Errno.noDevice }
        for _ in 0..<4 {
            do { return try body(memory) } catch {
                let fault: GuestFault? =
                    switch error {
                    case let fault as GuestFault: fault
                    case GuestInstructionFailure.fault(let fault): fault
                    default: nil
                    }
                guard case .nestedPageFault(let gpa, let code) = fault else { throw error }
                guard vm.handleNestedPageFault(gpa, code) == .resume else { throw error }
            }
        }
    }
}
