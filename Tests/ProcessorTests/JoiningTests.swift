// Operations of one block that were joined or lost their flags, against the same instructions in blocks of their own, where
// neither happens.

import Machine
import Processor
import SNPArchitecture
import Testing

@Suite("Operations joined, and flags that nobody sees")
struct JoiningTests {
    /// SplitMix64.
    private struct Random {
        var state: UInt64
        mutating func next(_ bound: Int) -> Int {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
            return Int((z ^ z >> 31) % UInt64(bound))
        }
    }

    /// A page that the guest's tables map and the nested tables do not.
    private static let unbacked: UInt64 = GuestFixture.memoryByteCount
    private static let data: UInt64 = 0x30_0000

    /// An instruction on RAX to RDI without RSP, 32 or 64 bits wide; now and then one that reads memory at R8 or R9.
    private static func instruction(_ random: inout Random) -> [UInt8] {
        let names: [UInt8] = [0, 1, 2, 3, 5, 6, 7]
        let a = names[random.next(names.count)]
        let b = names[random.next(names.count)]
        let wide: [UInt8] = random.next(2) == 0 ? [] : [0x48]
        let registers = 0xc0 | b << 3 | a
        let immediate = [UInt8(random.next(256)), UInt8(random.next(256)), 0, UInt8(random.next(256))]
        switch random.next(16) {
        case 0...3: return wide + [0x89, registers]
        case 4...6: return wide + [UInt8(random.next(8) << 3 | 1), registers]
        case 7: return wide + [0x81, 0xc0 | UInt8(random.next(8)) << 3 | a] + immediate
        case 8...10:
            // Every count, 0 and 1 to 63, and more than there are bits.
            return wide + [0xc1, 0xc0 | [0, 1, 2, 3, 4, 5, 6, 7][random.next(8)] << 3 | a, UInt8(random.next(70))]
        case 11: return wide + [0xff, 0xc0 | UInt8(random.next(2)) << 3 | a]
        case 12: return wide + [0xf7, 0xc0 | [2, 3][random.next(2)] << 3 | a]
        case 13: return wide + [0x0f, 0xaf, 0xc0 | a << 3 | b]
        case 14: return [0x0f, 0x90 | UInt8(random.next(16)), 0xc0 | (a & 3)]
        default:
            // ADD to XOR and CMP from memory: R8 points to the data, and in one of many runs nowhere.
            return [wide.isEmpty ? 0x41 : 0x49, UInt8(random.next(8) << 3 | 3), a << 3]
        }
    }

    private static func run(_ guest: GuestFixture, _ code: [UInt8], _ seed: Int, isBacked: Bool) throws -> GuestExit {
        for (number, path) in [\VMSA.rax, \.rcx, \.rdx, \.rbx, \.rbp, \.rsi, \.rdi].enumerated() {
            var random = Random(state: UInt64(seed * 31 + number))
            guest.state.registers[keyPath: path] = UInt64(random.next(Int.max)) << 1 ^ UInt64(random.next(Int.max))
        }
        guest.state.registers.r8 = isBacked ? Self.data : Self.unbacked
        guest.state.registers.rflags = seed & 1 == 0 ? 2 : 0x8d7
        guest.state.registers.rsp = GuestFixture.stack
        return try guest.run(code)
    }

    @Test("a block gives the registers and flags that its instructions give one by one, wherever it ends")
    func sameOutcome() throws {
        let guest = try GuestFixture()
        try guest.put(GuestFixture.tables + 0x2000 + 8 * 8, quadwords: [Self.unbacked | GuestFixture.cBit | 0x87])
        try guest.put(Self.data, quadwords: [0x8123_4567_89ab_cdef])
        var random = Random(state: 6)
        var faults = 0
        for seed in 0..<1500 {
            let instructions = (0..<(2 + random.next(24))).map { _ in Self.instruction(&random) }
            let isBacked = random.next(4) != 0
            let together = try Self.run(guest, instructions.flatMap(\.self) + [0xf4], seed, isBacked: isBacked)
            let joined = guest.state.registers
            let apart = try Self.run(
                guest, instructions.flatMap { $0 + [0xeb, 0x00] } + [0xf4], seed, isBacked: isBacked)
            let single = guest.state.registers
            #expect(together.code == apart.code, "\(instructions)")
            if together.code == .nestedPageFault { faults += 1 }
            for path in [\VMSA.rax, \.rcx, \.rdx, \.rbx, \.rsp, \.rbp, \.rsi, \.rdi, \.rflags] {
                try #require(joined[keyPath: path] == single[keyPath: path], "seed \(seed): \(instructions)")
            }
        }
        // Both kinds of end have been seen.
        #expect(faults > 100 && faults < 1000)
    }

    @Test(
        "a move and the operation behind it count as two instructions, and the fault behind them is at its own address")
    func counts() throws {
        let guest = try GuestFixture()
        try guest.put(GuestFixture.tables + 0x2000 + 8 * 8, quadwords: [Self.unbacked | GuestFixture.cBit | 0x87])
        guest.state.registers.r8 = Self.unbacked
        // mov eax, ecx; ror eax, 7; mov edx, eax; add edx, edx; mov ebx, [r8]
        let exit = try guest.run([0x89, 0xc8, 0xc1, 0xc8, 7, 0x89, 0xc2, 0x01, 0xd2, 0x41, 0x8b, 0x18])
        #expect(exit.code == .nestedPageFault)
        #expect(guest.processor.counts.instructions == 4)
        #expect(guest.state.registers.rip == GuestFixture.code + 9)
    }

    @Test("an access across pages in front of joined operations goes on with the first of them")
    func behindCrossing() throws {
        let guest = try GuestFixture()
        try guest.put(0x30_0ffc, quadwords: [0x1111_2222_3333_4444])
        guest.state.registers.r8 = 0x30_0ffc
        guest.state.registers.rcx = 0x10
        // add rbx, [r8]; mov eax, ecx; rol eax, 4; add rbx, rax; hlt
        let exit = try guest.run([
            0x49, 0x03, 0x18, 0x89, 0xc8, 0xc1, 0xc0, 4, 0x48, 0x01, 0xc3, 0xf4,
        ])
        #expect(exit.code == .halt)
        #expect(guest.state.registers.rax == 0x100)
        #expect(guest.state.registers.rbx == 0x1111_2222_3333_4544)
    }
}
