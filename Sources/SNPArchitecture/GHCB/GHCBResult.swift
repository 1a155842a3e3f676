// What SW_EXITINFO1 and SW_EXITINFO2 say when the guest goes on: nothing, an exception to raise, or what was malformed.

/// Bits 31:0 of SW_EXITINFO1 in an answer. An open set.
///
/// - Spec: GHCB 56421, "NAE event results", SW_EXITINFO1
@frozen public struct GHCBAction: RawRepresentable, Hashable, Sendable {
    /// The number.
    public var rawValue: UInt32
    /// Makes an action from its number.
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// No action: SW_EXITINFO2 is the event's own.
    @inlinable public static var none: Self { Self(rawValue: 0) }
    /// The guest raises the exception that SW_EXITINFO2 describes.
    @inlinable public static var raiseException: Self { Self(rawValue: 1) }
    /// The request was malformed: SW_EXITINFO2 is a `GHCBMalformedInput`.
    @inlinable public static var malformedInput: Self { Self(rawValue: 2) }
}

/// What was wrong with a request: SW_EXITINFO2 with the action `malformedInput`.
///
/// - Spec: GHCB 56421, "NAE event results", reasons for malformed input
@frozen public enum GHCBMalformedInput: UInt64, CaseIterable, Sendable {
    /// The page was not registered.
    case notRegistered = 1
    /// The usage is not 0.
    case invalidUsage = 2
    /// The scratch area is not where it may be.
    case invalidScratchArea = 3
    /// A field that the event needs is not marked valid.
    case missingInput = 4
    /// A field has a value that the event does not allow.
    case invalidInput = 5
    /// The host does not know the event.
    case invalidEvent = 6
}
