// The present, and moments as users write them.

public import Attestation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension CertificateTime {
    /// The present by this computer's clock.
    public static var now: CertificateTime {
        CertificateTime(secondsSince1970: Int64(time(nil)))
    }

    /// Reads 2026-06-01, 2026-06-01T12:30:00Z, or seconds since 1970; nil for anything else.
    public init?(parsing text: String) {
        if let seconds = Int64(text), seconds >= 0 {
            self.init(secondsSince1970: seconds)
            return
        }
        let halves = text.split(separator: "T", omittingEmptySubsequences: false)
        guard let date = Self.numbers(halves[0], separator: "-", widths: [4, 2, 2]), halves.count <= 2 else {
            return nil
        }
        var clock = [0, 0, 0]
        if halves.count == 2 {
            guard halves[1].last == "Z",
                let numbers = Self.numbers(halves[1].dropLast(), separator: ":", widths: [2, 2, 2])
            else { return nil }
            clock = numbers
        }
        guard (1...12).contains(date[1]), (1...31).contains(date[2]), clock[0] < 24, clock[1] < 60, clock[2] < 60
        else { return nil }
        self.init(
            year: date[0], month: date[1], day: date[2], hour: clock[0], minute: clock[1], second: clock[2])
        // A day that the month does not have comes out as one of the next month.
        guard description == String(halves[0].drop { $0 == "0" }) || description == halves[0] else { return nil }
    }

    private static func numbers(_ text: Substring, separator: Character, widths: [Int]) -> [Int]? {
        let parts = text.split(separator: separator, omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == widths, parts.allSatisfy({ $0.allSatisfy(\.isASCII) }) else { return nil }
        let numbers = parts.compactMap { part in part.allSatisfy(\.isNumber) ? Int(part) : nil }
        return numbers.count == widths.count ? numbers : nil
    }
}
