import Attestation
import NIOCore
import SNPArchitecture
import Testing

@testable import KeyDistribution

@Suite("The server")
struct ServerTests {
    private func get(_ target: String, _ fields: String = "", method: String = "GET") -> String {
        "\(method) \(target) HTTP/1.1\r\nHost: a\r\n\(fields)Connection: close\r\n\r\n"
    }

    @Test("each path gives its document", arguments: RequestTests.requests)
    func documents(_ request: KeyDistributionRequest) throws {
        try withServer { server throws in
            let reply = try sendRaw(get(request.target), to: server.port)
            #expect(reply.status == 200)
            #expect(reply.body == document(request))
            var isChain = false
            if case .chain = request { isChain = true }
            let type = isChain ? "application/x-pem-file" : "application/octet-stream"
            #expect(reply.text.contains("Content-Type: \(type)\r\n"))
        }
    }

    @Test("HEAD gives the head of the same answer, without a body")
    func head() throws {
        try withServer { server throws in
            let request = KeyDistributionRequest.chain(.vcek, .milan)
            let reply = try sendRaw(get(request.target, method: "HEAD"), to: server.port)
            #expect(reply.status == 200)
            #expect(reply.text.contains("Content-Length: \(document(request)?.count ?? 0)\r\n"))
            #expect(reply.body.isEmpty)
        }
    }

    @Test("404 for a chip that is not known, and it is not remembered")
    func unknownChip() throws {
        try withServer { server throws in
            let target = KeyDistributionRequest.endorsement(
                .milan, chip: KeyDistributionTests.unknownChip, tcb: milanTCB
            )
            .target
            #expect(try sendRaw(get(target), to: server.port).status == 404)
            #expect(try sendRaw(get(target), to: server.port).status == 404)
            #expect(server.counts.documentsMade == 0)
        }
    }

    @Test("a document is made once, however often it is asked for")
    func caching() throws {
        try withServer { server throws in
            for request in RequestTests.requests + RequestTests.requests {
                #expect(try sendRaw(get(request.target), to: server.port).status == 200)
            }
            #expect(server.counts.documentsMade == RequestTests.requests.count)
            #expect(server.counts.answers == [200: 2 * RequestTests.requests.count])
        }
    }

    @Test("the oldest certificate goes when there is no room")
    func eviction() throws {
        let cache = DocumentCache(capacity: 3)
        let requests = RequestTests.requests.prefix(5)
        for request in requests { cache.remember(ByteBuffer(string: request.target), for: request) }
        #expect(cache.count == 3)
        #expect(requests.map { cache.document(for: $0) != nil } == [false, false, true, true, true])
    }

    @Test("405 names the methods", arguments: ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
    func methods(_ method: String) throws {
        try withServer { server throws in
            let reply = try sendRaw(get("/vcek/v1/Milan/crl", method: method), to: server.port)
            #expect(reply.status == 405)
            #expect(reply.text.contains("Allow: GET, HEAD\r\n"))
        }
    }

    @Test("requests in a row on one connection are answered in order, also if all come at once")
    func pipelining() throws {
        try withServer { server throws in
            let targets = RequestTests.requests.map(\.target)
            let text = targets.map { "GET \($0) HTTP/1.1\r\nHost: a\r\n\r\n" }.joined() + get("/")
            let reply = try sendRaw(text, to: server.port)
            #expect(reply.answerCount == targets.count + 1)
            var rest = reply.text[...]
            for target in targets {
                let place = try #require(rest.range(of: "document \(target)\n"))
                rest = rest[place.upperBound...]
            }
        }
    }

    @Test("a request that comes byte by byte is answered")
    func byteByByte() throws {
        try withServer { server throws in
            let reply = try sendRaw(Array(get("/vcek/v1/Milan/crl").utf8), to: server.port, pieceByteCount: 1)
            #expect(reply.status == 200)
        }
    }

    @Test("a client that ends its side after the request gets its answer, and the connection ends")
    func halfClosed() throws {
        try withServer { server throws in
            let text = "GET /vcek/v1/Milan/crl HTTP/1.1\r\nHost: a\r\n\r\n"
            let reply = try sendRaw(Array(text.utf8), to: server.port, halfClose: true, timeout: .seconds(5))
            #expect(reply.status == 200)
            #expect(reply.body == document(.revocationList(.vcek, .milan)))
            #expect(reply.ended)
        }
    }

    @Test("HTTP/1.0 closes unless it asks to be kept")
    func oldProtocol() throws {
        try withServer { server throws in
            let reply = try sendRaw("GET /vcek/v1/Milan/crl HTTP/1.0\r\n\r\n", to: server.port)
            #expect(reply.status == 200 && reply.ended)
            let kept = "GET /vcek/v1/Milan/crl HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
            #expect(try sendRaw(kept + "GET / HTTP/1.0\r\n\r\n", to: server.port).answerCount == 2)
        }
    }

    @Test("a port that is taken, and one that is none, are refused")
    func ports() throws {
        try withServer { server throws in
            #expect {
                try KeyDistributionServer(port: server.port) { _ in nil }
            } throws: { error in
                guard case .bind(let port, _) = error as? KeyDistributionServerError else { return false }
                return port == server.port
            }
        }
        #expect(throws: KeyDistributionServerError.port(65_536)) {
            try KeyDistributionServer(port: 65_536) { _ in nil }
        }
        #expect(throws: KeyDistributionServerError.port(-1)) { try KeyDistributionServer(port: -1) { _ in nil } }
    }

    @Test("a server that has stopped takes no connection")
    func stopped() throws {
        let url = try withServer { $0.url }
        let (client, pauses) = try makeClient(url)
        #expect {
            try client.fetch(.chain(.vcek, .milan))
        } throws: { error in
            guard case .noConnection = (error as? KeyDistributionError)?.failure else { return false }
            return (error as? KeyDistributionError)?.attempts == 1
        }
        #expect(pauses.all.isEmpty)
    }
}

extension StringProtocol {
    /// Where a text occurs first.
    func range(of text: String) -> Range<Index>? {
        let wanted = Array(text.utf8)
        var start = utf8.startIndex
        while start < utf8.endIndex {
            if utf8[start...].starts(with: wanted) {
                return start..<utf8.index(start, offsetBy: wanted.count)
            }
            start = utf8.index(after: start)
        }
        return nil
    }
}
