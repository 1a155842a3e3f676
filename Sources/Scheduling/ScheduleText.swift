// A recorded schedule as a few letters, digits, minus and underscore: short, and safe in any shell.

/// Turns the picks of a run into text and back.
///
/// Almost all picks of a simple schedule are 0, the usual thread. Written are, in turn, how many zeros follow and the pick
/// that is not zero, as variable-length numbers of 7 bits a byte, in base64url. Zeros at the end are left out.
public enum ScheduleText {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The text of a schedule; empty for the usual one.
    public static func encode(_ codes: [UInt8]) -> String {
        var bytes: [UInt8] = []
        var zeros: UInt64 = 0
        for code in codes {
            if code == 0 {
                zeros += 1
            } else {
                append(zeros << 2 | UInt64(min(code - 1, 3)), to: &bytes)
                if code >= 4 { bytes.append(code) }
                zeros = 0
            }
        }
        return base64(bytes)
    }

    /// The schedule that a text means, or nil if it is none.
    public static func decode(_ text: String) -> [UInt8]? {
        guard let bytes = unbase64(text) else { return nil }
        var codes: [UInt8] = []
        var index = 0
        while index < bytes.count {
            guard let number = number(in: bytes, at: &index), number >> 2 < 1 << 20 else { return nil }
            codes.append(contentsOf: repeatElement(0, count: Int(number >> 2)))
            guard codes.count < 1 << 20 else { return nil }
            if number & 3 == 3 {
                guard index < bytes.count, bytes[index] >= 4 else { return nil }
                codes.append(bytes[index])
                index += 1
            } else {
                codes.append(UInt8(number & 3) + 1)
            }
        }
        return codes
    }

    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        var left = number
        while left >= 0x80 {
            bytes.append(UInt8(left & 0x7f) | 0x80)
            left >>= 7
        }
        bytes.append(UInt8(left))
    }

    private static func number(in bytes: [UInt8], at index: inout Int) -> UInt64? {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while index < bytes.count, shift < 63 {
            let byte = bytes[index]
            index += 1
            result |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return result }
            shift += 7
        }
        return nil
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[Int(bits >> count & 63)])
            }
            bits &= 1 << count &- 1
        }
        if count > 0 { text.append(alphabet[Int(bits << (6 - count) & 63)]) }
        return String(decoding: text, as: UTF8.self)
    }

    private static func unbase64(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for letter in text.utf8 {
            guard let value = alphabet.firstIndex(of: letter) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(bits >> count & 0xff))
                bits &= 1 << count &- 1
            }
        }
        // What is left over is padding of zeros, less than a letter.
        return count < 6 && bits == 0 ? bytes : nil
    }
}
