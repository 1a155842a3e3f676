// Sizes and addresses as users write them: 4096, 0x1000, 64K, 2M, 16G, 1T.

/// A number of bytes that fits the 52 bits of a physical address.
public struct ByteSize: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The largest size, 4 PiB.
    public static let maximum = ByteSize(unchecked: 1 << 52)

    /// The number of bytes.
    public let byteCount: UInt64

    private init(unchecked byteCount: UInt64) { self.byteCount = byteCount }

    /// Makes a size; nil above 4 PiB.
    public init?(_ byteCount: UInt64) {
        guard byteCount <= Self.maximum.byteCount else { return nil }
        self.byteCount = byteCount
    }

    /// Why a text is no size.
    public enum ParseError: Error, Hashable, Sendable, CustomStringConvertible {
        /// The text has no number, or something else than a number and a suffix.
        case notANumber(String)
        /// The number is larger than 4 PiB.
        case tooLarge(String)

        /// One line for the user.
        public var description: String {
            switch self {
            case .notANumber(let text):
                "'\(text)' is not a size. Write a decimal or 0x number, with K, M, G or T after it if you like."
            case .tooLarge(let text): "'\(text)' is more than 4P bytes, the end of the physical address space."
            }
        }
    }

    /// Reads a size: a decimal or hexadecimal number, then nothing, K, M, G or T, the letter optionally with "iB".
    ///
    /// - Throws: in check order: `.notANumber`, `.tooLarge`
    public init(parsing text: some StringProtocol) throws(ParseError) {
        var digits = Substring(text)
        if digits.hasSuffix("iB") { digits = digits.dropLast(2) }
        let hadUnit = digits.count != text.count
        var shift: UInt64 = 0
        switch digits.last {
        case "K", "k": shift = 10
        case "M", "m": shift = 20
        case "G", "g": shift = 30
        case "T", "t": shift = 40
        default: if hadUnit { throw .notANumber(String(text)) }
        }
        if shift > 0 { digits = digits.dropLast() }
        var radix: UInt64 = 10
        if digits.hasPrefix("0x") || digits.hasPrefix("0X") {
            radix = 16
            digits = digits.dropFirst(2)
        }
        guard !digits.isEmpty else { throw .notANumber(String(text)) }
        var value: UInt64 = 0
        var isTooLarge = false
        for character in digits {
            guard character.isASCII, let digit = character.hexDigitValue, digit < radix else {
                throw .notANumber(String(text))
            }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: radix)
            isTooLarge = isTooLarge || overflow || scaled > Self.maximum.byteCount
            value = isTooLarge ? 0 : scaled + UInt64(digit)
        }
        guard !isTooLarge, value <= Self.maximum.byteCount >> shift else { throw .tooLarge(String(text)) }
        byteCount = value << shift
    }

    /// Orders by size.
    public static func < (a: Self, b: Self) -> Bool { a.byteCount < b.byteCount }

    /// The size with the largest suffix that leaves a whole number.
    public var description: String {
        for (shift, suffix) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] as [(UInt64, String)]
        where byteCount != 0 && byteCount & ((1 << shift) - 1) == 0 {
            return "\(byteCount >> shift)\(suffix)"
        }
        return String(byteCount)
    }
}
