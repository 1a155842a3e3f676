// The order in which locks may be taken, as data. The named ranks are the whole order; a module may add its own.

/// The place of a lock in the order in which locks may be taken: a thread takes only locks of a higher order than any it holds.
public struct LockRank: Hashable, Sendable {
    /// The place; a larger number is taken later. Two locks of one order are never held together.
    public let order: Int
    /// What messages call the lock.
    public let name: String

    /// Makes a rank.
    public init(order: Int, name: String) {
        self.order = order
        self.name = name
    }
}

extension LockRank {
    /// The virtual machine: its life cycle, launch, and list of virtual CPUs.
    public static let virtualMachine = LockRank(order: 100, name: "virtual machine")
    /// One virtual CPU's state, held while it runs.
    public static let virtualCPU = LockRank(order: 150, name: "virtual CPU")
    /// A virtual machine's memory slots and memory attributes.
    public static let slots = LockRank(order: 200, name: "slots")
    /// A guest_memfd's set of pages, held across an invalidation of them.
    public static let guestMemory = LockRank(order: 300, name: "guest memory")
    /// A virtual machine's nested page tables and invalidation counters.
    public static let nestedTables = LockRank(order: 400, name: "nested tables")
    /// A guest's ASID allocation and firmware activation.
    public static let asids = LockRank(order: 500, name: "ASIDs")
    /// The host's direct map.
    public static let directMap = LockRank(order: 600, name: "direct map")
    /// The host's page allocator and list of leaked pages.
    public static let allocator = LockRank(order: 700, name: "allocator")
    /// The mailbox of the secure processor.
    public static let mailbox = LockRank(order: 800, name: "mailbox")
    /// The RMP, inside its instructions.
    public static let rmp = LockRank(order: 900, name: "RMP")
    /// Logs and statistics: taken last, anywhere.
    public static let log = LockRank(order: 1000, name: "log")
}
