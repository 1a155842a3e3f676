// A key distribution server on loopback, with the layout of AMD's URLs. It keeps no keys: it is given documents.

internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Why a server does not start.
public enum KeyDistributionServerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The system refused the address, with its reason.
    case bind(port: Int, reason: String)
    /// The port is not from 0 to 65535.
    case port(Int)

    /// What is wrong.
    public var description: String {
        switch self {
        case .bind(let port, let reason): "cannot listen on 127.0.0.1 port \(port): \(reason)"
        case .port(let port): "\(port) is not a port. Use 0 to 65535; 0 is any that is free."
        }
    }
}

/// A key distribution server.
///
/// - Spec: 57230, chapter 4
/// - Deviates: AMD's server speaks TLS and limits how often it answers; the texts of its refusals are unconfirmed
public final class KeyDistributionServer: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let service: AnswerService
    /// The port that it listens on.
    public let port: Int

    /// Starts a server on 127.0.0.1.
    ///
    /// - Parameters:
    ///   - port: 0 for any that is free.
    ///   - document: The document that a request asks for, nil for 404. Called on one thread; what it gives is kept.
    /// - Throws: in check order: `.port`, `.bind`
    public init(
        port: Int = 0, limits: ServerLimits = ServerLimits(), faults: FaultPlan = FaultPlan(), loopCount: Int = 1,
        document: @escaping @Sendable (KeyDistributionRequest) -> [UInt8]?
    ) throws(KeyDistributionServerError) {
        guard (0...65_535).contains(port) else { throw .port(port) }
        let service = AnswerService(limits: limits, faults: faults, document: document)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, loopCount))
        do {
            channel = try Self.bootstrap(service, group).bind(host: "127.0.0.1", port: port).wait()
        } catch {
            try? group.syncShutdownGracefully()
            service.stop()
            throw .bind(port: port, reason: (error as? IOError)?.description ?? "\(error)")
        }
        self.group = group
        self.service = service
        self.port = channel.localAddress?.port ?? port
    }

    /// Where it answers, such as `http://127.0.0.1:8080`.
    public var url: String { "http://127.0.0.1:\(port)" }

    /// What it has done so far.
    public var counts: ServerCounts { service.counts }

    /// Closes all connections and ends its threads. To be called once.
    public func stop() {
        try? channel.close().wait()
        try? group.syncShutdownGracefully()
        service.stop()
    }

    private static func bootstrap(_ service: AnswerService, _ group: MultiThreadedEventLoopGroup) -> ServerBootstrap {
        var decoderLimits = NIOHTTPDecoderLimitConfiguration()
        decoderLimits.maxHeaderFieldSize = service.limits.headerFieldByteCount
        decoderLimits.maxHeaderListSize = service.limits.headerByteCount
        decoderLimits.maxHeaderFieldCount = service.limits.headerFieldCount
        let bounds = decoderLimits
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    // Out of file descriptors, it waits instead of failing.
                    try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler())
                }
            }
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    // With the pipelining handler, nothing is read while an answer is owed.
                    try pipeline.configureHTTPServerPipeline(
                        withEncoderConfiguration: HTTPResponseEncoder.Configuration(),
                        withDecoderLimitConfiguration: bounds)
                    try pipeline.addHandler(RequestHandler(service))
                }
            }
    }
}
