// What LLVM's disassembled text and ours may differ in.

/// What may differ between two ways to write the same instruction: space, the base of numbers, and a few old spellings.
enum IntelSpelling {
    static func isSame(_ ours: String, _ theirs: String) -> Bool {
        let (a, b) = (tokens(ours), tokens(theirs))
        guard a.count == b.count else { return false }
        return zip(a, b).allSatisfy { same($0, $1) }
    }

    /// Numbers are the same if they are in one of the widths that an operand may have.
    private static func same(_ a: String, _ b: String) -> Bool {
        if a == b { return true }
        guard let x = number(a), let y = number(b) else { return false }
        return x == y
            || [8, 16, 32].contains { width in
                let mask: UInt64 = 1 << width - 1
                // Only if one of the two is the other's sign-extended or cut form.
                return x & mask == y & mask && [x, y].contains { $0 <= mask }
                    && [x, y].contains { $0 > mask || $0 >> (width - 1) == 1 }
            }
    }

    private static func number(_ text: String) -> UInt64? {
        let isNegative = text.hasPrefix("-")
        let digits = isNegative ? text.dropFirst() : text[...]
        let value = digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
        return value.map { isNegative ? 0 &- $0 : $0 }
    }

    private static func tokens(_ text: String) -> [String] {
        var result: [String] = []
        var current = ""
        func flush() {
            if !current.isEmpty { result.append(current) }
            current = ""
        }
        for character in text.lowercased() {
            switch character {
            case " ", "\t": flush()
            case "-":
                flush()
                // A sign, unless it stands between two terms of an address.
                let isTerm = result.last.map { $0 != "," && $0 != "[" && $0 != "]" && number($0) == nil } ?? false
                if isTerm, result.contains("["), !result.contains("]") { result.append("-") } else { current = "-" }
            case ",", "[", "]", "+", "*", ":":
                flush()
                result.append(String(character))
            default: current.append(character)
            }
        }
        flush()
        return spelled(result)
    }

    private static func spelled(_ tokens: [String]) -> [String] {
        let names = [
            "movabs": "mov", "repe": "rep", "int": "int", "sal": "shl", "fwait": "wait", "iretd": "iret",
            "iret": "iret",
            // The top of the x87 stack has two names; LLVM has its own for these two comparisons.
            "st(0)": "st", "fcompi": "fcomip", "fucompi": "fucomip",
            // LLVM 14 does not know the prefix that makes the one the other.
            "vmgexit": "vmmcall",
            "lcall": "call", "ljmp": "jmp",
        ]
        var result = tokens.map { names[$0] ?? $0 }
        // LLVM does not say how wide a far pointer in memory is.
        if let name = result.first, ["call", "jmp", "lss", "lfs", "lgs"].contains(name) {
            if let at = result.firstIndex(where: { ["dword", "fword", "tbyte"].contains($0) }) {
                result.removeSubrange(at...at + 1)
            }
        }
        let shifts = ["shl", "shr", "sar", "rol", "ror", "rcl", "rcr"]
        if let name = result.first, shifts.contains(name), result.suffix(2) == [",", "1"] { result.removeLast(2) }
        // XCHG and TEST have no order.
        if let name = result.first(where: { $0 != "lock" }), ["xchg", "test"].contains(name),
            let comma = result.firstIndex(of: ","), let start = result.firstIndex(of: name)
        {
            let (left, right) = (Array(result[(start + 1)..<comma]), Array(result[(comma + 1)...]))
            let sorted = [left, right].sorted { $0.joined() < $1.joined() }
            result = Array(result[...start]) + sorted[0] + [","] + sorted[1]
        }
        return result
    }
}
