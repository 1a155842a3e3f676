// One event of the GHCB page protocol as a step gives it: any contents, right or wrong.

public import SNPArchitecture

/// A field and its value.
@frozen public struct GHCBFieldValue: Hashable, Sendable {
    /// The field.
    public var field: GHCBField
    /// The value.
    public var value: UInt64
    /// Makes a pair.
    @inlinable public init(_ field: GHCBField, _ value: UInt64) {
        self.field = field
        self.value = value
    }
}

/// What a guest writes to its GHCB before VMGEXIT, and what should stand there afterwards.
public struct GHCBCall: Hashable, Sendable {
    /// The fields to fill; their valid bits are set. SW_SCRATCH is the shared buffer unless it is among them.
    public var inputs: [GHCBFieldValue]
    /// The shared buffer from its first byte on.
    public var buffer: [UInt8] = []
    /// The usage, 0 for the standard layout.
    public var usage: UInt32 = 0
    /// The protocol version.
    public var version: UInt16 = 2
    /// What the fields should hold afterwards, with their valid bits set.
    public var outputs: [GHCBFieldValue] = [GHCBFieldValue(.exitInfo1, 0)]
    /// What the shared buffer should begin with afterwards.
    public var expectedBuffer: [UInt8] = []

    /// Makes a call with the three fields that every event has.
    public init(_ code: ExitCode, info1: UInt64 = 0, info2: UInt64 = 0, _ inputs: [GHCBFieldValue] = []) {
        self.inputs =
            [
                GHCBFieldValue(.exitCode, code.rawValue), GHCBFieldValue(.exitInfo1, info1),
                GHCBFieldValue(.exitInfo2, info2),
            ] + inputs
    }

    /// Whether the shared buffer is the scratch area.
    var usesSharedBuffer: Bool { !buffer.isEmpty && !inputs.contains { $0.field == .scratch } }
}
