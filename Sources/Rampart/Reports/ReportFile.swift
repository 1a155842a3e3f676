// Reading a report from a file: its 1184 bytes, or their hexadecimal digits.

public import Monitor
internal import SNPArchitecture

/// Reads a report's bytes, without judging them: raw, or hexadecimal text with any white space and an optional 0x.
///
/// - Throws: `FileError`
public func readReport(_ path: String) throws(FileError) -> [UInt8] {
    let contents = try readFile(path, limit: 1 << 20)
    guard contents.count != AttestationReport.byteCount else { return contents }
    return hexadecimalContents(contents) ?? contents
}

/// The bytes of a text that consists of hexadecimal digits and white space alone; nil for anything else.
func hexadecimalContents(_ text: [UInt8]) -> [UInt8]? {
    let space: Set<UInt8> = [0x20, 0x09, 0x0a, 0x0d]
    var digits = text.filter { !space.contains($0) }[...]
    if digits.starts(with: Array("0x".utf8)) { digits = digits.dropFirst(2) }
    let values = digits.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    guard !values.isEmpty, values.count == digits.count, values.count % 2 == 0 else { return nil }
    return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
}
