// What can be wrong with a step, and where in a text.

public import SNPArchitecture

/// What is wrong with a step's operands.
public enum ScriptProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// The pages end past the 52 bits of a guest physical address.
    case address(GPA, byteCount: UInt64)
    /// A step of no pages.
    case noPages
    /// The contents do not fit in the GHCB's shared buffer.
    case bufferTooLong
    /// More than 64 bytes of REPORT_DATA, or no such VMPCK.
    case report

    /// What is wrong.
    public var description: String {
        switch self {
        case .address(let gpa, let count): "\(count) bytes at \(gpa) end past the 52 bits of a guest physical address"
        case .noPages: "the step names no pages"
        case .bufferTooLong: "the contents do not fit in the 2032 bytes of the GHCB's shared buffer"
        case .report: "a report has at most 64 bytes of data, and there are VMPCK 0 to 3"
        }
    }
}

/// Why a text is not a script.
public struct ScriptError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The line, from 1.
    public var line: Int
    /// What is wrong, and what was expected.
    public var message: String

    /// Makes an error.
    public init(line: Int, message: String) {
        self.line = line
        self.message = message
    }

    /// One line for the user.
    public var description: String { "line \(line): \(message)" }
}

extension GuestOperation {
    static func checkRange(_ gpa: GPA, byteCount: UInt64) throws(ScriptProblem) {
        guard byteCount > 0 else { throw .noPages }
        guard gpa.rawValue < 1 << 52, byteCount <= 1 << 52 - gpa.rawValue else {
            throw .address(gpa, byteCount: byteCount)
        }
    }

    /// - Throws: `.noPages`, `.address`
    func check() throws(ScriptProblem) {
        switch self {
        case .touch(let gpa, _, _, let count): try Self.checkRange(gpa, byteCount: UInt64(count) << 12)
        case .pvalidate(let gpa, let size, _, let count):
            try Self.checkRange(gpa, byteCount: UInt64(count) * size.byteCount)
        case .read(let gpa, _, let range), .write(let gpa, _, let range):
            try Self.checkRange(gpa, byteCount: UInt64(range.count))
        case .rmpAdjust(let gpa, let size, _, _, _): try Self.checkRange(gpa, byteCount: size.byteCount)
        case .rmpQuery(let gpa, _): try Self.checkRange(gpa, byteCount: 4096)
        case .useGHCB(let gpa): try Self.checkRange(GPA(gpa.rawValue & ~0xfff), byteCount: 4096)
        case .changePageStates(_, let count): guard count > 0 else { throw .noPages }
        case .msr, .vmgexit, .report, .terminate, .pause, .halt, .shutdown: break
        }
    }
}
