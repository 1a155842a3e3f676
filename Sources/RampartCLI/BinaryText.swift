// Bytes as hexadecimal and base64 text, and integers in the notations that command lines use.

/// The bytes in lower-case hexadecimal.
func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 0xf)])
    }
    return String(decoding: text, as: UTF8.self)
}

/// The bytes of a hexadecimal text of an even number of digits; nil for anything else.
func bytes(hexadecimal text: String) -> [UInt8]? {
    let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count == text.utf8.count, digits.count % 2 == 0 else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// The bytes in base64 with padding.
///
/// - Spec: RFC 4648 section 4
func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        var bits: UInt32 = 0
        for (index, byte) in group.enumerated() { bits |= UInt32(byte) << UInt32(16 - index * 8) }
        for index in 0..<4 {
            let isPadding = index > group.count
            text.append(isPadding ? UInt8(ascii: "=") : alphabet[Int(bits >> UInt32(18 - index * 6) & 0x3f)])
        }
    }
    return String(decoding: text, as: UTF8.self)
}

/// The bytes of a base64 text with padding; white space is passed over. Nil for anything else.
///
/// - Spec: RFC 4648 section 4
func bytes(base64 text: String) -> [UInt8]? {
    let digits = text.utf8.filter { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }
    guard digits.count % 4 == 0 else { return nil }
    let paddingCount = digits.reversed().prefix { $0 == UInt8(ascii: "=") }.count
    guard paddingCount <= 2 else { return nil }
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    for (index, digit) in digits.dropLast(paddingCount).enumerated() {
        let value: UInt8
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = digit - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = digit - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        default: return nil
        }
        bits = bits << 6 | UInt32(value)
        if index % 4 == 0 { continue }
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(6 - index % 4 * 2)))
    }
    return bytes
}

/// Reads an unsigned integer: decimal, or with the prefix 0x, 0o or 0b; underscores may separate digits.
func unsignedInteger(_ text: String) -> UInt64? {
    var digits = Substring(text)
    var radix = 10
    for (prefix, value) in [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)]
    where digits.hasPrefix(prefix) {
        digits = digits.dropFirst(2)
        radix = value
        break
    }
    let plain = digits.filter { $0 != "_" }
    // UInt64's own initializer would accept a sign.
    guard let first = plain.first, first.isHexDigit else { return nil }
    return UInt64(plain, radix: radix)
}
