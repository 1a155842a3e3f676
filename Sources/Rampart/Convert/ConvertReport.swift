// What `rampart convert` is asked and what it answers.

public import SNPArchitecture

/// How a change of memory attributes changes the RMP.
public enum PolicyName: String, CaseIterable, Sendable {
    /// The RMP changes with the attribute.
    case eager
    /// The RMP changes at the first fault, or when a backing page is freed.
    case lazy
    /// As the patch was posted, defects included.
    case asPosted
}

/// A run of conversions on a guest.
public struct ConvertRequest: Hashable, Sendable {
    /// The guest's memory.
    public var memory: ByteSize
    /// The page size of the backing memory.
    public var pageSize: PageSize
    /// The policy.
    public var policy: PolicyName
    /// What to convert; nil to make all memory private and then shared again.
    public var list: ConversionList?
    /// The largest folio of the backing memory, 2^order pages.
    public var folioOrder: UInt8
    /// Which RMPUPDATE is to fail for good, counted from 1; nil for none.
    public var failingUpdate: UInt64?
    /// The memory that each segment of the RMP is for, a power of two; nil for an RMP in one piece.
    public var rmpSegmentSize: ByteSize?

    /// Makes a request. Without an order, folios are of the page size.
    public init(
        memory: ByteSize, pageSize: PageSize, policy: PolicyName, list: ConversionList?, folioOrder: UInt8? = nil,
        failingUpdate: UInt64? = nil, rmpSegmentSize: ByteSize? = nil
    ) {
        self.memory = memory
        self.pageSize = pageSize
        self.policy = policy
        self.list = list
        self.folioOrder = folioOrder ?? (pageSize == .size2M ? 9 : 0)
        self.failingUpdate = failingUpdate
        self.rmpSegmentSize = rmpSegmentSize
    }
}

/// How often the host did what costs.
public struct OperationCounts: Hashable, Sendable {
    /// RMPUPDATE.
    public var rmpUpdates: UInt64 = 0
    /// PSMASH.
    public var psmashes: UInt64 = 0
    /// Splits of direct-map entries.
    public var splits: UInt64 = 0
    /// Nested mappings taken away.
    public var zaps: UInt64 = 0
    /// TLB flushes.
    public var tlbFlushes: UInt64 = 0

    /// Makes counts of zero.
    public init() {}
}

/// How many 4 KiB pages are in one state.
public struct PageTally: Hashable, Sendable {
    /// The state's name.
    public var state: String
    /// The number of 4 KiB pages.
    public var pageCount: UInt64
    /// Makes a tally.
    public init(_ state: String, _ pageCount: UInt64) {
        self.state = state
        self.pageCount = pageCount
    }
}

/// What one conversion did.
public struct ConvertStepReport: Hashable, Sendable {
    /// The step.
    public var step: ConversionStep
    /// The number of 4 KiB pages whose attribute is now as asked.
    public var convertedPageCount: UInt64
    /// Why the step failed, or nil.
    public var failure: String?
    /// What it took.
    public var counts: OperationCounts
    /// The wall-clock time.
    public var duration: Duration

    /// Makes a report.
    public init(
        step: ConversionStep, convertedPageCount: UInt64, failure: String?, counts: OperationCounts, duration: Duration
    ) {
        self.step = step
        self.convertedPageCount = convertedPageCount
        self.failure = failure
        self.counts = counts
        self.duration = duration
    }
}

/// What a run of conversions did.
public struct ConvertReport: Hashable, Sendable {
    /// The request.
    public var request: ConvertRequest
    /// The pages by state before the first step and after the last.
    public var before: [PageTally], after: [PageTally]
    /// The steps, in order.
    public var steps: [ConvertStepReport]
    /// Broken invariants, in words. Empty is good.
    public var violations: [String]
    /// The number of pages that could be brought to neither state.
    public var leakedPageCount: UInt64

    /// Makes a report.
    public init(
        request: ConvertRequest, before: [PageTally], after: [PageTally], steps: [ConvertStepReport],
        violations: [String], leakedPageCount: UInt64
    ) {
        self.request = request
        self.before = before
        self.after = after
        self.steps = steps
        self.violations = violations
        self.leakedPageCount = leakedPageCount
    }

    /// Whether every step did as asked and every invariant holds.
    public var isGood: Bool { violations.isEmpty && leakedPageCount == 0 && steps.allSatisfy { $0.failure == nil } }
}
