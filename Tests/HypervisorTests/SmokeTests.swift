import Hypervisor
import Machine
import Rampart
import SNPArchitecture
import Testing

@Suite("Smoke")
struct SmokeTests {
    @Test("a conversion there and back") func conversion() throws {
        let emulated = try EmulatedHost(forGuestsOf: 64 << 20)
        let vm = try VirtualMachine(host: emulated.host)
        try vm.sevInit2()
        let file = try vm.createGuestMemory(byteCount: 16 << 20)
        let user = try UserMemory(host: emulated.host, byteCount: 16 << 20)
        try vm.setMemoryRegion(MemoryRegion(slot: 0, gpa: GPA(0), byteCount: 16 << 20, userMemory: user, guestMemory: file))
        try vm.allocate(file, offset: 0, byteCount: 16 << 20)
        let counts = try vm.setMemoryAttributes(GPA(0), byteCount: 16 << 20, to: .private)
        #expect(counts.madePrivate == 4096)
        #expect(counts.rmp.updates == 8)
        let back = try vm.setMemoryAttributes(GPA(0x1000), byteCount: 0x3000, to: .shared)
        #expect(back.rmp.psmashes == 1)
        #expect(back.madeShared == 3)
        vm.destroy()
    }
}
