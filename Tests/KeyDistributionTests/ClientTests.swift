import Attestation
import NIOCore
import NIOPosix
import SNPArchitecture
import Testing

@testable import KeyDistribution

@Suite("The client")
struct ClientTests {
    private let request = KeyDistributionRequest.chain(.vcek, .genoa)

    private func failure(_ body: () throws -> Void) -> KeyDistributionError? {
        do {
            try body()
            return nil
        } catch {
            return error as? KeyDistributionError
        }
    }

    @Test("fetches each document", arguments: RequestTests.requests)
    func fetches(_ request: KeyDistributionRequest) throws {
        try withServer { server throws in
            let (client, pauses) = try makeClient(server.url)
            #expect(try client.fetch(request) == document(request))
            #expect(pauses.all.isEmpty)
            #expect(server.counts.requests == 1)
        }
    }

    @Test("waits as long as 429 asks it to, and tries again")
    func retryAfter() throws {
        let plan = FaultPlan([FaultRule(.tooManyRequests(retryAfterSeconds: 7), .first(2))])
        try withServer(faults: plan) { server throws in
            let (client, pauses) = try makeClient(server.url)
            #expect(try client.fetch(request) == document(request))
            #expect(pauses.all == [.seconds(7), .seconds(7)])
            #expect(server.counts.answers == [429: 2, 200: 1])
        }
    }

    @Test("a pause that 429 asks for is really made")
    func realPause() throws {
        let plan = FaultPlan([FaultRule(.tooManyRequests(retryAfterSeconds: 1), .first(1))])
        try withServer(faults: plan) { server throws in
            let start = NIODeadline.now()
            #expect(try KeyDistributionClient(url: server.url).fetch(request) == document(request))
            #expect(NIODeadline.now() - start >= .milliseconds(990))
        }
    }

    @Test("gives up where 429 asks for more than it is willing to wait")
    func longRetryAfter() throws {
        try withServer(faults: FaultPlan([FaultRule(.tooManyRequests(retryAfterSeconds: 31))])) { server throws in
            let (client, pauses) = try makeClient(server.url)
            let error = failure { _ = try client.fetch(request) }
            #expect(error?.failure == .pauseTooLong(seconds: 31))
            #expect(error?.attempts == 1 && pauses.all.isEmpty && server.counts.requests == 1)
        }
    }

    static let transient: [(Fault, KeyDistributionFailure)] = [
        (.serverError, .status(500)), (.truncated, .truncated),
    ]

    @Test("tries again with growing pauses after 500 and after an answer that is cut off", arguments: transient)
    func backOff(_ fault: Fault, _ expected: KeyDistributionFailure) throws {
        try withServer(faults: FaultPlan([FaultRule(fault, .first(3))])) { server throws in
            let (client, pauses) = try makeClient(server.url)
            #expect(try client.fetch(request) == document(request))
            #expect(pauses.all == [.milliseconds(100), .milliseconds(200), .milliseconds(400)])
            #expect(server.counts.requests == 4 && server.counts.faults == 3)
        }
    }

    @Test("says what happened and how often it tried, when it has tried often enough", arguments: transient)
    func givesUp(_ fault: Fault, _ expected: KeyDistributionFailure) throws {
        try withServer(faults: FaultPlan([FaultRule(fault)])) { server throws in
            let (client, pauses) = try makeClient(server.url)
            let error = failure { _ = try client.fetch(request) }
            #expect(error == KeyDistributionError(expected, url: server.url + request.target, attempts: 5))
            #expect(error?.description.hasSuffix("(tried 5 times)") == true)
            #expect(pauses.all.count == 4 && server.counts.requests == 5)
        }
    }

    @Test("404 is not tried again")
    func notFound() throws {
        try withServer { server throws in
            let (client, pauses) = try makeClient(server.url)
            let request = KeyDistributionRequest.endorsement(.milan, chip: unknownChip, tcb: milanTCB)
            let error = failure { _ = try client.fetch(request) }
            #expect(error?.failure == .status(404))
            #expect(pauses.all.isEmpty && server.counts.requests == 1)
        }
    }

