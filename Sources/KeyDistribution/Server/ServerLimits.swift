// How much of a server one client may use. Whatever it sends, a connection ends in bounded time and memory.

public import NIOCore

/// The bounds of a server.
public struct ServerLimits: Hashable, Sendable {
    /// Bytes of one header field, and of the request target.
    public var headerFieldByteCount = 4 << 10
    /// Bytes of all header fields of one request and its target.
    public var headerByteCount = 16 << 10
    /// Header fields of one request.
    public var headerFieldCount = 64
    /// Bytes of a target; a longer one that is still within the header's bounds is answered with 414.
    public var targetByteCount = 1 << 10
    /// Bytes of a body. There is no use for one; what is more than this is answered with 413.
    public var bodyByteCount = 16 << 10
    /// The time for a whole request to arrive, for an answer to be taken, and between two requests.
    public var idleTimeout = TimeAmount.seconds(10)
    /// Connections at a time; one more is closed at once.
    public var connectionCount = 512
    /// Certificates kept; the oldest goes first.
    public var certificateCount = 4096

    /// Makes the usual bounds.
    public init() {}
}
