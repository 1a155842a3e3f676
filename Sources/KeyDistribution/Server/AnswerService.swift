// What all connections of a server share: documents, faults, counters, limits.

internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// What a server has done so far.
public struct ServerCounts: Hashable, Sendable {
    /// Requests that arrived whole.
    public var requests = 0
    /// Answers by status; one for a request that could not be read is not among them.
    public var answers: [Int: Int] = [:]
    /// Requests that a fault hit.
    public var faults = 0
    /// Documents that had to be made.
    public var documentsMade = 0
    /// Connections that were closed at once, because there were too many.
    public var refusedConnections = 0
}

/// Finds answers, and makes documents on a thread of its own so that event loops never wait for a signature.
final class AnswerService: Sendable {
    let limits: ServerLimits
    private let faults: FaultPlan
    private let makeDocument: @Sendable (KeyDistributionRequest) -> [UInt8]?
    private let cache: DocumentCache
    private let pool = NIOThreadPool(numberOfThreads: 1)
    private let state = Mutex(State())

    private struct State {
        var counts = ServerCounts()
        var connections = 0
    }

    init(
        limits: ServerLimits, faults: FaultPlan, document: @escaping @Sendable (KeyDistributionRequest) -> [UInt8]?
    ) {
        self.limits = limits
        self.faults = faults
        makeDocument = document
        cache = DocumentCache(capacity: limits.certificateCount)
        pool.start()
    }

    var counts: ServerCounts { state.withLock { $0.counts } }

    func stop() { try? pool.syncShutdownGracefully() }

    /// Counts a request; the fault of the plan that hits it. A fault that the client asks for goes first.
    func beginRequest(asked: Fault?) -> Fault? {
        state.withLock { state in
            state.counts.requests += 1
            let fault = asked ?? faults.fault(forRequest: state.counts.requests)
            if fault != nil { state.counts.faults += 1 }
            return fault
        }
    }

    func countAnswer(_ answer: Answer) {
        state.withLock { $0.counts.answers[Int(answer.status.code), default: 0] += 1 }
    }

    /// Counts a connection; false if there are too many.
    func beginConnection() -> Bool {
        state.withLock { state in
            guard state.connections < limits.connectionCount else {
                state.counts.refusedConnections += 1
                return false
            }
            state.connections += 1
            return true
        }
    }

    func endConnection() { state.withLock { $0.connections -= 1 } }

    /// The answer if it is known already.
    func knownAnswer(to request: KeyDistributionRequest) -> Answer? {
        cache.document(for: request).map { Answer($0, for: request) }
    }

    /// Makes the answer.
    func answer(to request: KeyDistributionRequest, on loop: any EventLoop) -> EventLoopFuture<Answer> {
        pool.runIfActive(eventLoop: loop) { [self] in
            // Another connection may have asked for the same meanwhile.
            if let known = knownAnswer(to: request) { return known }
            guard let bytes = makeDocument(request) else {
                return Answer(.notFound, "no such chip or authority is known here")
            }
            let document = ByteBuffer(bytes: bytes)
            cache.remember(document, for: request)
            state.withLock { $0.counts.documentsMade += 1 }
            return Answer(document, for: request)
        }
    }
}