    @Test("a slow answer is waited for, one that is too slow is not")
    func slow() throws {
        try withServer(faults: FaultPlan([FaultRule(.slow(milliseconds: 400))])) { server throws in
            var (client, _) = try makeClient(server.url)
            #expect(try client.fetch(request) == document(request))
            client.policy.answerTimeout = .milliseconds(100)
            client.policy.attempts = 2
            let error = failure { _ = try client.fetch(request) }
            #expect(error?.failure == .timeout && error?.attempts == 2)
        }
    }

    @Test("pauses double and never exceed the longest, which also bounds what a server may ask for")
    func policy() {
        var policy = RetryPolicy()
        policy.attempts = 100
        policy.longestPause = .seconds(1)
        let pauses = (1...7).map { policy.step(after: $0, .status(503)) }
        #expect(
            pauses == [100, 200, 400, 800, 1000, 1000, 1000].map { RetryPolicy.Step.pause(.milliseconds($0)) })
        #expect(policy.step(after: 1, .status(429), retryAfterSeconds: 1) == .pause(.seconds(1)))
        #expect(policy.step(after: 1, .status(429), retryAfterSeconds: 2) == .giveUp(.pauseTooLong(seconds: 2)))
        #expect(policy.step(after: 100, .status(429), retryAfterSeconds: 1) == .giveUp(.status(429)))
        for failure in [.status(404), .status(400), .notHTTP, .tooLarge, .noConnection("")] as [KeyDistributionFailure]
        {
            #expect(policy.step(after: 1, failure) == .giveUp(failure))
        }
    }

    static let hostile: [(String, KeyDistributionFailure)] = [
        ("", .truncated), ("garbage\r\n\r\n", .notHTTP),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", .truncated),
        ("HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc", .notHTTP), ("HTTP/1.1 200", .truncated),
        ("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", .status(302)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", .truncated),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + String(repeating: "x", count: 5_000_000), .tooLarge),
    ]

    @Test("an answer that is none is told from one that is cut off", arguments: hostile)
    func hostileServers(_ answer: String, _ expected: KeyDistributionFailure) throws {
        let server = try RawServer(Array(answer.utf8))
        defer { server.stop() }
        let (client, _) = try makeClient(server.url)
        let error = failure { _ = try client.fetch(request) }
        #expect(error?.failure == expected)
    }

    @Test("a server that says nothing is left in time")
    func silentServer() throws {
        let server = try RawServer([], hangs: true)
        defer { server.stop() }
        var policy = RetryPolicy()
        policy.answerTimeout = .milliseconds(100)
        policy.attempts = 2
        let error = failure { _ = try makeClient(server.url, policy).0.fetch(request) }
        #expect(error?.failure == .timeout && error?.attempts == 2)
    }

    @Test("a document that is no certificate is refused as such")
    func notCertificates() throws {
        try withServer { server throws in
            let (client, _) = try makeClient(server.url)
            // Not inside the macro: there, a closure would be taken for the next one of this closure.
            let chain = failure { _ = try client.chain(.vcek, of: .milan) }?.failure
            #expect(chain == .certificate(.noPEM))
            let list = failure { _ = try client.revocationList(.vcek, of: .milan) }?.failure
            #expect(list == .certificate(.malformed("the revocation list")))
            let vcek = failure { _ = try client.endorsement(of: .milan, chip: knownChip, tcb: milanTCB) }?.failure
            #expect(vcek == .certificate(.malformed("the certificate")))
        }
    }

    static let urls: [(String, String?)] = [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"), ("http://localhost", "http://localhost"),
        ("HTTP://host:81/kds//", "http://host:81/kds"), ("http://[::1]:8080/", "http://[::1]:8080"),
        ("", nil), ("localhost:8080", nil), ("ftp://a", nil), ("http://", nil), ("http://:80", nil), ("http://a:", nil),
        ("http://a:0", nil), ("http://a:65536", nil), ("http://a:+8", nil), ("http://[::1", nil),
        ("http://[::1]8", nil),
        ("http://a b", nil), ("http://a?b=c", nil), ("http://a/#b", nil), ("http://u@a", nil),
        ("http://a\r\nX: y", nil),
    ]

    @Test("the URL of a server is read or refused", arguments: urls)
    func locations(_ url: String, _ expected: String?) {
        #expect((try? ServerLocation(url))?.description == expected)
    }

    @Test("https is refused with what to do instead")
    func secure() {
        let error = failure { _ = try KeyDistributionClient(url: "https://kdsintf.amd.com") }
        #expect(error?.failure == .secureScheme)
        #expect(error?.description.contains("--certs") == true)
    }

    @Test("many clients at once are all served, with faults among the answers")
    func concurrent() throws {
        let plan = FaultPlan(
            [FaultRule(.serverError, .probability(0.1)), FaultRule(.truncated, .probability(0.1))], seed: 5)
        try withServer(faults: plan) { server throws in
            let pool = NIOThreadPool(numberOfThreads: 16)
            pool.start()
            defer { try? pool.syncShutdownGracefully() }
            let loop = NIOSingletons.posixEventLoopGroup.next()
            let work = (0..<16).map { worker in
                pool.runIfActive(eventLoop: loop) {
                    var policy = RetryPolicy()
                    policy.attempts = 20
                    let (client, _) = try makeClient(server.url, policy)
                    var wrong = 0
                    for index in 0..<20 {
                        let request = RequestTests.requests[(worker + index) % RequestTests.requests.count]
                        if try client.fetch(request) != document(request) { wrong += 1 }
                    }
                    return wrong
                }
            }
            #expect(try EventLoopFuture.whenAllSucceed(work, on: loop).wait() == [Int](repeating: 0, count: 16))
            #expect(server.counts.requests == 320 + server.counts.faults)
            #expect(server.counts.faults > 20)
            #expect(server.counts.documentsMade == RequestTests.requests.count)
        }
    }
}

