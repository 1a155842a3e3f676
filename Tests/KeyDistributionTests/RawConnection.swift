// A client that sends any bytes and gathers what comes back, and a server that says any bytes: neither knows HTTP.

import NIOCore
import NIOPosix
import Testing

@testable import KeyDistribution

/// What a connection gave until it ended.
struct RawReply: Sendable {
    var bytes: [UInt8] = []
    /// The other side closed the connection in time.
    var ended = false

    var text: String { String(decoding: bytes, as: UTF8.self) }
    /// The status of the first answer; nil if there is none.
    var status: Int? { text.hasPrefix("HTTP/1.1 ") ? Int(text.dropFirst(9).prefix(3)) : nil }
    /// How many answers there are.
    var answerCount: Int { text.split(separator: "HTTP/1.1 ", omittingEmptySubsequences: false).count - 1 }
    /// What follows the first empty line.
    var body: [UInt8] {
        guard let end = bytes.indices.dropLast(3).first(where: { Array(bytes[$0..<($0 + 4)]) == [13, 10, 13, 10] })
        else {
            return []
        }
        return Array(bytes[(end + 4)...])
    }
}

/// Sends bytes, in pieces if asked to, and waits for the end of the connection.
func sendRaw(
    _ bytes: [UInt8], to port: Int, pieceByteCount: Int? = nil, halfClose: Bool = false,
    timeout: TimeAmount = .seconds(20)
) throws -> RawReply {
    let loop = NIOSingletons.posixEventLoopGroup.next()
    let reply = loop.makePromise(of: RawReply.self)
    let channel = try ClientBootstrap(group: loop)
        .channelOption(.allowRemoteHalfClosure, value: false)
        .channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(GatheringHandler(reply, timeout))
            }
        }
        .connect(host: "127.0.0.1", port: port).wait()
    for start in stride(from: 0, to: bytes.count, by: pieceByteCount ?? max(1, bytes.count)) {
        let piece = bytes[start..<min(bytes.count, start + (pieceByteCount ?? bytes.count))]
        // The server may have closed the connection meanwhile.
        try? channel.writeAndFlush(ByteBuffer(bytes: piece)).wait()
    }
    if halfClose { try? channel.close(mode: .output).wait() }
    let gathered = try reply.futureResult.wait()
    try? channel.close().wait()
    return gathered
}

func sendRaw(_ text: String, to port: Int) throws -> RawReply { try sendRaw(Array(text.utf8), to: port) }

private final class GatheringHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var reply: EventLoopPromise<RawReply>?
    private var gathered = RawReply()
    private let timeout: TimeAmount

    init(_ reply: EventLoopPromise<RawReply>, _ timeout: TimeAmount) {
        self.reply = reply
        self.timeout = timeout
    }

    func channelActive(context: ChannelHandlerContext) {
        context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.finish(ended: false) }
    }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        gathered.bytes += unwrapInboundIn(data).readableBytesView
    }
    func channelInactive(context: ChannelHandlerContext) { finish(ended: true) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func finish(ended: Bool) {
        gathered.ended = ended
        reply?.succeed(gathered)
        reply = nil
    }
}

/// A server that answers whatever it reads with the same bytes, and closes the connection unless told to hang.
final class RawServer: Sendable {
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let channel: any Channel
    var url: String { "http://127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    init(_ answer: [UInt8], hangs: Bool = false) throws {
        channel = try ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(SayingHandler(answer, hangs))
                }
            }
            .bind(host: "127.0.0.1", port: 0).wait()
    }

    func stop() { try? group.syncShutdownGracefully() }
}

private final class SayingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let answer: [UInt8]
    private let hangs: Bool
    init(_ answer: [UInt8], _ hangs: Bool) {
        self.answer = answer
        self.hangs = hangs
    }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let hangs = hangs
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: answer))).assumeIsolated().whenComplete { _ in
            if !hangs { context.close(promise: nil) }
        }
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
