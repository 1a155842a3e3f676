// Page states over a trace, from its changes of the RMP: how many 4 KiB pages a guest owns, and how many it has validated.

/// The pages of guests at some moment.
public struct TracedPages: Hashable, Sendable {
    /// 4 KiB pages that belong to a guest.
    public var assigned: UInt64 = 0
    /// Those among them that it has validated.
    public var validated: UInt64 = 0
}

/// Follows pages through events.
struct PageFollower {
    private struct Page: Hashable {
        var pages: UInt64
        var isValidated: Bool
        /// Owner, address and size: RMPUPDATE with the same keeps the validated bit.
        var identity = ""
    }
    /// By the frame's first byte.
    private var entries: [UInt64: Page] = [:]
    private(set) var pages = TracedPages()

    /// Takes an event in. Returns whether anything changed.
    mutating func follow(_ event: TraceEvent) -> Bool {
        let before = pages
        switch event.name {
        case "rmpupdate" where event["status"] == "SUCCESS", "rmp_firmware":
            guard let spa = event.number("spa") else { return false }
            let isGuest = event["assigned"] == "1" && event["asid"] != "0"
            let identity = ["gpa", "asid", "size"].map { event[$0] ?? "" }.joined(separator: " ")
            let isKept =
                event.name == "rmpupdate" && entries[spa]?.identity == identity && entries[spa]?.isValidated == true
            let page = Page(
                pages: event["size"] == "2M" ? 512 : 1, isValidated: isKept || event["validated"] == "1",
                identity: identity)
            set(spa, isGuest ? page : nil)
        case "psmash" where event["status"] == "SUCCESS":
            guard let spa = event.number("spa"), let large = entries[spa], large.pages == 512, spa < 1 << 52 else {
                return false
            }
            for index in 0..<512 as Range<UInt64> {
                set(spa + index << 12, Page(pages: 1, isValidated: large.isValidated))
            }
        case "pvalidate" where event["status"] == "SUCCESS":
            guard let spa = event.number("spa"), var page = entries[spa] ?? entries[spa & ~0x1f_ffff] else {
                return false
            }
            page.isValidated = event["validate"] == "1"
            set(entries[spa] == nil ? spa & ~0x1f_ffff : spa, page)
        default: return false
        }
        return pages != before
    }

    private mutating func set(_ spa: UInt64, _ page: Page?) {
        if let old = entries[spa] {
            pages.assigned &-= old.pages
            if old.isValidated { pages.validated &-= old.pages }
        }
        entries[spa] = page
        if let page {
            pages.assigned &+= page.pages
            if page.isValidated { pages.validated &+= page.pages }
        }
    }
}

/// Tells of each change of the pages, event by event.
public struct TracedPageCounter: Sendable {
    private var follower = PageFollower()

    /// Makes a counter that has seen nothing.
    public init() {}

    /// The pages after an event, if it changed their number.
    public mutating func follow(_ event: TraceEvent) -> TracedPages? {
        follower.follow(event) ? follower.pages : nil
    }
}

extension TraceFile {
    /// The pages at each of `count` moments that divide the run evenly by events.
    public func pages(at count: Int) -> [(time: UInt64, pages: TracedPages)] {
        var follower = PageFollower()
        var result: [(UInt64, TracedPages)] = []
        for (index, event) in events.enumerated() {
            _ = follower.follow(event)
            if (index + 1) * count / events.count > result.count { result.append((event.time, follower.pages)) }
        }
        return result
    }
}
