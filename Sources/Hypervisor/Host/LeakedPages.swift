// Pages that could not be given back: they are counted, named, and never handed out again.

public import SNPArchitecture
internal import Scheduling

/// The list of leaked pages.
///
/// - Spec: patch 23 of the series; Linux: `snp_leak_pages()`
public final class LeakedPages: @unchecked Sendable {
    /// One leaked run of frames and why.
    public struct Leak: Hashable, Sendable {
        /// The frames.
        public var frames: Range<PFN>
        /// What refused to take them back.
        public var reason: String
    }

    private let lock = Lock(.leakedPages)
    private var leaks: [Leak] = []

    /// Makes an empty list.
    public init() {}

    /// Takes frames out of circulation for ever.
    public func leak(_ frames: Range<PFN>, reason: String) {
        lock.withLock {
            noteChange()
            leaks.append(Leak(frames: frames, reason: reason))
        }
    }

    func checkpoint() -> Checkpoint {
        let saved = leaks
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in leaks = saved }
        return checkpoint
    }

    /// The leaks so far, without the lock: for the invariants.
    var unlocked: [Leak] { leaks }
    /// The leaks so far.
    public var all: [Leak] { lock.withLock { leaks } }
    /// How many frames have leaked.
    public var count: Int { lock.withLock { leaks.reduce(0) { $0 + $1.frames.count } } }
    /// Whether the frame has leaked.
    public func contains(_ pfn: PFN) -> Bool { lock.withLock { leaks.contains { $0.frames.contains(pfn) } } }
}

extension LockRank {
    /// The list of leaked pages: taken inside the allocator's and the VM's locks.
    static let leakedPages = LockRank(order: 950, name: "leaked pages")
}
