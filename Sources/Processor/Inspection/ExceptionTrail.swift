// The last exceptions that a processor delivered, or tried to: what an explanation of a guest's death begins with.

/// An exception or interrupt on its way to the guest's handler.
public struct DeliveredException: Hashable, Sendable {
    /// The vector.
    public var vector: UInt8
    /// The error code, if the vector has one.
    public var errorCode: UInt32?
    /// The address of a page fault.
    public var address: UInt64?
    /// Where the guest was.
    public var rip: UInt64
    /// How many instructions the processor had completed.
    public var instructions: UInt64
    /// The vector of the exception whose delivery failed with this one.
    public var during: UInt8?
    /// It comes from outside the instruction stream.
    public var isExternal: Bool
}

/// The last few exceptions, oldest first.
public struct ExceptionTrail: Hashable, Sendable {
    /// How many are kept.
    public static let capacity = 8
    private var ring: [DeliveredException] = []

    mutating func add(_ exception: DeliveredException) {
        if ring.count == Self.capacity { ring.removeFirst() }
        ring.append(exception)
    }

    /// The exceptions.
    public var exceptions: [DeliveredException] { ring }
}
