// One request and its answer on a connection of its own. The server is not trusted: its answer is bounded in size and time.

internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// What a server answered.
struct HTTPReply: Hashable, Sendable {
    var status: Int
    /// Retry-After, if it is a number of seconds.
    var retryAfterSeconds: Int?
    var body: [UInt8]
}

enum HTTPExchange {
    /// More than any chain or revocation list has.
    static let largestBody = 4 << 20

    /// Asks for a target and waits for the whole answer.
    ///
    /// - Throws: `.noConnection`, `.timeout`, `.notHTTP`, `.tooLarge` or `.truncated`
    static func get(
        _ target: String, from server: ServerLocation, _ policy: RetryPolicy
    ) throws(KeyDistributionFailure) -> HTTPReply {
        let loop = NIOSingletons.posixEventLoopGroup.next()
        let reply = loop.makePromise(of: HTTPReply.self)
        let limit = TimeAmount(policy.answerTimeout)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(policy.connectTimeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(ReplyHandler(target, server, reply, limit))
                }
            }
        do {
            _ = try bootstrap.connect(host: server.host, port: server.port).wait()
        } catch {
            reply.fail(error)
            throw .noConnection(reason(error))
        }
        do {
            return try reply.futureResult.wait()
        } catch let failure as KeyDistributionFailure {
            throw failure
        } catch {
            throw .noConnection(reason(error))
        }
    }

    private static func reason(_ error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return reason(first.error) }
            return "the host \(error.host) is not known"
        }
        if case .connectTimeout = error as? ChannelError { return "it was not taken in time" }
        return (error as? IOError)?.description ?? "\(error)"
    }
}

/// Sends a request and gathers the answer.
private final class ReplyHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let target: String
    private let server: ServerLocation
    private let limit: TimeAmount
    private var reply: EventLoopPromise<HTTPReply>?
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []
    private var timer: Scheduled<Void>?

    init(_ target: String, _ server: ServerLocation, _ reply: EventLoopPromise<HTTPReply>, _ limit: TimeAmount) {
        self.target = target
        self.server = server
        self.reply = reply
        self.limit = limit
    }

    func channelActive(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { self.fail(.timeout, context) }
        let fields: HTTPHeaders = [
            "Host": server.hostField, "User-Agent": "rampart", "Accept": "*/*", "Connection": "close",
        ]
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: server.path + target, headers: fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let part):
            guard body.count + part.readableBytes <= HTTPExchange.largestBody else { return fail(.tooLarge, context) }
            body += part.readableBytesView
        case .end:
            guard let head else { return fail(.notHTTP, context) }
            let seconds = head.headers.first(name: "Retry-After").flatMap(Self.seconds)
            let whole = HTTPReply(status: Int(head.status.code), retryAfterSeconds: seconds, body: body)
            finish(context) { $0.succeed(whole) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .invalidEOFState = error as? HTTPParserError { return fail(.truncated, context) }
        fail(error is HTTPParserError ? .notHTTP : .truncated, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.truncated, context)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { fail(.truncated, context) }

    private func fail(_ failure: KeyDistributionFailure, _ context: ChannelHandlerContext) {
        finish(context) { $0.fail(failure) }
    }

    private func finish(_ context: ChannelHandlerContext, _ body: (EventLoopPromise<HTTPReply>) -> Void) {
        timer?.cancel()
        guard let reply else { return }
        self.reply = nil
        body(reply)
        context.close(promise: nil)
    }

    /// A number of seconds; a date, the other form of Retry-After, is not read.
    private static func seconds(_ text: String) -> Int? {
        guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return Int(text)
    }
}
