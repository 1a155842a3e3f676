// A slow and obvious model of one guest's pages: what each operation must answer, and what must be true afterwards.
//
// It knows nothing of how the hypervisor works: one dictionary entry for each 4 KiB page, every rule spelled out page by
// page. Left out: the direct map, TLBs, contents of pages, launch, several threads.

public import SNPArchitecture

/// What is known of one guest: slots, attributes, backing, RMP entries, nested mappings.
public struct GuestModel: Sendable {
    /// Who owns a backing page in the RMP, when the guest does.
    public struct Ownership: Hashable, Sendable {
        /// The guest frame in the RMP entry.
        public var gfn: GFN
        /// The guest has accepted the page.
        public var validated: Bool
    }

    /// How a guest frame is mapped in the nested tables.
    public struct Mapping: Hashable, Sendable {
        /// By a leaf of 4 KiB or of 2 MiB.
        public var size: PageSize
        /// To the backing file's page, or to the VMM's memory.
        public var isPrivate: Bool
    }

    /// The policy.
    public let policy: ModelPolicy
    /// The slots.
    public var slots: [ModelSlot]
    /// The number of pages of each backing file.
    public let filePageCounts: [UInt64]
    /// The guest frames with the private attribute.
    public internal(set) var privateFrames: Set<GFN> = []
    /// For each backed page the order of its folio.
    public internal(set) var folioOrder: [BackingPage: UInt8] = [:]
    /// The backing pages that the RMP gives to the guest.
    public internal(set) var owned: [BackingPage: Ownership] = [:]
    /// The first pages of the 2 MiB RMP entries.
    public internal(set) var large: Set<BackingPage> = []
    /// 2 MiB RMP entries that a failed operation may or may not have split. `settle` says which.
    public internal(set) var unsettled: Set<BackingPage> = []
    /// The nested mappings, one for each 4 KiB guest frame.
    public internal(set) var mappings: [GFN: Mapping] = [:]
    /// How many pages can be given to neither side any more.
    public internal(set) var leakedPageCount = 0
    /// The machine has lost a page that it tried to free, and answers EIO.
    public internal(set) var isDead = false

    /// Makes a guest without backing: all shared.
    public init(policy: ModelPolicy, slots: [ModelSlot], filePageCounts: [UInt64]) {
        self.policy = policy
        self.slots = slots
        self.filePageCounts = filePageCounts
    }

    /// The slot that holds a guest frame.
    public func slot(of gfn: GFN) -> ModelSlot? { slots.first { $0.frames.contains(gfn) } }

    /// The place in a backing file that belongs to a guest frame, backed or not.
    public func place(of gfn: GFN) -> BackingPage? {
        guard let slot = slot(of: gfn), let first = slot.backing else { return nil }
        return BackingPage(file: first.file, index: first.index + gfn.rawValue - slot.frames.lowerBound.rawValue)
    }

    /// The backed page behind a guest frame.
    public func backing(of gfn: GFN) -> BackingPage? {
        guard let page = place(of: gfn), folioOrder[page] != nil else { return nil }
        return page
    }

    /// The guest frame that a page of a file backs.
    public func frame(backedBy page: BackingPage) -> GFN? {
        for slot in slots {
            guard let first = slot.backing, first.file == page.file, page.index >= first.index else { continue }
            let gfn = GFN(slot.frames.lowerBound.rawValue + page.index - first.index)
            if slot.frames.contains(gfn) { return gfn }
        }
        return nil
    }

    /// Says of a 2 MiB RMP entry that a failed operation touched whether it is still one.
    public mutating func settle(_ head: BackingPage, isLarge: Bool) {
        guard unsettled.remove(head) != nil else { return }
        if !isLarge { large.remove(head) }
    }

    /// The size of the RMP entry that covers an owned page.
    public func entrySize(of page: BackingPage) -> PageSize { large.contains(page.blockHead) ? .size2M : .size4K }

    // MARK: Small steps that operations share

    /// The 512 pages of the 2 MiB of a file that start at a page.
    func block(_ head: BackingPage) -> [BackingPage] {
        (0..<512).map { BackingPage(file: head.file, index: head.index + $0) }
    }

    /// Whether a guest frame and its page start 2 MiB that a single RMP entry could describe: aligned on both sides, in one
    /// folio of that size, and with every frame inside the given guest frames and the slot.
    func couldBeLarge(_ gfn: GFN, within frames: Range<GFN>) -> Bool {
        guard let page = backing(of: gfn), let order = folioOrder[page], let slot = slot(of: gfn) else { return false }
        let last = GFN(gfn.rawValue + 511)
        return order >= 9 && gfn.rawValue % 512 == 0 && page.index % 512 == 0
            && frames.contains(last) && slot.frames.contains(last)
    }

    /// Gives a page to the guest, not validated.
    mutating func give(_ page: BackingPage, at gfn: GFN) { owned[page] = Ownership(gfn: gfn, validated: false) }

    /// Takes a page's ownership away. Its 2 MiB entry, if it had one, must be split or go whole.
    mutating func takeBack(_ page: BackingPage) {
        owned[page] = nil
        large.remove(page.blockHead)
        unsettled.remove(page.blockHead)
    }

    /// Takes a page out of its file for ever, owned or not.
    mutating func leak(_ page: BackingPage) {
        folioOrder[page] = nil
        owned[page] = nil
        leakedPageCount += 1
    }

    /// Removes the nested mappings of guest frames; a 2 MiB mapping that touches them goes whole.
    mutating func zap(_ frames: Range<GFN>) {
        for gfn in frames {
            guard let mapping = mappings.removeValue(forKey: gfn) else { continue }
            if mapping.size == .size2M {
                let head = gfn.rawValue / 512 * 512
                for part in head..<head + 512 { mappings[GFN(part)] = nil }
            }
        }
    }
}
