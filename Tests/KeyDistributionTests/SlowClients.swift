// Clients that keep a connection busy: they send slowly, do not read, or do nothing.

import NIOCore
import NIOPosix

/// A short pause.
func shortPause() throws {
    try NIOSingletons.posixEventLoopGroup.next().scheduleTask(in: .milliseconds(10)) {}.futureResult.wait()
}

/// Opens a connection, sends one whole request and keeps the connection.
func hold(_ port: Int) throws -> any Channel {
    let channel = try ClientBootstrap(group: NIOSingletons.posixEventLoopGroup).connect(host: "127.0.0.1", port: port)
        .wait()
    try channel.writeAndFlush(ByteBuffer(string: "GET /vcek/v1/Milan/crl HTTP/1.1\r\nHost: a\r\n\r\n")).wait()
    return channel
}

/// Sends a byte at a time and starts again at the end; true if the other side ends the connection within five seconds.
func sendSlowly(_ bytes: [UInt8], every pause: TimeAmount, to port: Int) throws -> Bool {
    let channel = try ClientBootstrap(group: NIOSingletons.posixEventLoopGroup).connect(host: "127.0.0.1", port: port)
        .wait()
    defer { try? channel.close().wait() }
    let end = NIODeadline.now() + .seconds(5)
    var index = 0
    while NIODeadline.now() < end {
        guard channel.isActive,
            (try? channel.writeAndFlush(ByteBuffer(bytes: [bytes[index % bytes.count]])).wait()) != nil
        else { return true }
        index += 1
        try channel.eventLoop.scheduleTask(in: pause) {}.futureResult.wait()
    }
    return false
}

/// Sends a text without reading anything, and keeps the connection for some time.
func sendWithoutReading(_ text: String, to port: Int, for time: TimeAmount) throws {
    let channel = try ClientBootstrap(group: NIOSingletons.posixEventLoopGroup)
        .channelOption(.autoRead, value: false)
        .connect(host: "127.0.0.1", port: port).wait()
    channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
    try channel.eventLoop.scheduleTask(in: time) {}.futureResult.wait()
    try? channel.close().wait()
}
