// Why a guest died: what ended it in words, its last instructions, its registers, the way of the faulting address through guest
// tables, nested tables and the RMP, and who changed that page last.

internal import Hypervisor
internal import Machine
internal import Processor
internal import SNPArchitecture

/// The explanation of a guest's death.
struct Autopsy {
    let run: GuestRun
    let ending: GuestEnding
    /// The processor that the death is about.
    let subject: TracingProcessor
    /// The repetition of the run, if one was made.
    let retrace: Retrace?
    let lines: [String]

    /// Examines a run that has ended.
    init(_ run: GuestRun, _ ending: GuestEnding) {
        self.run = run
        self.ending = ending
        let ran = run.processors.filter { $0.memory != nil }
        let blamed: UInt32? =
            switch ending {
            case .refused(_, let vcpu), .stuck(_, let vcpu): vcpu
            case .exited, .terminated, .shutdown, .halted, .timeLimit, .quit: run.recorder.actor.vcpu
            }
        subject = ran.first { $0.vcpu == blamed } ?? ran.first ?? run.processors[0]
        retrace = Self.repeatRun(run)
        var parts = AutopsyParts(run, ending, subject, retrace)
        parts.explain()
        lines = parts.lines
    }

    /// The explanation, line by line.
    var text: String { lines.joined(separator: "\n") }

    /// Makes the run once more, and looks at its last instructions. Nil for a run that is too long, or does not repeat.
    private static func repeatRun(_ run: GuestRun) -> Retrace? {
        let totals = Dictionary(
            uniqueKeysWithValues: run.processors.map { ($0.vcpu, $0.processor.counts.instructions) })
        guard totals.values.reduce(0, { $0 &+ $1 }) <= Retrace.instructionLimit else { return nil }
        let retrace = Retrace(totals: totals)
        var request = run.request
        request.isTraced = false
        request.timeLimit = 60
        guard let again = try? GuestRun.prepare(request, retrace: retrace, OutputConsole { _ in }) else { return nil }
        _ = again.run()
        let isSame = zip(run.processors, again.processors).allSatisfy {
            $0.processor.counts.instructions == $1.processor.counts.instructions && $0.last.rip == $1.last.rip
        }
        return isSame ? retrace : nil
    }
}

/// The parts of an explanation, collected.
struct AutopsyParts {
    let run: GuestRun
    let ending: GuestEnding
    let subject: TracingProcessor
    let retrace: Retrace?
    var lines: [String] = []

    init(_ run: GuestRun, _ ending: GuestEnding, _ subject: TracingProcessor, _ retrace: Retrace?) {
        self.run = run
        self.ending = ending
        self.subject = subject
        self.retrace = retrace
    }

    mutating func explain() {
        lines.append("")
        lines.append("why")
        for line in reasons { lines.append("  " + line) }
        for processor in run.processors where processor.memory != nil {
            lines.append("")
            lines.append(
                "vcpu \(processor.vcpu): last exit \(processor.lastExit.code), CPL \(processor.last.cpl), "
                    + "\(processor.processor.counts.instructions) instructions")
            if processor === subject { lines += code(of: processor) }
            lines += exceptions(of: processor)
            lines += registers(of: processor.last)
        }
        for part in addresses { lines += [""] + part }
    }

    private func registers(of r: VMSA) -> [String] {
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        let rows: [[(String, UInt64)]] = [
            [("rip", r.rip), ("rflags", r.rflags), ("cr2", r.cr2), ("cr3", r.cr3)],
            [("rax", r.rax), ("rbx", r.rbx), ("rcx", r.rcx), ("rdx", r.rdx)],
            [("rsi", r.rsi), ("rdi", r.rdi), ("rbp", r.rbp), ("rsp", r.rsp)],
            [("r8", r.r8), ("r9", r.r9), ("r10", r.r10), ("r11", r.r11)],
            [("r12", r.r12), ("r13", r.r13), ("r14", r.r14), ("r15", r.r15)],
            [("cr0", r.cr0), ("cr4", r.cr4), ("efer", r.efer), ("idt", r.idtr.base)],
        ]
        return rows.map { row in
            "  "
                + row.map { String(repeating: " ", count: 6 - $0.0.count) + "\($0.0) \(hex($0.1))" }.joined(
                    separator: " ")
        }
    }

    private func exceptions(of processor: TracingProcessor) -> [String] {
        let all = processor.processor.trail.exceptions
        guard !all.isEmpty else { return [] }
        return ["  last exceptions"]
            + all.suffix(4).map { exception in
                "    after \(exception.instructions) instructions at \(hexadecimal(exception.rip)): \(exception.words)"
                    + (exception.during.map { ", while \(DeliveredException.name($0)) was delivered" } ?? "")
            }
    }
}

extension DeliveredException {
    /// The exception in words.
    var words: String {
        var text = isExternal ? "interrupt \(vector)" : Self.name(vector)
        if vector == 29, let errorCode {
            text += " \(ExitCode(UInt64(errorCode)))"
        } else if let errorCode {
            text += " with error code \(hexadecimal(UInt64(errorCode)))"
        }
        if let address { text += " for address \(hexadecimal(address))" }
        return text
    }

    /// A vector's name.
    static func name(_ vector: UInt8) -> String {
        let names: [UInt8: String] = [
            0: "#DE", 1: "#DB", 2: "NMI", 3: "#BP", 4: "#OF", 5: "#BR", 6: "#UD", 7: "#NM", 8: "#DF", 10: "#TS",
            11: "#NP",
            12: "#SS", 13: "#GP", 14: "#PF", 16: "#MF", 17: "#AC", 18: "#MC", 19: "#XF", 21: "#CP", 28: "#HV",
            29: "#VC",
            30: "#SX",
        ]
        return names[vector] ?? "vector \(vector)"
    }
}