@Suite("Faults on request")
struct RequestedFaultTests {
    private func get(_ fault: String, query: Bool, _ port: Int) throws -> RawReply {
        let target = "/vcek/v1/Milan/crl" + (query ? "?rampart-fault=\(fault)" : "")
        let field = query ? "" : "X-Rampart-Fault: \(fault)\r\n"
        return try sendRaw("GET \(target) HTTP/1.1\r\nHost: a\r\n\(field)Connection: close\r\n\r\n", to: port)
    }

    @Test("a client gets the fault that it asks for, by field or by parameter", arguments: [false, true])
    func statuses(_ query: Bool) throws {
        try withServer { server throws in
            #expect(try get("404", query: query, server.port).status == 404)
            #expect(try get("500", query: query, server.port).status == 500)
            let limited = try get("429=9", query: query, server.port)
            #expect(limited.status == 429)
            #expect(limited.text.contains("Retry-After: 9\r\n"))
            let whole = document(.revocationList(.vcek, .milan)) ?? []
            let cut = try get("truncated", query: query, server.port)
            #expect(cut.status == 200 && cut.ended)
            #expect(cut.text.contains("Content-Length: \(whole.count)\r\n"))
            #expect(cut.body == Array(whole[..<(whole.count / 2)]))
            let start = NIODeadline.now()
            #expect(try get("slow=300", query: query, server.port).body == whole)
            #expect(NIODeadline.now() - start >= .milliseconds(290))
            #expect(server.counts.faults == 5)
        }
    }

    @Test("the fault asked for goes before that of the plan")
    func precedence() throws {
        try withServer(faults: FaultPlan([FaultRule(.serverError)])) { server throws in
            #expect(try get("404", query: false, server.port).status == 404)
            #expect(try sendRaw(HostileClientTests.good, to: server.port).status == 500)
        }
    }

    @Test("a slow answer holds up nobody else, and outlives the idle time")
    func slow() throws {
        var limits = ServerLimits()
        limits.idleTimeout = .milliseconds(200)
        try withServer(limits: limits) { server throws in
            let pool = NIOThreadPool(numberOfThreads: 1)
            pool.start()
            defer { try? pool.syncShutdownGracefully() }
            let port = server.port
            let slow = pool.runIfActive(eventLoop: NIOSingletons.posixEventLoopGroup.next()) {
                try get("slow=1500", query: false, port).status
            }
            while server.counts.requests == 0 { try shortPause() }
            let start = NIODeadline.now()
            #expect(try sendRaw(HostileClientTests.good, to: port).status == 200)
            #expect(NIODeadline.now() - start < .seconds(1))
            #expect(try slow.wait() == 200)
        }
    }
}
