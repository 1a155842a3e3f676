// Random streams of instructions, run in blocks (threaded, or by the loop, as the build has it) and one instruction at a
// time, and compared at each stop in full; and the two kinds of build compared with each other.

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
            let state = try Self.state(&random)
            let blocks = try Self.guest(code, state, single: false)
            let single = try Self.guest(code, state, single: true)
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

    /// What any mnemonic, and whoever adds forms to the decoder, leaves as it is: integer instructions with operations of their own.
    private static let lasting: Set<Mnemonic> = [
        .add, .adc, .and, .bsf, .bsr, .bt, .btc, .btr, .bts, .cmp, .dec, .imul, .inc, .lea, .mov, .movsx, .movzx, .mul,
        .neg,
        .not, .or, .rcl, .rcr, .rol, .ror, .sar, .sbb, .shl, .shld, .shr, .shrd, .sub, .test, .xadd, .xchg, .xor,
    ]

    /// For each seed, what its stream leaves. A build with optimisation makes it by handlers that jump to each other, one without
    /// by the loop: both are held to the same numbers, so that the two cores are compared.
    private static let signatures: [UInt64] = [
        0xa307_9585_2f01_828d, 0x6a4e_b38f_9554_b2f2, 0x9a7d_336b_f97f_0ea1, 0xba5b_3c3e_c157_3c0f,
        0xad39_6b3a_22ce_eb6b, 0xfa5d_152e_254d_0c0c, 0xd488_c8f8_f4c7_b8a2, 0x8dd7_bc08_8372_7162,
        0x6349_c2b9_f96d_051e, 0x2092_815e_7fe4_b46e, 0x3cc6_4031_f0af_414c, 0x6152_801a_a18c_30f7,
        0xece0_7533_1e0b_7832, 0xdfcd_9b51_5c14_67ef, 0x8fb8_f213_622f_d3e4, 0x3e7c_3d48_37e0_1da6,
        0xf14f_6ecd_9b0f_935a, 0xd3f9_7c7f_cec7_16d4, 0x276d_622b_eb35_8340, 0xabe4_53a1_1809_81fe,
        0x6627_9864_c739_af8d, 0xa868_83b2_4c75_0156, 0x2306_08f5_7aad_e19a, 0x9f9d_146c_4ecf_2bb8,
        0xd43c_07f0_d103_aebd, 0x1af1_0e02_f7f8_47fa, 0x715d_10cb_d9d8_ba12, 0xc60e_7325_6444_add5,
        0xc6bf_79a7_f8c9_253f, 0x29e_a232_1832_77c3, 0xed6a_1942_04e5_9354, 0x9fd4_0968_1765_bfa1,
    ]

    @Test("handlers that jump to each other and the loop leave the same after each stop")
    func signatures() throws {
        let forms = EncodedForm.all.filter { $0.isComparable && Self.lasting.contains($0.form.mnemonic) }
        #expect(forms.count > 100)
        let found = try (0..<32).map { seed in
            var random = TestRandom(UInt64(seed) + 777)
            let code = Self.stream(forms, &random)
            let guest = try Self.guest(code, Self.state(&random), single: false)
            var signature = Signature()
            for _ in 0..<200 {
                let exit = guest.resume(budget: UInt64.random(in: 1...12, using: &random))
                signature.add(
                    Self.words(guest.state.registers) + [guest.state.registers.rip, guest.state.registers.rflags])
                signature.add([guest.processor.counts.instructions, Self.exceptions(guest)])
                if exit.code == .halt { break }
            }
            signature.add(try guest.bytes(NativeComparison.dataAddress, NativeComparison.dataCount).map(UInt64.init))
            return signature.value
        }
        let text = found.map { "0x" + String($0, radix: 16) }.joined(separator: ", ")
        #expect(found == Self.signatures, "this build gives \(text)")
    }

    /// FNV-1a over words.
    private struct Signature {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325
        mutating func add(_ words: [UInt64]) {
            for word in words { value = (value ^ word) &* 0x100_0000_01b3 }
        }
    }

    /// Random registers and memory, with RSI and RDI in the data and RCX small.
    private static func state(_ random: inout TestRandom) throws -> ComparedState {
        guard case .instruction(let any) = Decoder.decode([0xd9, 0xe8], mode: .bits64) else { throw NoStart() }
        var state = NativeComparisonTests.randomState(&random, any)
        (state.general[6], state.general[7]) = (
            NativeComparison.dataAddress + 0x700, NativeComparison.dataAddress + 0x780
        )
        state.general[1] = UInt64.random(in: 0...5, using: &random)
        return state
    }

    private struct NoStart: Error {}

    private static func guest(_ code: [UInt8], _ state: ComparedState, single: Bool) throws -> GuestFixture {
        let guest = try GuestFixture()
        try guest.prepareSystem()
        try guest.put(GuestFixture.code, code)
        try guest.put(NativeComparison.dataAddress, state.data)
        start(guest, state, single: single)
        return guest
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
