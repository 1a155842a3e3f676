// 16- and 32-bit code, which the tests' own processor does not show: compared with unicorn, another implementation.

import Foundation
import Machine
import SNPArchitecture
import Testing

@testable import Processor

@Suite("16- and 32-bit instructions do what unicorn does")
struct UnicornComparisonTests {
    static let isThere = ToolRun("/usr/bin/env", ["python3", "-c", "import unicorn"])?.status == 0
    static let code: UInt64 = 0x4000
    static let data: UInt64 = 0x8000
    static let dataCount = 0x1000

    struct Case {
        var mode: CodeMode
        var code: [UInt8]
        var instruction: Instruction
        var registers: [UInt64]
        var flags: UInt64
        var data: [UInt8]
        var line: String {
            "\(mode == .bits16 ? 16 : 32) \(hex(code)) \(registers.map { String($0, radix: 16) }.joined(separator: ",")) "
                + "\(String(flags, radix: 16)) \(hex(data))\n"
        }
    }

    struct Outcome {
        var registers: [UInt64]
        var flags: UInt64
        var ip: UInt64
        var data: [UInt8]
    }

    /// Instructions that are the system's, leave the 64 KiB, or differ between processors.
    static let excluded: Set<Mnemonic> = [
        .in, .out, .ins, .insb, .outs, .outsb, .hlt, .cli, .sti, .movseg, .les, .lds, .lss, .lfs, .lgs, .lgdt, .lidt,
        .sgdt,
        .sidt, .lldt, .ltr, .sldt, .str, .smsw, .lmsw, .clts, .lar, .lsl, .verr, .verw, .arpl, .invlpg, .movcr, .movdr,
        .rdmsr, .wrmsr, .rdtsc, .rdtscp, .rdpmc, .cpuid, .invd, .wbinvd, .syscall, .sysret, .sysenter, .sysexit,
        .swapgs,
        .monitor, .mwait, .monitorx, .mwaitx, .vmmcall, .vmgexit, .pvalidate, .rmpadjust, .rmpquery, .rmpupdate,
        .psmash,
        .invlpgb, .tlbsync, .xgetbv, .xsetbv, .clac, .stac, .rsm, .ud0, .ud1, .ud2, .rdrand, .rdseed, .jmpf, .callf,
        .retf,
        .iret, .int, .int1, .int3, .into, .bound, .popf, .rdfsbase, .wrfsbase, .rdgsbase, .wrgsbase, .rdpid, .clzero,
        .enter, .nop, .xlat,
    ]

    static func cases() -> [Case] {
        var result: [Case] = []
        for form in EncodedForm.all where form.map < 2 && form.form.mode != .only64 {
            guard !excluded.contains(form.form.mnemonic), !(0xd8...0xdf ~= form.opcode && form.map == 0) else {
                continue
            }
            for mode in [CodeMode.bits32, .bits16] {
                for step in 0..<6 {
                    var random = TestRandom(UInt64(form.index * 64 + step * 2 + Int(mode.rawValue) + 5))
                    guard let made = make(form, mode, memory: step % 2 == 1, prefixed: step >= 3, &random) else {
                        continue
                    }
                    result.append(made)
                }
            }
        }
        return result
    }

