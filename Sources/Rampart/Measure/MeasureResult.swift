// Measures a guest by launching it, and what comes of it.

public import Monitor

/// The outcome of a measurement.
public struct MeasureResult {
    /// The launch digest, 48 bytes.
    public var digest: [UInt8]
    /// The launch that gave it.
    public var plan: LaunchPlan
    /// What the digest is made of; nil unless asked for.
    public var explanation: LaunchExplanation?

    /// The guest that was launched, alive as long as the result: a process that only prints the digest need not take it down.
    private var guest: LaunchedGuest?

    /// Makes a result.
    public init(
        digest: [UInt8], plan: LaunchPlan, explanation: LaunchExplanation? = nil, guest: LaunchedGuest? = nil
    ) {
        self.digest = digest
        self.plan = plan
        self.explanation = explanation
        self.guest = guest
    }
}

/// Measures a guest by launching it.
///
/// - Parameter explains: whether the result says what the digest is made of
/// - Throws: in check order: `InputError` for files and what is in them; `LaunchFailure`
public func measure(_ request: MeasureRequest, explains: Bool = false) throws -> MeasureResult {
    let plan = try request.plan()
    let guest = try LaunchedGuest(plan, remembersPages: explains)
    let explanation = explains ? LaunchExplanation(guest.measuredPages, of: plan, digest: guest.digest) : nil
    return MeasureResult(digest: guest.digest, plan: plan, explanation: explanation, guest: guest)
}
