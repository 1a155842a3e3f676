// Upper levels of the guest's page tables, which are kept like translations: when they must be forgotten.

import Machine
import Processor
import SNPArchitecture
import Testing

@Suite("Upper levels of page tables")
struct TableCacheTests {
    /// Mapped by pages of 4 KiB: the first two to `data`, or to `otherData` by the other table.
    private static let linear: UInt64 = 20 << 21
    private static let data: UInt64 = 0x30_0000
    private static let otherData: UInt64 = 0x32_0000
    /// The page directory, alone in its 2 MiB, and the two tables.
    private static let directory: UInt64 = 0x80_0000
    private static let table: UInt64 = 0xe0_0000
    private static let otherTable: UInt64 = 0xe0_1000

    private func makeGuest() throws -> GuestFixture {
        let guest = try GuestFixture()
        func leaf(_ address: UInt64) -> UInt64 { address | GuestFixture.cBit | 7 }
        try guest.put(GuestFixture.tables + 0x1000, quadwords: [leaf(Self.directory)])
        try guest.put(Self.directory, quadwords: (0..<8).map { leaf($0 << 21) | 0x80 })
        try guest.put(Self.directory + 20 * 8, quadwords: [leaf(Self.table)])
        try guest.put(Self.table, quadwords: [leaf(Self.data), leaf(Self.data + 0x1000)])
        try guest.put(Self.otherTable, quadwords: [leaf(Self.otherData), leaf(Self.otherData + 0x1000)])
        try guest.put(Self.data, quadwords: [1])
        try guest.put(Self.data + 0x1000, quadwords: [2])
        try guest.put(Self.otherData + 0x1000, quadwords: [3])
        return guest
    }

    @Test(
        "INVLPG of one page, and a load of CR3, forget the table of its neighbour",
        arguments: [
            // invlpg [rsi]
            [0x0f, 0x01, 0x3e] as [UInt8],
            // mov rax, cr3; mov cr3, rax
            [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8],
        ])
    func forgotten(flush: [UInt8]) throws {
        let guest = try makeGuest()
        guest.state.registers.rsi = Self.linear
        guest.state.registers.rdi = Self.directory + 20 * 8
        guest.state.registers.rbx = Self.otherTable | GuestFixture.cBit | 7
        // mov rcx, [rsi]; mov [rdi], rbx; flush; mov rdx, [rsi + 1000h]; hlt
        let exit = try guest.run(
            [0x48, 0x8b, 0x0e, 0x48, 0x89, 0x1f] + flush + [0x48, 0x8b, 0x96, 0x00, 0x10, 0x00, 0x00, 0xf4])
        #expect(exit.code == .halt)
        #expect(guest.state.registers.rcx == 1)
        #expect(guest.state.registers.rdx == 3)
    }

    @Test("a directory that the host takes from the guest is missed at the next entry, though its tables are not")
    func takenAway() throws {
        let guest = try makeGuest()
        guest.state.registers.rsi = Self.linear
        // mov rax, [rsi]; hlt
        #expect(try guest.run([0x48, 0x8b, 0x06, 0xf4]).code == .halt)
        #expect(guest.state.registers.rax == 1)
        let pfn = GuestFixture.firstFrame + (Self.directory >> 12)
        try guest.machine.rmp.rmpUpdate(pfn.address, to: .shared(.size2M))
        guest.state.registers.rip = GuestFixture.code
        guest.state.registers.rsi = Self.linear + 0x1000
        let exit = guest.resume()
        #expect(exit.code == .nestedPageFault)
        #expect(exit.info2 & ~0xfff == Self.directory)
    }

    @Test("an entry that was not present is found once it is, without a flush")
    func becomesPresent() throws {
        let guest = try makeGuest()
        try guest.put(Self.directory + 20 * 8, quadwords: [0])
        guest.state.registers.rsi = Self.linear
        // mov rax, [rsi]; hlt: without an interrupt table, #PF is the end of the guest.
        #expect(try guest.run([0x48, 0x8b, 0x06, 0xf4]).code == .shutdown)
        try guest.put(Self.directory + 20 * 8, quadwords: [Self.table | GuestFixture.cBit | 7])
        guest.state.registers.rip = GuestFixture.code
        #expect(guest.resume().code == .halt)
        #expect(guest.state.registers.rax == 1)
    }
}
