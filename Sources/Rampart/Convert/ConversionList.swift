// A list of conversions as a text file: one `private GPA SIZE` or `shared GPA SIZE` a line, # starts a comment.

import Monitor
public import SNPArchitecture

/// One change of the attribute of a range of guest memory.
public struct ConversionStep: Hashable, Sendable {
    /// What the range becomes.
    public enum Target: String, CaseIterable, Sendable {
        /// Guest-owned.
        case `private`
        /// Host-owned.
        case shared
    }
    /// What the range becomes.
    public var target: Target
    /// The range, of at least one page.
    public var frames: Range<GFN>

    /// Makes a step.
    public init(_ target: Target, _ frames: Range<GFN>) {
        self.target = target
        self.frames = frames
    }
}

/// A line of a list of conversions that cannot be read.
public struct ConversionListError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file, as it was named.
    public var path: String
    /// The line, from 1.
    public var line: Int
    /// What is wrong and what to write instead.
    public var message: String

    /// "FILE:LINE: message".
    public var description: String { "\(path):\(line): \(message)" }
}

/// A list of conversions.
public struct ConversionList: Hashable, Sendable {
    /// The largest file that is read.
    public static let maximumFileByteCount = 64 << 20

    /// The steps, in order.
    public var steps: [ConversionStep]

    /// Makes a list.
    public init(_ steps: [ConversionStep]) { self.steps = steps }

    /// Reads a list from a file.
    ///
    /// - Throws: `FileError`, or what `init(parsing:path:memory:)` throws
    public static func load(_ path: String, memory: ByteSize) throws -> ConversionList {
        try ConversionList(parsing: readFile(path, limit: maximumFileByteCount), path: path, memory: memory)
    }

    /// Reads a list.
    ///
    /// - Parameters:
    ///   - bytes: the text
    ///   - path: the name for error messages
    ///   - memory: the size of the guest's memory, in which every range must lie
    /// - Throws: the first line's first error, in order: UTF-8, number of words, verb, address, its alignment, size, its
    ///   alignment, the end of memory
    public init(parsing bytes: [UInt8], path: String, memory: ByteSize) throws(ConversionListError) {
        var steps: [ConversionStep] = []
        var number = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            let text = line.prefix { $0 != UInt8(ascii: "#") }
            do throws(LineError) {
                if let step = try Self.step(text, memory) { steps.append(step) }
            } catch {
                throw ConversionListError(path: path, line: number, message: error.message)
            }
        }
        self.steps = steps
    }

    private struct LineError: Error { let message: String }

    private static func step(_ line: ArraySlice<UInt8>, _ memory: ByteSize) throws(LineError) -> ConversionStep? {
        guard let text = String(validating: line, as: UTF8.self) else {
            throw LineError(message: "not UTF-8 text. Write the list with a text editor.")
        }
        let words = text.split { $0 == " " || $0 == "\t" || $0 == "\r" }
        if words.isEmpty { return nil }
        guard words.count == 3 else {
            throw LineError(message: "\(words.count) words where there must be 3. Write 'private|shared GPA SIZE'.")
        }
        guard let target = ConversionStep.Target(rawValue: String(words[0])) else {
            throw LineError(message: "'\(words[0])' is no conversion. Write 'private' or 'shared'.")
        }
        let start = try size(words[1], "address")
        let length = try size(words[2], "size")
        guard length > 0 else { throw LineError(message: "the size is 0. Write at least 4K.") }
        // Both are at most 4 PiB, so the sum fits.
        guard start + length <= memory.byteCount else {
            throw LineError(message: "the range ends after the guest's \(memory) of memory. Raise --memory.")
        }
        return ConversionStep(target, GPA(start).frame..<GPA(start + length).frame)
    }

    private static func size(_ word: Substring, _ what: String) throws(LineError) -> UInt64 {
        let byteCount: UInt64
        do throws(ByteSize.ParseError) {
            byteCount = try ByteSize(parsing: word).byteCount
        } catch {
            throw LineError(message: "the \(what): \(error.description)")
        }
        guard byteCount % 4096 == 0 else {
            throw LineError(message: "the \(what) \(word) is not a multiple of 4096. Conversions are of whole pages.")
        }
        return byteCount
    }
}
