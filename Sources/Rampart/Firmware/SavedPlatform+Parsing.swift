// Reading the text of a saved platform. It may come from anywhere: each line is judged, and each property must be there
// once.

import Machine
import SNPArchitecture
import SecureProcessor

/// A file that is no saved platform.
public struct PlatformFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file, as it was named.
    public var path: String
    /// The line, from 1; 0 for the whole file.
    public var line: Int
    /// What is wrong and what to write instead.
    public var message: String

    /// "FILE:LINE: message".
    public var description: String { line == 0 ? "\(path): \(message)" : "\(path):\(line): \(message)" }
}

extension SavedPlatform {
    private struct LineError: Error { let message: String }

    /// Reads a platform.
    ///
    /// - Parameter path: the name for error messages
    /// - Throws: the first line's first error, in order: UTF-8, property, given twice, value; then a property that is
    ///   missing
    public init(parsing bytes: [UInt8], path: String) throws(PlatformFileError) {
        var values: [Property: (line: Int, words: [Substring])] = [:]
        var number = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            func fail(_ message: String) -> PlatformFileError {
                PlatformFileError(path: path, line: number, message: message)
            }
            guard let text = String(validating: line.prefix { $0 != UInt8(ascii: "#") }, as: UTF8.self) else {
                throw fail("not UTF-8 text. Make a new file with 'rampart firmware create'.")
            }
            let words = text.split { $0 == " " || $0 == "\t" || $0 == "\r" }
            guard let first = words.first else { continue }
            guard let property = Property(rawValue: String(first)) else {
                let names = Property.allCases.map(\.rawValue).joined(separator: ", ")
                throw fail("'\(first.prefix(40))' is no property of a platform. Use \(names).")
            }
            guard values[property] == nil else { throw fail("\(property.rawValue) is given twice. Remove one line.") }
            values[property] = (number, Array(words.dropFirst()))
        }
        for property in Property.allCases where values[property] == nil {
            let message = "\(property.rawValue) is missing. Make a new file with 'rampart firmware create'."
            throw PlatformFileError(path: path, line: 0, message: message)
        }
        self.init(product: .genoa, chipSeed: 0)
        for property in Property.allCases {
            guard let value = values[property] else { continue }
            do throws(LineError) { try set(property, value.words) } catch {
                throw PlatformFileError(
                    path: path, line: value.line, message: "\(property.rawValue): \(error.message)")
            }
        }
    }

    private mutating func set(_ property: Property, _ words: [Substring]) throws(LineError) {
        guard words.count == 1 || (property == .vlek && words.count == 2) else {
            throw LineError(message: "\(words.count) values where there must be 1.")
        }
        switch property {
        case .product:
            guard let product = Product(rawValue: String(words[0])) else {
                throw LineError(message: "no such product. Use \(Self.productNames).")
            }
            self.product = product
        case .chipSeed: chipSeed = try Self.number(words[0])
        case .version: version = try Self.version(words[0])
        case .tcb: tcb = TCBVersion(rawValue: try Self.number(words[0]))
        case .committedVersion: committedVersion = try Self.version(words[0])
        case .committedTCB: committedTCB = TCBVersion(rawValue: try Self.number(words[0]))
        case .reportedTCB:
            reportedTCB = words[0] == "committed" ? nil : TCBVersion(rawValue: try Self.number(words[0]))
        case .maskChipID: maskChipID = try Self.answer(words[0])
        case .maskChipKey: maskChipKey = try Self.answer(words[0])
        case .vlek:
            guard words != ["none"] else { return }
            guard words.count == 2 else { throw LineError(message: "write 'none', or a seed and a TCB.") }
            vlek = VLEKOrigin(
                seed: try Self.number(words[0]), tcb: TCBVersion(rawValue: try Self.number(words[1])))
        }
    }

    private static func number(_ word: Substring) throws(LineError) -> UInt64 {
        let digits = word.hasPrefix("0x") ? word.dropFirst(2) : ""
        guard digits.first != "+", let value = UInt64(digits, radix: 16) else {
            throw LineError(message: "'\(word.prefix(40))' is no number of up to 64 bits. Write it as 0x1f.")
        }
        return value
    }

    private static func version(_ word: Substring) throws(LineError) -> FirmwareVersion {
        guard let version = FirmwareVersion(text: word) else {
            throw LineError(message: "'\(word.prefix(40))' is no version. Write it as 1.55.21.")
        }
        return version
    }

    private static func answer(_ word: Substring) throws(LineError) -> Bool {
        guard word == "yes" || word == "no" else { throw LineError(message: "write yes or no.") }
        return word == "yes"
    }
}

extension FirmwareVersion {
    /// Reads "1.55.21".
    init?(text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { part in
            part.allSatisfy { $0.isASCII && $0.isNumber } ? UInt8(part) : nil
        }
        guard parts.count == 3, let major = parts[0], let minor = parts[1], let build = parts[2] else { return nil }
        self.init(major: major, minor: minor, build: build)
    }
}
