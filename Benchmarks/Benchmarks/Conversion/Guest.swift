import Hypervisor
import Machine
import Rampart
import SNPArchitecture

/// A guest whose memory is backed throughout, for conversions there and back.
final class Guest {
    let emulated: EmulatedHost
    let machine: VirtualMachine
    let byteCount: UInt64

    init(byteCount: UInt64, folioOrder: UInt8) throws {
        emulated = try EmulatedHost(forGuestsOf: byteCount)
        machine = try VirtualMachine(host: emulated.host)
        self.byteCount = byteCount
        try machine.sevInit2()
        let file = try machine.createGuestMemory(byteCount: byteCount, folioOrder: folioOrder)
        let user = try UserMemory(host: emulated.host, byteCount: byteCount)
        try machine.setMemoryRegion(
            MemoryRegion(slot: 0, gpa: GPA(0), byteCount: byteCount, userMemory: user, guestMemory: file))
        try machine.allocate(file, offset: 0, byteCount: byteCount)
        // The first conversion makes the system give memory to the RMP and the tables; it is not what is measured.
        try convert(.private)
        try touch()
        try convert(.shared)
    }

    func convert(_ attribute: MemoryAttribute) throws {
        try machine.setMemoryAttributes(GPA(0), byteCount: byteCount, to: attribute)
    }

    /// Maps all of the memory in the nested tables, as a running guest would have it.
    func touch() throws { _ = try machine.populateMappings(GPA(0), byteCount: byteCount) }

    deinit { machine.destroy() }
}
