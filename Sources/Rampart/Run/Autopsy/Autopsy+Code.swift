// The last instructions of a guest, and the one it stands at.

internal import Machine
internal import Processor
internal import SNPArchitecture

extension AutopsyParts {
    /// How many instructions are shown.
    private static let shown = 12

    /// The last instructions that a processor completed, and where it stands.
    func code(of processor: TracingProcessor) -> [String] {
        var lines = ["  last instructions, the newest last"]
        let completed = completed(by: processor)
        if completed.isEmpty {
            lines.append(
                retrace == nil
                    ? "    (unknown: the run is too long to be made again, or depends on input)" : "    (none)")
        }
        var previous: DisassembledInstruction?
        for instruction in completed.suffix(Self.shown) {
            // A jump is seen by what follows it.
            if let before = previous, before.address &+ UInt64(before.bytes.count) != instruction.address {
                lines.append("      -> \(hexadecimal(instruction.address))")
            }
            lines.append("    " + Self.line(instruction))
            previous = instruction
        }
        if let here = instruction(at: processor.last.rip, of: processor) {
            lines.append("  > " + Self.line(here))
        } else {
            lines.append("  > \(hexadecimal(processor.last.rip)): (no memory of the guest's is there)")
        }
        return lines
    }

    private static func line(_ instruction: DisassembledInstruction) -> String {
        let bytes = instruction.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
        return hexadecimal(instruction.address) + ": " + bytes
            + String(repeating: " ", count: max(1, 25 - bytes.utf8.count)) + instruction.text
    }

    /// What the repetition of the run has seen, as instructions.
    private func completed(by processor: TracingProcessor) -> [DisassembledInstruction] {
        guard let steps = retrace?.steps[processor.vcpu] else { return [] }
        var result: [DisassembledInstruction] = []
        for (index, step) in steps.enumerated() {
            let end =
                index + 1 < steps.count ? steps[index + 1].instructions : processor.processor.counts.instructions
            var rip = step.rip
            for _ in step.instructions..<max(step.instructions, min(end, step.instructions + 64)) {
                guard let next = instruction(at: rip, of: processor) else { break }
                result.append(next)
                rip &+= UInt64(next.bytes.count)
            }
        }
        return result
    }

    /// The instruction at an address, as the guest's memory is now.
    func instruction(at rip: UInt64, of processor: TracingProcessor) -> DisassembledInstruction? {
        var r = processor.last
        r.rip = rip
        let bytes = fetch(r, of: processor)
        return bytes.isEmpty ? nil : disassemble(bytes, at: rip, r.codeSize)
    }

    /// Up to 15 bytes at RIP.
    func fetch(_ r: VMSA, of processor: TracingProcessor) -> [UInt8] {
        guard let memory = processor.memory else { return [] }
        var bytes: [UInt8] = []
        while bytes.count < 15 {
            let linear = r.linearRIP &+ UInt64(bytes.count)
            let walk = GuestWalkRecord(r, linear, .execute) { read($0, $1, memory) }
            let count = min(15 - bytes.count, 4096 - Int(linear & 0xfff))
            guard let gpa = walk.gpa, let piece = memory.peek(gpa, count: count, .private) else { break }
            bytes += piece
        }
        return bytes
    }

    /// An entry of the guest's page tables.
    func read(_ gpa: GPA, _ byteCount: Int, _ memory: GuestAccess) -> UInt64? {
        memory.peek(gpa, count: byteCount, .private).map { bytes in
            bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }
}
