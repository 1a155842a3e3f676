// The language of scenarios: a list of operations with named fields. A scenario is text for people and bytes for libFuzzer,
// and each form can be made from the other.

/// One field of an operation.
public struct Field: Sendable {
    /// Its name in the text.
    public let name: String
    /// How many bytes it takes.
    public let byteCount: Int
    /// The words for its values, if it has words; then it takes one byte.
    public let words: [String]

    /// A number of so many bytes.
    public static func number(_ name: String, _ byteCount: Int = 1) -> Field {
        Field(name: name, byteCount: byteCount, words: [])
    }

    /// One of a list of words.
    public static func choice(_ name: String, _ words: [String]) -> Field {
        Field(name: name, byteCount: 1, words: words)
    }
}

/// The values of an operation's fields, in order; what is missing is 0.
public struct Arguments: Sendable {
    private var values: InlineArray<8, UInt64> = InlineArray(repeating: 0)

    /// Makes zeros.
    public init() {}

    /// One value.
    public subscript(_ index: Int) -> UInt64 {
        get { values[index] }
        set { values[index] = newValue }
    }

    /// One value, as a small number.
    public func int(_ index: Int) -> Int { Int(truncatingIfNeeded: values[index] & 0x7fff_ffff) }

    /// Whether a value is not 0.
    public func isSet(_ index: Int) -> Bool { values[index] != 0 }
}

/// One kind of step of a target.
public struct Operation<World>: Sendable {
    /// Its name in the text.
    public let name: String
    /// Its fields, at most 8.
    public let fields: [Field]
    /// What it does. An error is an ordinary refusal.
    public let perform: @Sendable (World, Arguments) throws -> Void

    /// Makes an operation.
    public init(_ name: String, _ fields: [Field], _ perform: @escaping @Sendable (World, Arguments) throws -> Void) {
        precondition(fields.count <= 8, "at most 8 fields")
        self.name = name
        self.fields = fields
        self.perform = perform
    }
}

/// The operations of a target.
public struct Grammar<World>: Sendable {
    /// In the order of their codes: append, so that old inputs keep their meaning for as long as possible.
    public let operations: [Operation<World>]

    /// Makes a grammar.
    public init(_ operations: [Operation<World>]) { self.operations = operations }

    /// Calls `body` with each step that the bytes say. Fields past the end are 0; `body` returns false to stop.
    public func forEachStep(
        _ bytes: UnsafeRawBufferPointer, _ body: (Operation<World>, Arguments) -> Bool
    ) {
        var index = 0
        while index < bytes.count {
            let operation = operations[Int(bytes[index]) % operations.count]
            index += 1
            var arguments = Arguments()
            for (position, field) in operation.fields.enumerated() {
                var value: UInt64 = 0
                for byte in 0..<field.byteCount where index + byte < bytes.count {
                    value |= UInt64(bytes[index + byte]) << UInt64(byte * 8)
                }
                index += field.byteCount
                arguments[position] = field.words.isEmpty ? value : value % UInt64(field.words.count)
            }
            guard body(operation, arguments) else { return }
        }
    }
}