    private static func make(
        _ form: EncodedForm, _ mode: CodeMode, memory: Bool, prefixed: Bool, _ random: inout TestRandom
    ) -> Case? {
        guard form.form.prefix == .any else { return nil }
        var bytes: [UInt8] = prefixed ? [0x66] : []
        if form.map == 1 { bytes.append(0x0f) }
        bytes.append(form.opcode)
        let first = UInt8.random(in: .min ... .max, using: &random)
        if form.form.needsModRM {
            // [EBX + disp8] or [BX + disp8].
            let address: UInt8 = mode == .bits16 ? 0x47 : 0x43
            let found = (0...255 as ClosedRange<UInt8>).lazy.map { first &+ $0 }.map {
                memory ? $0 & 0x38 | address : $0 | 0xc0
            }
            .first { form.form.matches($0) && ($0 >> 3 & 7 != 4 || memory) && ($0 & 7 != 4 || memory) }
            guard let found else { return nil }
            bytes.append(found)
            if memory { bytes.append(UInt8.random(in: 0...0x40, using: &random)) }
        } else if memory {
            return nil
        }
        bytes += (0..<8).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        guard case .instruction(let i) = Decoder.decode(Array(bytes.prefix(15)), mode: mode) else { return nil }
        var registers = (0..<8).map { _ in random.next() & 0xffff_ffff }
        registers[3] = data + 0x400
        registers[4] = data + 0x800
        (registers[5], registers[6], registers[7]) = (data + 0x900, data + 0xa00, data + 0xb00)
        if i.repeatPrefix != .none || i.mnemonic == .jcxz { registers[1] = UInt64.random(in: 0...3, using: &random) }
        if i.hasMemory, [.bt, .bts, .btr, .btc].contains(i.mnemonic) { registers[0...2] = [5, 900, 77] }
        if i.hasMemory, i.memory.base == nil { return nil }
        return Case(
            mode: mode, code: Array(bytes.prefix(i.length)), instruction: i, registers: registers,
            flags: random.next() & 0x8d5 | 2,
            data: (0..<dataCount).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }

    @Test(
        "each form with register and memory operands at both operand sizes",
        .enabled(if: UnicornComparisonTests.isThere, "needs unicorn for Python"))
    func forms() throws {
        let cases = Self.cases()
        let file = NSTemporaryDirectory() + "/unicorn-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: file) }
        try cases.map(\.line).joined().write(toFile: file, atomically: true, encoding: .utf8)
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Programs/unicorn-oracle.py").path
        let run = try #require(ToolRun("/usr/bin/env", ["python3", script, file]))
        let answers = String(decoding: run.output, as: UTF8.self).split(separator: "\n").map(String.init)
        try #require(answers.count == cases.count)
        let guest = try GuestFixture()
        var compared: Set<Int> = []
        var complaints: [String] = []
        for (sample, answer) in zip(cases, answers) {
            let i = sample.instruction
            let ours = try Self.emulate(sample, guest)
            guard let theirs = Self.parse(answer), let ours else {
                if (Self.parse(answer) == nil) != (ours == nil) {
                    complaints.append(
                        "\(i.mnemonic) \(hex(sample.code)) at \(sample.mode): refused \(ours == nil ? "here" : "there") only"
                    )
                }
                continue
            }
            compared.insert(i.form)
            var state = ComparedState()
            for number in 0..<8 { state.general[number] = sample.registers[number] }
            if NativeComparisonTests.resultIsUndefined(i, state) { continue }
            let mask = Self.definedFlags(i, state)
            var text: String?
            if ours.ip != theirs.ip { text = "IP \(theirs.ip), here \(ours.ip)" }
            if (ours.flags ^ theirs.flags) & mask != 0 {
                text = "flags \(String(theirs.flags & mask, radix: 16)), here \(String(ours.flags & mask, radix: 16))"
            }
            if let number = (0..<8).first(where: { ours.registers[$0] != theirs.registers[$0] }) {
                text =
                    "register \(number) \(String(theirs.registers[number], radix: 16)), here \(String(ours.registers[number], radix: 16))"
            }
            if ours.data != theirs.data { text = "memory" }
            if let text { complaints.append("\(i.mnemonic) \(hex(sample.code)) at \(sample.mode): \(text)") }
        }
        print("compared \(compared.count) forms in \(cases.count) runs with unicorn")
        #expect(compared.count > 200)
        let summary = "\(complaints.count) differences:\n" + complaints.prefix(40).joined(separator: "\n")
        let agrees = complaints.isEmpty
        #expect(agrees, Comment(rawValue: summary))
    }

    private static func definedFlags(_ i: Instruction, _ state: ComparedState) -> UInt64 {
        switch i.mnemonic {
        case .daa, .das: 0xd5
        case .aaa, .aas: 0x11
        case .aam, .aad: 0xc4
        default: NativeComparisonTests.definedFlags(i, state, state)
        }
    }

    private static func parse(_ line: String) -> Outcome? {
        let parts = line.split(separator: " ")
        guard parts.count == 4, let flags = UInt64(parts[1], radix: 16), let ip = UInt64(parts[2], radix: 16) else {
            return nil
        }
        let digits = Array(parts[3].utf8)
        func nibble(_ c: UInt8) -> UInt8 { c < 58 ? c - 48 : c - 87 }
        return Outcome(
            registers: parts[0].split(separator: ",").compactMap { UInt64($0, radix: 16) }, flags: flags, ip: ip,
            data: stride(from: 0, to: digits.count - 1, by: 2).map { nibble(digits[$0]) << 4 | nibble(digits[$0 + 1]) })
    }

    /// Real mode for 16 bits, flat protected mode for 32; both without paging.
    private static func emulate(_ sample: Case, _ guest: GuestFixture) throws -> Outcome? {
        var r = VMSA()
        let is32 = sample.mode == .bits32
        r.cs = SegmentRegister(selector: is32 ? 8 : 0, attributes: is32 ? 0xc9b : 0x9b, limit: is32 ? ~0 : 0xffff)
        for path in [\VMSA.ds, \VMSA.es, \VMSA.ss, \VMSA.fs, \VMSA.gs] {
            r[keyPath: path] = SegmentRegister(selector: 0, attributes: is32 ? 0xc93 : 0x93, limit: is32 ? ~0 : 0xffff)
        }
        r.efer = 0x1000
        r.cr0 = is32 ? 0x31 : 0x30
        r.cr4 = 0x600
        (r.rax, r.rcx, r.rdx, r.rbx) = (
            sample.registers[0], sample.registers[1], sample.registers[2], sample.registers[3]
        )
        (r.rsp, r.rbp, r.rsi, r.rdi) = (
            sample.registers[4], sample.registers[5], sample.registers[6], sample.registers[7]
        )
        r.rflags = sample.flags
        r.rip = code
        r.mxcsr = 0x1f80
        r.x87FCW = 0x37f
        r.sevFeatures = [.snpActive]
        guest.state = VirtualCPUState(registers: r)
        try guest.put(code, sample.code + [UInt8](repeating: 0x90, count: 16))
        try guest.put(data, sample.data)
        guest.processor.forgetCode()
        let before = guest.processor.counts.exceptions.values.reduce(0, +)
        // The trap flag's blocks have one instruction: a breakpoint that nothing reaches makes such blocks, too.
        guest.state.registers.dr7 = 0x401
        guest.state.registers.dr0 = 0xffff_fff0
        let exit = guest.resume(budget: 1)
        guard exit.code == .interrupt, guest.processor.counts.exceptions.values.reduce(0, +) == before else {
            return nil
        }
        r = guest.state.registers
        return Outcome(
            registers: [r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi], flags: r.rflags, ip: r.rip,
            data: try guest.bytes(data, dataCount))
    }
}

private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String(String(UInt16($0) | 0x100, radix: 16).dropFirst()) }.joined()
}
