// One event of a recorded trace, and its line in the file. The format is described in docs/explanations.md.

/// Something that happened in a run.
public struct TraceEvent: Hashable, Sendable {
    /// What an event says of itself, by name.
    public struct Field: Hashable, Sendable {
        /// Letters, digits and underscores.
        public var name: String
        /// Any text.
        public var value: String
        /// Makes a field.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }
    /// Virtual time: ticks of the run's clock, an instruction each.
    public var time: UInt64
    /// The virtual CPU that ran, or whose request the host served; nil for neither.
    public var vcpu: UInt32?
    /// The kind of event.
    public var name: String
    /// What it says.
    public var fields: [Field]

    /// Makes an event.
    public init(time: UInt64, vcpu: UInt32?, name: String, fields: [Field] = []) {
        self.time = time
        self.vcpu = vcpu
        self.name = name
        self.fields = fields
    }

    /// The value of a field.
    public subscript(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// A field's number, decimal or hexadecimal.
    public func number(_ name: String) -> UInt64? {
        guard let text = self[name] else { return nil }
        return text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }

    /// The event as a line, without its end.
    public var line: String {
        var text = "\(time) " + (vcpu.map(String.init) ?? "-") + " " + name
        for field in fields { text += " " + field.name + "=" + Self.quoted(field.value) }
        return text
    }

    private static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x5c }
        if isPlain { return value }
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f: text += "?"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }

    /// Reads a line. Nil if it is none of an event.
    public init?(line: Substring) {
        var rest = line.utf8[...]
        func word() -> String? {
            guard let end = rest.firstIndex(of: 0x20) else {
                defer { rest = rest[rest.endIndex...] }
                return String(rest)
            }
            defer { rest = rest[rest.index(after: end)...] }
            return String(rest[..<end])
        }
        guard let first = word(), let time = UInt64(first), let second = word(), let name = word() else { return nil }
        guard second == "-" || UInt32(second) != nil, Self.isName(name) else { return nil }
        self.init(time: time, vcpu: UInt32(second), name: name)
        while !rest.isEmpty {
            guard let equals = rest.firstIndex(of: UInt8(ascii: "=")), let name = String(rest[..<equals]),
                Self.isName(name)
            else { return nil }
            rest = rest[rest.index(after: equals)...]
            guard let value = Self.value(&rest) else { return nil }
            fields.append(Field(name, value))
        }
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                0x61...0x7a ~= $0 || 0x41...0x5a ~= $0 || 0x30...0x39 ~= $0 || $0 == UInt8(ascii: "_")
            }
    }

    /// Takes a value, and the space behind it.
    private static func value(_ rest: inout Substring.UTF8View.SubSequence) -> String? {
        guard rest.first == 0x22 else {
            let end = rest.firstIndex(of: 0x20) ?? rest.endIndex
            let plain = String(rest[..<end])
            rest = end == rest.endIndex ? rest[end...] : rest[rest.index(after: end)...]
            return plain.flatMap { $0.isEmpty || $0.contains("\"") ? nil : $0 }
        }
        var bytes: [UInt8] = []
        var place = rest.index(after: rest.startIndex)
        while place < rest.endIndex, rest[place] != 0x22 {
            if rest[place] == 0x5c {
                place = rest.index(after: place)
                guard place < rest.endIndex else { return nil }
                switch rest[place] {
                case 0x22, 0x5c: bytes.append(rest[place])
                case UInt8(ascii: "n"): bytes.append(0x0a)
                default: return nil
                }
            } else {
                bytes.append(rest[place])
            }
            place = rest.index(after: place)
        }
        guard place < rest.endIndex else { return nil }
        place = rest.index(after: place)
        guard place == rest.endIndex || rest[place] == 0x20 else { return nil }
        rest = place == rest.endIndex ? rest[place...] : rest[rest.index(after: place)...]
        return String(validating: bytes, as: UTF8.self)
    }
}
