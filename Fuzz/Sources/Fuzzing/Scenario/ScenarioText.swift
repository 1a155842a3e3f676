// Scenarios as text: one step a line, `operation field=value field=value`; `#` begins a comment.

/// What is wrong with a scenario's text.
public struct ScenarioProblem: Error, CustomStringConvertible {
    /// The line, counted from 1, and what is wrong with it.
    public let description: String
}

extension Grammar {
    /// The text of a scenario.
    public func text(_ bytes: UnsafeRawBufferPointer) -> String {
        var lines = ""
        forEachStep(bytes) { operation, arguments in
            lines += line(operation, arguments) + "\n"
            return true
        }
        return lines
    }

    /// The text of one step. Fields that are 0 are left out.
    public func line(_ operation: Operation<World>, _ arguments: Arguments) -> String {
        var line = operation.name
        for (position, field) in operation.fields.enumerated() {
            let value = arguments[position]
            if !field.words.isEmpty {
                line += " \(field.name)=\(field.words[Int(value)])"
            } else if value != 0 {
                line += " \(field.name)=\(value < 4096 ? String(value) : "0x" + String(value, radix: 16))"
            }
        }
        return line
    }

    /// The bytes of a scenario.
    ///
    /// - Throws: what is wrong with the first bad line
    public func bytes(_ text: String) throws(ScenarioProblem) -> [UInt8] {
        var bytes: [UInt8] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let code = line.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).first ?? ""
            let words = code.split { $0 == " " || $0 == "\t" }
            guard let name = words.first else { continue }
            guard let index = operations.firstIndex(where: { $0.name == name }) else {
                throw ScenarioProblem(description: "line \(number + 1): there is no operation \(name)")
            }
            bytes.append(UInt8(index))
            bytes += try fields(of: operations[index], words.dropFirst(), line: number + 1)
        }
        return bytes
    }

    private func fields(
        of operation: Operation<World>, _ words: ArraySlice<Substring>, line: Int
    ) throws(ScenarioProblem) -> [UInt8] {
        var arguments = Arguments()
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let position = operation.fields.firstIndex(where: { $0.name == parts[0] }) else {
                throw ScenarioProblem(description: "line \(line): \(operation.name) has no field \(word)")
            }
            let field = operation.fields[position]
            guard let value = field.value(parts[1]) else {
                throw ScenarioProblem(description: "line \(line): \(word) is not a value of \(field.name)")
            }
            arguments[position] = value
        }
        var bytes: [UInt8] = []
        for (position, field) in operation.fields.enumerated() {
            for byte in 0..<field.byteCount {
                bytes.append(UInt8(truncatingIfNeeded: arguments[position] >> UInt64(byte * 8)))
            }
        }
        return bytes
    }
}

extension Field {
    /// A value from its text: a word, or a number, hexadecimal after 0x, that fits.
    func value(_ text: Substring) -> UInt64? {
        if !words.isEmpty { return words.firstIndex { $0 == text }.map(UInt64.init) }
        let value = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
        guard let value, byteCount == 8 || value >> UInt64(byteCount * 8) == 0 else { return nil }
        return value
    }
}
