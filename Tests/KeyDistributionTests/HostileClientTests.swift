import NIOCore
import SNPArchitecture
import Testing

@testable import KeyDistribution

@Suite("Hostile clients")
struct HostileClientTests {
    static let good = "GET /vcek/v1/Milan/crl HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    private static let a9000 = String(repeating: "a", count: 9000)

    /// What is sent, and the status of the answer; nil where the connection just ends.
    static let requests: [(String, Int?)] = [
        ("\r\n\r\n\r\n", nil), ("garbage\r\n\r\n", 400), ("GET\r\n\r\n", 400), ("GET /\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\n\r\n", 400), ("GET / HTTP/1.1", 400), ("GET / HTTP/1.1\r\n", 400),
        ("GET / HTTP/1.1\r\nHost", 400), ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET vcek HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400), ("GET / HTTP/1.1\r\n: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n Folded: b\r\n\r\n", 400), ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{0}\r\n\r\n", 400), ("GET /\u{0} HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\(String(repeating: "x", count: 2000)) HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        ("GET /\(a9000) HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\n\(a9000): 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \(a9000)\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\(String(repeating: "X: y\r\n", count: 100))\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n\(a9000)\(a9000)", 413),
        ("GET /vcek/v1/Milan/crl?rampart-fault=no HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /vcek/v1/Milan/crl HTTP/1.1\r\nHost: a\r\nX-Rampart-Fault: 429=x\r\n\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ]

    @Test("a request that cannot be read ends the connection, and the server goes on", arguments: requests)
    func malformed(_ text: String, _ status: Int?) throws {
        try withServer { server throws in
            let reply = try sendRaw(Array(text.utf8), to: server.port, halfClose: true)
            #expect(reply.status == status, "\(reply.text)")
            #expect(reply.ended)
            #expect(try sendRaw(Self.good, to: server.port).status == 200)
        }
    }

    @Test("random bytes, and good requests with bytes changed, do no harm")
    func random() throws {
        var state: UInt64 = 7
        func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        try withServer { server throws in
            for round in 0..<300 {
                var bytes = Array((Self.good + Self.good).utf8)
                if round.isMultiple(of: 3) {
                    bytes = (0..<Int(next() % 500)).map { _ in UInt8(truncatingIfNeeded: next()) }
                } else {
                    for _ in 0...Int(next() % 4) {
                        bytes[Int(next()) % bytes.count] = UInt8(truncatingIfNeeded: next())
                    }
                }
                let pieces = round.isMultiple(of: 2) ? 7 : nil
                #expect(try sendRaw(bytes, to: server.port, pieceByteCount: pieces, halfClose: true).ended)
            }
            #expect(try sendRaw(Self.good, to: server.port).status == 200)
        }
    }

    private var quick: ServerLimits {
        var limits = ServerLimits()
        limits.idleTimeout = .milliseconds(300)
        return limits
    }

    @Test(
        "a connection ends if nothing, or no whole request, comes in time",
        arguments: ["", "GET /vcek/v1/Milan/crl HT", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nxx"])
    func idle(_ text: String) throws {
        try withServer(limits: quick) { server throws in
            let start = NIODeadline.now()
            #expect(try sendRaw(text, to: server.port).ended)
            #expect(NIODeadline.now() - start >= .milliseconds(250))
        }
    }

    @Test("bytes that trickle in do not keep a connection open")
    func trickle() throws {
        try withServer(limits: quick) { server throws in
            var ended = false
            let start = NIODeadline.now()
            // About 60 bytes at 20 ms each would take four times the limit.
            let text = Array("GET /vcek/v1/Milan/crl HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".utf8)
            ended = try sendSlowly(text, every: .milliseconds(20), to: server.port)
            #expect(ended)
            #expect(NIODeadline.now() - start < .seconds(5))
        }
    }

    @Test("a client that takes no answers is not answered for ever")
    func unread() throws {
        var limits = quick
        limits.idleTimeout = .milliseconds(500)
        // A few such documents fill the buffers between the two.
        let large = [UInt8](repeating: 1, count: 1 << 18)
        try withServer(limits: limits, document: { _ in large }) { server throws in
            try sendWithoutReading(
                Array(repeating: "GET /vcek/v1/Milan/crl HTTP/1.1\r\nHost: a\r\n\r\n", count: 200_000).joined(),
                to: server.port, for: .seconds(2))
            #expect(server.counts.requests < 100, "\(server.counts.requests)")
            #expect(try sendRaw(Self.good, to: server.port).status == 200)
        }
    }

    @Test("connections beyond the limit are closed at once, and the others served")
    func connections() throws {
        var limits = ServerLimits()
        limits.connectionCount = 3
        try withServer(limits: limits) { server throws in
            let held = try (0..<3).map { _ in try hold(server.port) }
            while server.counts.requests < 3 { try shortPause() }
            #expect(try sendRaw(Self.good, to: server.port).bytes.isEmpty)
            #expect(server.counts.refusedConnections == 1)
            for channel in held { try channel.close().wait() }
            var status: Int?
            for _ in 0..<100 where status == nil {
                status = try sendRaw(Self.good, to: server.port).status
                try shortPause()
            }
            #expect(status == 200)
        }
    }
}
