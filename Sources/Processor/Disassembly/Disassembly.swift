// Machine code as text, in Intel's syntax: what a person reads in an explanation. It knows what the decoder knows.

internal import Machine
internal import SNPArchitecture

/// How wide code is.
public enum CodeSize: UInt8, CaseIterable, Sendable {
    /// Real mode, and segments of 16 bits.
    case bits16 = 16
    /// Segments of 32 bits.
    case bits32 = 32
    /// 64-bit mode.
    case bits64 = 64

    var mode: CodeMode {
        switch self {
        case .bits16: .bits16
        case .bits32: .bits32
        case .bits64: .bits64
        }
    }

    init(_ mode: CodeMode) {
        switch mode {
        case .bits16: self = .bits16
        case .bits32: self = .bits32
        case .bits64: self = .bits64
        }
    }
}

/// One instruction as text.
public struct DisassembledInstruction: Hashable, Sendable {
    /// Where it begins.
    public var address: UInt64
    /// Its bytes.
    public var bytes: [UInt8]
    /// Mnemonic and operands, or why there are none.
    public var text: String
    /// Whether the decoder knows the instruction.
    public var isKnown: Bool
    /// Nothing is executed behind it without a jump there: it is a branch, a return, or the like.
    public var endsBlock: Bool
}

/// Disassembles the instruction that the bytes begin with. Nil if they end inside it.
///
/// - Deviates: what the decoder does not know is one unknown byte; prefixes without effect are not shown
public func disassemble(_ bytes: [UInt8], at address: UInt64, _ size: CodeSize) -> DisassembledInstruction? {
    switch Decoder.decode(Array(bytes.prefix(15)), mode: size.mode) {
    case .instruction(let instruction):
        let used = Array(bytes.prefix(instruction.length))
        return DisassembledInstruction(
            address: address, bytes: used, text: IntelText(instruction, used, at: address).text, isKnown: true,
            endsBlock: instruction.endsBlock)
    case .incomplete: return nil
    case .undefined, .tooLong:
        guard !bytes.isEmpty else { return nil }
        return DisassembledInstruction(
            address: address, bytes: Array(bytes.prefix(8)), text: "(undefined)", isKnown: false, endsBlock: true)
    }
}

/// Disassembles instructions one after the other, until the bytes end, or behind the first unknown one.
public func disassembleAll(_ bytes: [UInt8], at address: UInt64, _ size: CodeSize) -> [DisassembledInstruction] {
    var result: [DisassembledInstruction] = []
    var offset = 0
    while offset < bytes.count {
        let rest = Array(bytes[offset..<min(bytes.count, offset + 15)])
        guard let next = disassemble(rest, at: address &+ UInt64(offset), size) else { break }
        result.append(next)
        guard next.isKnown else { break }
        offset += next.bytes.count
    }
    return result
}

extension X86Processor {
    /// The instruction that runs outside the core, as bytes and text: for the list of those that raised #UD.
    func nameWithBytes(_ i: Instruction) -> String {
        var r = state.registers
        r.rip = instructionStart
        let bytes = (try? readLinear(r.linearRIP, i.length)) ?? []
        let digits = Array("0123456789abcdef")
        let words = bytes.map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined(separator: " ")
        return words + " (" + IntelText(i, bytes, at: r.rip).text + ")"
    }
}
