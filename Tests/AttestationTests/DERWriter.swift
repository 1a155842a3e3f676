// Writes DER for test certificates, apart from the parser under test, so that both cannot share a mistake.

enum DER {
    static func value(_ tag: UInt8, _ contents: [UInt8]) -> [UInt8] {
        let count = contents.count
        if count < 0x80 { return [tag, UInt8(count)] + contents }
        if count < 0x100 { return [tag, 0x81, UInt8(count)] + contents }
        return [tag, 0x82, UInt8(count >> 8), UInt8(count & 0xff)] + contents
    }
    static func sequence(_ parts: [UInt8]...) -> [UInt8] { value(0x30, parts.flatMap { $0 }) }
    static func set(_ parts: [UInt8]...) -> [UInt8] { value(0x31, parts.flatMap { $0 }) }
    static func tagged(_ number: UInt8, _ contents: [UInt8]) -> [UInt8] { value(0xa0 | number, contents) }
    static func integer(_ number: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = number
        repeat {
            bytes.insert(UInt8(rest & 0xff), at: 0)
            rest >>= 8
        } while rest > 0
        if let first = bytes.first, first >= 0x80 { bytes.insert(0, at: 0) }
        return value(0x02, bytes)
    }
    static func octets(_ contents: [UInt8]) -> [UInt8] { value(0x04, contents) }
    static func bits(_ contents: [UInt8]) -> [UInt8] { value(0x03, [0] + contents) }
    static let null = value(0x05, [])
    static let yes = value(0x01, [0xff])
    static func text(_ text: String, tag: UInt8 = 0x0c) -> [UInt8] { value(tag, Array(text.utf8)) }
    static func generalizedTime(_ text: String) -> [UInt8] { value(0x18, Array(text.utf8)) }
    static func oid(_ dots: String) -> [UInt8] {
        let numbers = dots.split(separator: ".").compactMap { Int($0) }
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
    static func name(_ commonName: String) -> [UInt8] {
        sequence(
            set(sequence(oid("2.5.4.10"), text("Rampart TEST"))),
            set(sequence(oid("2.5.4.3"), text(commonName))))
    }
}
