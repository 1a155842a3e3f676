// The URL of a key distribution server, as a person writes it.

/// Host, port and path of a server that speaks plain HTTP.
public struct ServerLocation: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address, IPv6 without brackets.
    public let host: String
    /// From 1 to 65535.
    public let port: Int
    /// What stands before `/vcek/v1`; empty, or with a slash at its start and none at its end.
    public let path: String

    /// Reads `http://HOST[:PORT][/PATH]`.
    ///
    /// - Throws: in check order: `.secureScheme` for `https`, `.malformedURL` for anything else that is not of this form
    public init(_ url: String) throws(KeyDistributionFailure) {
        let lower = url.lowercased()
        guard !lower.hasPrefix("https:") else { throw .secureScheme }
        guard lower.hasPrefix("http://") else { throw .malformedURL("it does not start with http://") }
        let rest = url.dropFirst("http://".count)
        guard rest.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), !rest.contains(where: { "?#@\\\"<>".contains($0) })
        else { throw .malformedURL("it has parameters, a fragment, a user or characters that URLs do not have") }
        let end = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<end]
        var path = rest[end...]
        while path.last == "/" { path = path.dropLast() }
        self.path = String(path)
        let portText: Substring
        if authority.first == "[" {
            guard let bracket = authority.firstIndex(of: "]") else { throw .malformedURL("a bracket is open") }
            host = String(authority[authority.index(after: authority.startIndex)..<bracket])
            portText = authority[authority.index(after: bracket)...]
        } else {
            let colon = authority.firstIndex(of: ":") ?? authority.endIndex
            host = String(authority[..<colon])
            portText = authority[colon...]
        }
        guard !host.isEmpty else { throw .malformedURL("there is no host") }
        guard !portText.isEmpty else {
            port = 80
            return
        }
        let digits = portText.dropFirst()
        guard portText.first == ":", digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
            (1...65_535).contains(number)
        else { throw .malformedURL("the port is no number from 1 to 65535") }
        port = number
    }

    /// The value of a Host field.
    var hostField: String { (host.contains(":") ? "[\(host)]" : host) + (port == 80 ? "" : ":\(port)") }

    /// The URL.
    public var description: String { "http://\(hostField)\(path)" }
}
