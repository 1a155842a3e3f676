// One line of a script's text as words, taken one after the other.

internal import SNPArchitecture

/// The words of a line that are not yet taken.
struct ScriptLine {
    /// The line's number, from 1.
    let number: Int
    private var words: ArraySlice<Substring>
    /// The words after "->", if there are any.
    private(set) var expectation: [Substring]?

    /// Splits a line into words; nil if there is nothing on it but a comment.
    init?(_ text: Substring, number: Int) {
        let code = text.prefix { $0 != "#" }
        let words = code.split { $0 == " " || $0 == "\t" || $0 == "\r" }
        guard !words.isEmpty else { return nil }
        self.number = number
        if let arrow = words.firstIndex(of: "->") {
            self.words = words[..<arrow]
            expectation = Array(words[(arrow + 1)...])
        } else {
            self.words = words[...]
        }
    }

    func error(_ message: String) -> ScriptError { ScriptError(line: number, message: message) }

    /// The next word, taken.
    ///
    /// - Throws: what is missing
    mutating func next(_ what: String) throws(ScriptError) -> Substring {
        guard let word = words.popFirst() else { throw error("\(what) is missing") }
        return word
    }

    /// The next word, left where it is.
    var peek: Substring? { words.first }

    /// Takes the next word if it is this one.
    mutating func take(_ word: String) -> Bool {
        guard let first = words.first, first == word else { return false }
        words.removeFirst()
        return true
    }

    /// - Throws: a word that is left over
    func end() throws(ScriptError) {
        guard let word = words.first else { return }
        throw error("\"\(word)\" is one word too many")
    }

    /// A number, decimal or hexadecimal with 0x.
    func number(_ word: Substring, _ what: String) throws(ScriptError) -> UInt64 {
        let value = word.hasPrefix("0x") ? UInt64(word.dropFirst(2), radix: 16) : UInt64(word)
        guard let value else { throw error("\(what) is \"\(word)\", which is no number of 64 bits") }
        return value
    }

    mutating func number(_ what: String) throws(ScriptError) -> UInt64 { try number(next(what), what) }

    mutating func number<I: FixedWidthInteger & UnsignedInteger>(_ what: String, as type: I.Type) throws(ScriptError)
        -> I
    {
        let value = try number(what)
        guard let result = I(exactly: value) else { throw error("\(what) is \(value), more than \(I.max)") }
        return result
    }

    mutating func gpa() throws(ScriptError) -> GPA { GPA(try number("the guest physical address")) }

    /// "xN", or 1.
    mutating func count() throws(ScriptError) -> UInt32 {
        guard let word = peek, word.first == "x" else { return 1 }
        _ = words.popFirst()
        guard let count = UInt32(word.dropFirst()), count > 0 else {
            throw error("\"\(word)\" is no number of pages; write x and a decimal number")
        }
        return count
    }

    /// One of several words.
    mutating func choice<T>(_ what: String, _ choices: KeyValuePairs<String, T>) throws(ScriptError) -> T {
        let word = try next(what)
        for (name, value) in choices where word == name { return value }
        throw error("\(what) is \"\(word)\"; it is one of \(choices.map(\.key).joined(separator: ", "))")
    }

    /// Hexadecimal bytes, or a text in double quotes without spaces.
    func bytes(_ word: Substring) throws(ScriptError) -> [UInt8] {
        if word.first == "\"" {
            guard word.count >= 2, word.last == "\"" else { throw error("\(word) has no quote at its end") }
            return Array(word.dropFirst().dropLast().utf8)
        }
        let digits = Array(word.utf8)
        guard digits.count % 2 == 0, !digits.isEmpty else {
            throw error("\"\(word)\" is no run of bytes in hexadecimal")
        }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[start..<start + 2], as: UTF8.self), radix: 16) else {
                throw error("\"\(word)\" is no run of bytes in hexadecimal")
            }
            bytes.append(byte)
        }
        return bytes
    }
}
