// Inputs by hand: `show FILE` prints an input as text, `make TEXT FILE` makes an input of a text, `play FILE...` runs inputs
// or texts and prints each step, `words TEXT...` prints each line of texts as a word of a libFuzzer dictionary: so whole steps
// are put into inputs. A file whose name ends in .txt is a text.

import Fuzzing
import Glibc

private struct FileProblem: Error, CustomStringConvertible {
    let description: String
}

private func contents(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "rb") else { throw FileProblem(description: "cannot read \(path)") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    return bytes
}

private func input(_ path: String, _ target: any FuzzTarget) throws -> [UInt8] {
    let bytes = try contents(path)
    return path.hasSuffix(".txt") ? try target.bytes(String(decoding: bytes, as: UTF8.self)) : bytes
}

/// Executes a command.
///
/// - Returns: the exit status, or nil if the words are no command
/// - Throws: what is wrong with a file
func execute(_ words: [String], _ target: any FuzzTarget) throws -> CInt? {
    switch (words.first, words.count) {
    case ("show", 2):
        print(try input(words[1], target).withUnsafeBytes { target.text($0) ?? "" }, terminator: "")
        return 0
    case ("make", 3):
        let bytes = try input(words[1], target)
        guard let file = fopen(words[2], "wb") else { throw FileProblem(description: "cannot write \(words[2])") }
        for byte in bytes { putc(CInt(byte), file) }
        fclose(file)
        return 0
    case ("words", 2...):
        for word in try dictionary(words.dropFirst(), target) { print(word) }
        return 0
    case ("play", 2...): return try play(words.dropFirst(), target) ? 0 : 1
    default: return nil
    }
}

/// The steps of texts, each once, as words of a dictionary.
private func dictionary(_ paths: ArraySlice<String>, _ target: any FuzzTarget) throws -> [String] {
    var found: Set<String> = []
    for path in paths {
        for line in String(decoding: try contents(path), as: UTF8.self).split(separator: "\n") {
            let bytes = try target.bytes(String(line))
            guard !bytes.isEmpty else { continue }
            let digits = bytes.map { ($0 < 16 ? "\\x0" : "\\x") + String($0, radix: 16) }
            found.insert("\"\(digits.joined())\"")
        }
    }
    return found.sorted()
}

/// Runs inputs and prints each step as it begins; false if something is wrong. A text must say the same once it has been bytes.
private func play(_ paths: ArraySlice<String>, _ target: any FuzzTarget) throws -> Bool {
    var isClean = true
    for path in paths {
        print("--- \(path)")
        let bytes = try input(path, target)
        var problem = bytes.withUnsafeBytes { bytes in
            target.run(bytes) { step in
                print(step)
                fflush(nil)
            }
        }
        if path.hasSuffix(".txt"), let text = bytes.withUnsafeBytes({ target.text($0) }),
            try target.bytes(text) != bytes
        {
            problem = problem ?? "the input's text makes another input"
        }
        if let problem { print("WRONG: \(problem)") }
        isClean = isClean && problem == nil
    }
    fflush(nil)
    return isClean
}
