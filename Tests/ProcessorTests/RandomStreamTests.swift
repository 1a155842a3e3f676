// Random streams of instructions, run in blocks (threaded, or by the loop, as the build has it) and one instruction at a
// time, and compared at each stop in full.

import Foundation
import Machine
import SNPArchitecture
import Testing

@testable import Processor

@Suite("Blocks do what their instructions do one at a time", .serialized)
struct RandomStreamTests {
    /// RAMPART_TEST_SCALE multiplies it.
    private static let count = 60 * (ProcessInfo.processInfo.environment["RAMPART_TEST_SCALE"].flatMap(Int.init) ?? 1)

    private static func exceptions(_ guest: GuestFixture) -> UInt64 {
        guest.processor.counts.exceptions.values.reduce(0, +)
    }

    /// Instructions with conditional branches over some of them, ending in HLT.
    private static func stream(_ forms: [EncodedForm], _ random: inout TestRandom) -> [UInt8] {
        var pieces: [[UInt8]] = []
        while pieces.count < 40 {
            guard let form = forms.randomElement(using: &random) else { break }
            let width = [Width.double, .quad, .word].randomElement(using: &random) ?? .double
            guard let code = form.encode(memory: Bool.random(using: &random), width: width, &random) else { continue }
            if UInt8.random(in: 0...3, using: &random) == 0 {
                // Jcc over this instruction; often fused with a comparison before it.
                if Bool.random(using: &random) { pieces.append([0x48, 0x39, 0xc8]) }
                pieces.append([0x70 | UInt8.random(in: 0...15, using: &random), UInt8(code.count)])
            }
            pieces.append(code)
        }
        return pieces.flatMap { $0 } + [0xf4]
    }

    private static func start(_ guest: GuestFixture, _ state: ComparedState, single: Bool) {
        var r = guest.state.registers
        (r.rax, r.rcx, r.rdx, r.rbx) = (state.general[0], state.general[1], state.general[2], state.general[3])
        (r.rbp, r.rsi, r.rdi) = (state.general[5], state.general[6], state.general[7])
        (r.r8, r.r9, r.r10, r.r11) = (state.general[8], state.general[9], state.general[10], state.general[11])
        (r.r12, r.r13, r.r14, r.r15) = (state.general[12], state.general[13], state.general[14], state.general[15])
        r.rsp = GuestFixture.stack
        r.rip = GuestFixture.code
        r.rflags = state.flags
        r.cr4 |= 1 << 9 | 1 << 18
        r.xcr0 = 3
        for number in 0..<16 {
            r.xmmRegisters[number * 2] = state.vectors[number][0]
            r.xmmRegisters[number * 2 + 1] = state.vectors[number][1]
        }
        state.x87.load(&r)
        // A breakpoint that nothing reaches makes each instruction a block.
        r.dr7 = single ? 0x401 : 0x400
        r.dr0 = 0x7fff_0000_0000
        guest.state = VirtualCPUState(registers: r)
    }

    @Test("random streams, stopped after random numbers of instructions")
    func streams() throws {
        let forms = EncodedForm.all.filter { $0.isComparable && ![.div, .idiv].contains($0.form.mnemonic) }
        var stops = 0
        var instructions: UInt64 = 0
        for seed in 0..<Self.count {
            var random = TestRandom(UInt64(seed) + 4242)
            let code = Self.stream(forms, &random)
            guard case .instruction(let any) = Decoder.decode([0xd9, 0xe8], mode: .bits64) else { return }
            var state = NativeComparisonTests.randomState(&random, any)
            (state.general[6], state.general[7]) = (
                NativeComparison.dataAddress + 0x700, NativeComparison.dataAddress + 0x780
            )
            state.general[1] = UInt64.random(in: 0...5, using: &random)
            let (blocks, single) = (try GuestFixture(), try GuestFixture())
            for (guest, isSingle) in [(blocks, false), (single, true)] {
                try guest.prepareSystem()
                try guest.put(GuestFixture.code, code)
                try guest.put(NativeComparison.dataAddress, state.data)
                Self.start(guest, state, single: isSingle)
            }
            for _ in 0..<100 {
                let first = blocks.resume(budget: UInt64.random(in: 1...12, using: &random))
                let target = blocks.processor.counts.instructions
                // An exception is no instruction, but takes a turn.
                var turns = 0
                while turns < 2000,
                    single.processor.counts.instructions < target || Self.exceptions(single) < Self.exceptions(blocks)
                {
                    turns += 1
                    if single.resume(budget: 1).code != .interrupt { break }
                }
                stops += 1
                let difference = try Self.difference(blocks, single)
                #expect(difference == nil, "seed \(seed), after \(target) instructions: \(difference ?? "")")
                if difference != nil || first.code == .halt { break }
            }
            instructions += blocks.processor.counts.instructions
        }
        print("compared \(stops) stops in \(instructions) instructions")
        #expect(stops > Self.count)
    }

    private static func difference(_ a: GuestFixture, _ b: GuestFixture) throws -> String? {
        let (x, y) = (a.state.registers, b.state.registers)
        if a.processor.counts.instructions != b.processor.counts.instructions {
            return "\(a.processor.counts.instructions) and \(b.processor.counts.instructions) instructions"
        }
        if x.rip != y.rip { return "RIP \(String(x.rip, radix: 16)) and \(String(y.rip, radix: 16))" }
        if x.rflags != y.rflags { return "flags \(String(x.rflags, radix: 16)) and \(String(y.rflags, radix: 16))" }
        let (p, q) = (words(x), words(y))
        if let at = p.indices.first(where: { p[$0] != q[$0] }) { return "word \(at) of the registers" }
        let (m, n) = (
            try a.bytes(NativeComparison.dataAddress, NativeComparison.dataCount),
            try b.bytes(NativeComparison.dataAddress, NativeComparison.dataCount)
        )
        return m == n ? nil : "memory"
    }

    /// General registers, x87's words and registers, vectors.
    private static func words(_ r: VMSA) -> [UInt64] {
        var result = [
            r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14,
            r.r15,
            UInt64(r.mxcsr), UInt64(r.x87FCW), UInt64(r.x87FSW), UInt64(r.x87FTW), UInt64(r.x87FOP), r.x87RIP, r.x87DP,
        ]
        for number in 0..<10 { result.append(r.x87Registers[number]) }
        for number in 0..<32 { result.append(r.xmmRegisters[number]) }
        return result
    }
}
