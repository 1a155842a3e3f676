// A request target taken apart: segments of the path and parameters. The text comes from anybody.

/// Why a target names no document: an HTTP status, and a line for whoever asks.
public struct RequestRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// 400 or 404.
    public let status: Int
    /// What is wrong.
    public let description: String

    static func malformed(_ description: String) -> Self { Self(status: 400, description: description) }
    static func unknown(_ description: String) -> Self { Self(status: 404, description: description) }
}

/// The path and the parameters of a request.
struct RequestTarget: Hashable, Sendable {
    /// The path's segments, decoded.
    var segments: [String] = []
    /// The parameters in order, decoded.
    var parameters: [Parameter] = []

    /// A name and its value.
    struct Parameter: Hashable, Sendable {
        var name: String
        var value: String
    }

    /// Takes a target apart: a path from the root, or a whole `http` URL.
    ///
    /// - Spec: RFC 9112 section 3.2, origin-form and absolute-form; RFC 3986 section 2.1
    /// - Throws: `.malformed`, in check order: form, fragment, an escape in the path, a parameter without value, an escape in it
    init(_ text: String) throws(RequestRefusal) {
        var rest = Substring(text)
        if rest.lowercased().hasPrefix("http://") {
            rest = rest.dropFirst("http://".count).drop { $0 != "/" && $0 != "?" }
        }
        guard rest.hasPrefix("/") else { throw .malformed("the path does not start with a slash") }
        guard !rest.contains("#") else { throw .malformed("a request has no fragment") }
        let end = rest.firstIndex(of: "?") ?? rest.endIndex
        for segment in rest[..<end].dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            segments.append(try Self.decode(segment))
        }
        guard end < rest.endIndex else { return }
        let query = rest[rest.index(after: end)...]
        guard !query.isEmpty else { return }
        for item in query.split(separator: "&", omittingEmptySubsequences: false) {
            guard let sign = item.firstIndex(of: "=") else { throw .malformed("a parameter has no value") }
            parameters.append(
                Parameter(
                    name: try Self.decode(item[..<sign]), value: try Self.decode(item[item.index(after: sign)...])))
        }
    }

    /// Takes a parameter out; nil if it is not there, the first if it is there twice.
    mutating func take(_ name: String) -> String? {
        guard let index = parameters.firstIndex(where: { $0.name == name }) else { return nil }
        return parameters.remove(at: index).value
    }

    private static func decode(_ text: Substring) throws(RequestRefusal) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let high = digit(rest.removeFirst()), let low = digit(rest.removeFirst()) else {
                throw .malformed("a percent sign without two hexadecimal digits")
            }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else { throw .malformed("the text is not UTF-8") }
        return decoded
    }

    /// The value of a hexadecimal digit of ASCII.
    static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
