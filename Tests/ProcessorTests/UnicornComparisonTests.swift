// 16- and 32-bit code, segments, descriptors and exceptions, which the tests' own processor does not show: compared with
// unicorn, another implementation.

import Foundation
import Machine
import SNPArchitecture
import Testing

@testable import Processor

@Suite("16- and 32-bit code does what it does in unicorn")
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
        /// ES, CS, SS, DS, FS, GS.
        var selectors: [UInt64]
        var cr0: UInt64
        var data: [UInt8]
    }

    /// What an instruction comes to.
    enum Answer {
        case done(Outcome)
        /// The vector of the first exception, or of the interrupt that it asks for.
        case exception(UInt8)
    }

    /// A descriptor table at `table`: each kind of segment, good ones first.
    static let table: UInt64 = 0x1000
    static let descriptors: [UInt64] = [
        0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x0000_9b00_0000_ffff,
        // A limit of 8FFF, read-only data, code that cannot be read, conforming code, not present.
        0x0040_9300_0000_8fff, 0x00cf_9100_0000_ffff, 0x00cf_9900_0000_ffff, 0x00cf_9f00_0000_ffff,
        0x00cf_1300_0000_ffff,
        // A local table, a task, data of programs.
        0x0000_8200_2000_007f, 0x0000_8900_2100_0067, 0x00cf_f300_0000_ffff,
    ]
    /// Instructions that take a selector.
    static let selecting: Set<Mnemonic> = [
        .movseg, .les, .lds, .lss, .lfs, .lgs, .lar, .lsl, .verr, .verw, .arpl, .lldt, .ltr, .jmpf, .callf, .retf, .pop,
    ]

    /// Instructions that ask the host, leave the 64 KiB, or that unicorn does not have or does not end behind.
    static let excluded: Set<Mnemonic> = [
        .in, .out, .ins, .insb, .outs, .outsb, .hlt, .movdr, .rdmsr, .wrmsr, .rdtsc, .rdtscp, .rdpmc, .cpuid, .invd,
        .wbinvd, .syscall, .sysret, .sysenter, .sysexit, .swapgs, .monitor, .mwait, .monitorx, .mwaitx, .vmmcall,
        .vmgexit, .pvalidate, .rmpadjust, .rmpquery, .rmpupdate, .psmash, .invlpgb, .tlbsync, .xgetbv, .xsetbv, .clac,
        .stac, .rsm, .ud0, .ud1, .rdrand, .rdseed, .iret, .int1, .popf, .rdfsbase, .wrfsbase, .rdgsbase, .wrgsbase,
        .rdpid, .clzero, .enter, .nop, .sfence, .ldmxcsr, .fxsave, .fxrstor, .xsave, .xsavec, .xsaveopt, .xrstor,
    ]

    static func cases() -> [Case] {
        var result: [Case] = []
        for form in EncodedForm.all where form.map < 2 && form.form.mode != .only64 {
            // unicorn does not know the second encoding of TEST.
            if form.form.mnemonic == .test, form.form.matches(0xc8), !form.form.matches(0xc0) { continue }
            guard !excluded.contains(form.form.mnemonic), !(0xd8...0xdf ~= form.opcode && form.map == 0) else {
                continue
            }
            for mode in [CodeMode.bits32, .bits16] {
                for step in 0..<6 {
                    var random = TestRandom(UInt64(form.index * 64 + step * 2 + Int(mode.rawValue) + 5))
                    guard let made = make(form, mode, memory: step % 2 == 1, prefixed: step >= 3, &random) else {
                        continue
                    }
                    // unicorn cuts ESP to 16 bits here, and takes any value for CR0.
                    let i = made.instruction
                    if [.ret, .retf].contains(i.mnemonic), mode == .bits32, !i.operands.isEmpty { continue }
                    if i.mnemonic == .movcr, i.opcode == 0x22 { continue }
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
        var data = (0..<dataCount).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        if selecting.contains(i.mnemonic) {
            // Of each descriptor, and of one that there is not, at either privilege.
            var selectors: [UInt64] = []
            for number in 0...UInt64(descriptors.count) { selectors += [number << 3, number << 3 | 3] }
            for number in 0..<3 { registers[number] = selectors.randomElement(using: &random) ?? 0 }
            for at in stride(from: 0, to: dataCount, by: 2) {
                data[at] = UInt8(selectors.randomElement(using: &random) ?? 0)
                data[at + 1] = 0
            }
        }
        return Case(
            mode: mode, code: Array(bytes.prefix(i.length)), instruction: i, registers: registers,
            flags: random.next() & 0x8d5 | 2, data: data)
    }

    @Test(
        "each form with register and memory operands at both operand sizes",
        .enabled(if: UnicornComparisonTests.isThere, "needs unicorn for Python"))
    func forms() throws {
        let cases = Self.cases()
        let file = NSTemporaryDirectory() + "/unicorn-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let table = Self.descriptors.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        try (hex(table) + "\n" + cases.map(\.line).joined()).write(toFile: file, atomically: true, encoding: .utf8)
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Programs/unicorn-oracle.py").path
        let run = try #require(ToolRun("/usr/bin/env", ["python3", script, file]))
        let answers = String(decoding: run.output, as: UTF8.self).split(separator: "\n").map(String.init)
        try #require(answers.count == cases.count)
        let guest = try GuestFixture()
        var compared: Set<Int> = []
        var complaints: [String] = []
        var raised: [UInt8: Int] = [:]
        for (sample, answer) in zip(cases, answers) {
            let i = sample.instruction
            let name = "\(i.mnemonic) \(hex(sample.code)) at \(sample.mode)"
            let (ours, theirs): (Outcome, Outcome)
            switch (try Self.emulate(sample, guest), try #require(Self.parse(answer))) {
            case (.exception(let here), .exception(let there)):
                if here != there { complaints.append("\(name): exception \(there), here \(here)") }
                raised[here, default: 0] += 1
                continue
            // unicorn does not hold a branch against the limit of CS.
            case (.exception(13), .done(let there)) where sample.mode == .bits16 && there.ip > 0xffff: continue
            case (.exception(let vector), .done):
                complaints.append("\(name): exception \(vector) here only")
                continue
            case (.done, .exception(let vector)):
                complaints.append("\(name): exception \(vector) there only")
                continue
            case (.done(let a), .done(let b)): (ours, theirs) = (a, b)
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
            if ours.selectors != theirs.selectors { text = "selectors \(theirs.selectors), here \(ours.selectors)" }
            if ours.cr0 != theirs.cr0 { text = "CR0 \(theirs.cr0), here \(ours.cr0)" }
            if let at = ours.data.indices.first(where: { ours.data[$0] != theirs.data[$0] }) {
                text = "memory at \(at): \(theirs.data[at]), here \(ours.data[at])"
            }
            if let text { complaints.append("\(name): \(text)") }
        }
        print(
            "compared \(compared.count) forms in \(cases.count) runs with unicorn; exceptions \(raised.sorted { $0.key < $1.key })"
        )
        #expect(compared.count > 300)
        for vector in [0, 3, 5, 6, 11, 13] as [UInt8] { #expect(raised[vector, default: 0] > 0, "vector \(vector)") }
        let summary = "\(complaints.count) differences:\n" + complaints.prefix(200).joined(separator: "\n")
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

    private static func parse(_ line: String) -> Answer? {
        let parts = line.split(separator: " ")
        if parts.count == 2, let vector = UInt8(parts[1]) { return .exception(vector) }
        guard parts.count == 6, let flags = UInt64(parts[1], radix: 16), let ip = UInt64(parts[2], radix: 16),
            let cr0 = UInt64(parts[4], radix: 16)
        else { return nil }
        let digits = Array(parts[5].utf8)
        func nibble(_ c: UInt8) -> UInt8 { c < 58 ? c - 48 : c - 87 }
        func words(_ text: Substring) -> [UInt64] { text.split(separator: ",").compactMap { UInt64($0, radix: 16) } }
        return .done(
            Outcome(
                registers: words(parts[0]), flags: flags, ip: ip, selectors: words(parts[3]), cr0: cr0,
                data: stride(from: 0, to: digits.count - 1, by: 2).map {
                    nibble(digits[$0]) << 4 | nibble(digits[$0 + 1])
                }))
    }

    /// Real mode for 16 bits, flat protected mode for 32; both without paging.
    private static func emulate(_ sample: Case, _ guest: GuestFixture) throws -> Answer {
        var r = VMSA()
        let is32 = sample.mode == .bits32
        r.cs = SegmentRegister(selector: is32 ? 8 : 0, attributes: is32 ? 0xc9b : 0x9b, limit: is32 ? ~0 : 0xffff)
        for path in [\VMSA.ds, \VMSA.es, \VMSA.ss, \VMSA.fs, \VMSA.gs] {
            r[keyPath: path] = SegmentRegister(
                selector: is32 ? 16 : 0, attributes: is32 ? 0xc93 : 0x93, limit: is32 ? ~0 : 0xffff)
        }
        r.efer = 0x1000
        r.cr0 = is32 ? 0x31 : 0x30
        r.cr4 = 0x600
        r.gdtr = SegmentRegister(selector: 0, attributes: 0, limit: UInt32(descriptors.count * 8 - 1), base: table)
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
        try guest.put(table, quadwords: descriptors)
        try guest.put(code, sample.code + [UInt8](repeating: 0x90, count: 16))
        try guest.put(data, sample.data)
        guest.processor.forgetCode()
        let before = guest.processor.counts.exceptions
        // The trap flag's blocks have one instruction: a breakpoint that nothing reaches makes such blocks, too.
        guest.state.registers.dr7 = 0x401
        guest.state.registers.dr0 = 0xffff_fff0
        let exit = guest.resume(budget: 1)
        let raised = guest.processor.counts.exceptions.filter { $0.value != before[$0.key] }.keys.sorted()
        if let vector = raised.first {
            // There is no table of handlers, so that #GP and #DF follow.
            return .exception(raised.first { $0 != 8 && $0 != 13 } ?? (raised.contains(13) ? 13 : vector))
        }
        // A write of CR0 is done when it traps.
        #expect(exit.code == .interrupt || exit.code.rawValue == 0x90, "\(hex(sample.code)): \(exit)")
        r = guest.state.registers
        let selectors = [r.es, r.cs, r.ss, r.ds, r.fs, r.gs].map { UInt64($0.selector) }
        return .done(
            Outcome(
                registers: [r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi], flags: r.rflags, ip: r.rip,
                selectors: selectors, cr0: r.cr0, data: try guest.bytes(data, dataCount)))
    }
}

private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String(String(UInt16($0) | 0x100, radix: 16).dropFirst()) }.joined()
}
