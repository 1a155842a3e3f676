// One connection: takes requests one at a time, answers, misbehaves on request, and ends the connection in time.

internal import NIOCore
internal import NIOHTTP1

/// The last handler of a connection. Behind a pipelining handler: a request comes only after the answer before it.
final class RequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum Phase {
        /// Between requests, or a part of one is there, or an answer is on its way out.
        case waiting
        /// The answer is being made, or held back.
        case answering
        /// The last answer is on its way out; whatever arrives is thrown away.
        case closing
    }

    private let service: AnswerService
    private var phase = Phase.waiting
    private var head: HTTPRequestHead?
    private var bodyByteCount = 0
    private var isCounted = false
    private var isActive = true
    private var inputHasEnded = false
    /// When the last request was whole, or the last answer taken.
    private var lastProgress = NIODeadline.now()
    private var watch: Scheduled<Void>?

    init(_ service: AnswerService) { self.service = service }

    func channelActive(context: ChannelHandlerContext) {
        isCounted = service.beginConnection()
        guard isCounted else { return context.close(promise: nil) }
        lastProgress = .now()
        scheduleWatch(context, at: lastProgress + service.limits.idleTimeout)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if isCounted { service.endConnection() }
        isCounted = false
        isActive = false
        watch?.cancel()
        watch = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .waiting, isCounted else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            bodyByteCount = 0
        case .body(let part):
            bodyByteCount += part.readableBytes
            guard bodyByteCount > service.limits.bodyByteCount, let head else { return }
            self.head = nil
            _ = service.beginRequest(asked: nil)
            send(Answer(.payloadTooLarge, "a request needs no body"), to: head, context, isLast: true)
        case .end:
            guard let head else { return }
            self.head = nil
            lastProgress = .now()
            answer(head, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The handlers before this one have answered a request that cannot be read.
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            inputHasEnded = true
            if phase == .waiting { context.close(promise: nil) }
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    // MARK: Answers

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        switch service.decide(head) {
        case .answer(let answer, let fault): deliver(answer, to: head, fault, context)
        case .document(let request, let fault):
            if let answer = service.knownAnswer(to: request) { return deliver(answer, to: head, fault, context) }
            phase = .answering
            service.answer(to: request, on: context.eventLoop).assumeIsolated().whenComplete { result in
                switch result {
                case .success(let answer): self.deliver(answer, to: head, fault, context)
                case .failure: if self.isActive { context.close(promise: nil) }
                }
            }
        }
    }

    private func deliver(
        _ answer: Answer, to head: HTTPRequestHead, _ fault: Fault?, _ context: ChannelHandlerContext
    ) {
        switch fault {
        case .slow(let milliseconds):
            phase = .answering
            context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(Int64(milliseconds))) {
                self.send(answer, to: head, context, isLast: !head.isKeepAlive)
            }
        case .truncated: send(answer, to: head, context, isLast: true, isTruncated: true)
        default: send(answer, to: head, context, isLast: !head.isKeepAlive)
        }
    }

    private func send(
        _ answer: Answer, to request: HTTPRequestHead, _ context: ChannelHandlerContext, isLast: Bool,
        isTruncated: Bool = false
    ) {
        guard isActive else { return }
        service.countAnswer(answer)
        let isLast = isLast || inputHasEnded
        phase = isLast ? .closing : .waiting
        var head = HTTPResponseHead(version: .http1_1, status: answer.status)
        head.headers.reserveCapacity(5)
        head.headers.add(name: "Content-Type", value: answer.contentType)
        head.headers.add(name: "Content-Length", value: String(answer.body.readableBytes))
        for (name, value) in answer.extraFields { head.headers.add(name: name, value: value) }
        if isLast {
            head.headers.add(name: "Connection", value: "close")
        } else if request.version != .http1_1 {
            head.headers.add(name: "Connection", value: "keep-alive")
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        var body = answer.body
        if isTruncated { body = body.getSlice(at: body.readerIndex, length: body.readableBytes / 2) ?? body }
        let isTaken = context.eventLoop.makePromise(of: Void.self)
        if request.method == .HEAD {
            isTaken.succeed()
        } else {
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: isTaken)
        }
        if isTruncated {
            context.flush()
            context.close(promise: nil)
        } else if context.channel.isWritable {
            finish(context, isLast: isLast)
        } else {
            // The next request, which may be here already, waits until the client has taken this answer.
            context.flush()
            isTaken.futureResult.assumeIsolated().whenSuccess { self.finish(context, isLast: isLast) }
        }
    }

    private func finish(_ context: ChannelHandlerContext, isLast: Bool) {
        guard isActive else { return }
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            self.lastProgress = .now()
            if isLast, self.isActive { context.close(promise: nil) }
        }
    }

    // MARK: Time

    private func scheduleWatch(_ context: ChannelHandlerContext, at deadline: NIODeadline) {
        watch = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.check(context) }
    }

    /// Closes a connection without progress. Bytes of a request that is never whole are none.
    private func check(_ context: ChannelHandlerContext) {
        guard isActive else { return }
        let now = NIODeadline.now()
        let limit = service.limits.idleTimeout
        if phase == .answering { return scheduleWatch(context, at: now + limit) }
        guard lastProgress + limit > now else { return context.close(promise: nil) }
        scheduleWatch(context, at: lastProgress + limit)
    }
}
