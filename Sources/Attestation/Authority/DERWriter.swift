// Writes DER, for the test authority's certificates and lists. All input is the authority's own or has been checked.

/// The few DER values that a certificate is made of.
enum DERWriter {
    static func value(_ tag: UInt8, _ contents: [UInt8]) -> [UInt8] {
        let count = contents.count
        if count < 0x80 { return [tag, UInt8(count)] + contents }
        var length: [UInt8] = []
        var rest = count
        while rest > 0 {
            length.insert(UInt8(truncatingIfNeeded: rest), at: 0)
            rest >>= 8
        }
        return [tag, 0x80 | UInt8(length.count)] + length + contents
    }

    static func sequence(_ parts: [UInt8]...) -> [UInt8] { value(0x30, Array(parts.joined())) }
    static func set(_ part: [UInt8]) -> [UInt8] { value(0x31, part) }
    /// A constructed context-specific tag.
    static func tagged(_ number: UInt8, _ contents: [UInt8]) -> [UInt8] { value(0xa0 | number, contents) }
    static func octets(_ contents: [UInt8]) -> [UInt8] { value(0x04, contents) }
    /// A BIT STRING whose last byte leaves out its lowest `unused` bits.
    static func bits(_ contents: [UInt8], unused: UInt8 = 0) -> [UInt8] { value(0x03, [unused] + contents) }
    static let null: [UInt8] = [0x05, 0x00]
    static let yes: [UInt8] = [0x01, 0x01, 0xff]

    /// A number that is not negative, from its big-endian bytes.
    static func integer(_ bigEndian: [UInt8]) -> [UInt8] {
        let digits = Array(bigEndian.drop { $0 == 0 })
        return value(0x02, digits.first.map { $0 >= 0x80 } ?? true ? [0] + digits : digits)
    }
    static func integer(_ number: UInt64) -> [UInt8] {
        integer((0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) })
    }

    static func utf8(_ text: String) -> [UInt8] { value(0x0c, Array(text.utf8)) }
    static func printable(_ text: String) -> [UInt8] { value(0x13, Array(text.utf8)) }
    /// IA5String, as AMD writes names in extensions, unless the text has characters that it cannot hold.
    static func ia5(_ text: String) -> [UInt8] {
        text.utf8.allSatisfy { $0 < 0x80 } ? value(0x16, Array(text.utf8)) : utf8(text)
    }

    static func identifier(_ numbers: [UInt32]) -> [UInt8] {
        precondition(numbers.count > 2 && numbers[0] < 3 && numbers[1] < 40, "not an object identifier")
        var bytes = [UInt8(numbers[0] * 40 + numbers[1])]
        for number in numbers.dropFirst(2) {
            var groups = [UInt8(number & 0x7f)]
            var rest = number >> 7
            while rest > 0 {
                groups.insert(UInt8(rest & 0x7f) | 0x80, at: 0)
                rest >>= 7
            }
            bytes += groups
        }
        return value(0x06, bytes)
    }

    /// UTCTime in the years for which X.509 asks for it, else GeneralizedTime.
    ///
    /// - Throws: `.unwritableTime` outside the years 0 to 9999
    static func time(_ time: CertificateTime) throws(AuthorityError) -> [UInt8] {
        let date = time.date
        guard (0...9999).contains(date.year) else { throw .unwritableTime(time) }
        func digits(_ value: Int, _ count: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: count - text.utf8.count) + text
        }
        let second = time.secondOfDay
        let rest =
            [date.month, date.day, second / 3600, second / 60 % 60, second % 60].map { digits($0, 2) }.joined() + "Z"
        if (1950...2049).contains(date.year) { return value(0x17, Array((digits(date.year % 100, 2) + rest).utf8)) }
        return value(0x18, Array((digits(date.year, 4) + rest).utf8))
    }
}
