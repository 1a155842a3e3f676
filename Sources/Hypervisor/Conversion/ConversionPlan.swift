// The prepare half of an eager conversion: finds out everything that can be refused and plans the RMPUPDATEs.
//
// After a plan stands, all look-ups are done, every 2M entry that must be split is split (PSMASH), and the direct map has
// small mappings where it needs them. What remains is RMPUPDATE, which only hardware can refuse.

internal import SNPArchitecture

/// Consecutive pages of one size to be given the same new owner.
struct ConversionRun {
    var gfn: GFN
    var pfn: PFN
    var size: PageSize
    /// The number of pages of `size`.
    var count: UInt64
}

/// The RMPUPDATEs of one conversion, in order of guest frame.
struct ConversionPlan {
    private(set) var runs: [ConversionRun] = []
    /// A frame of each 2 MiB region that the direct map keeps small for the plan.
    var claims: [PFN] = []

    mutating func append(_ gfn: GFN, _ pfn: PFN, _ size: PageSize) {
        if let last = runs.last, last.size == size, last.gfn.rawValue + last.count * size.pageCount == gfn.rawValue,
            last.pfn.rawValue + last.count * size.pageCount == pfn.rawValue
        {
            runs[runs.count - 1].count += 1
        } else {
            runs.append(ConversionRun(gfn: gfn, pfn: pfn, size: size, count: 1))
        }
    }
}

/// Consecutive guest frames on consecutive host frames of one folio.
struct Extent {
    var gfn: GFN
    var pfn: PFN
    var count: UInt64
    /// The folio is large enough, and guest and host frames agree modulo 2 MiB.
    var allows2M: Bool
}

extension SlotRange {
    /// Calls `body` with each backed extent, in order; returns how many pages nothing backs. Small folios that follow each
    /// other in the file and in memory make one extent.
    func forEachExtent<E: Error>(_ file: GuestMemory, _ body: (Extent) throws(E) -> Void) throws(E) -> UInt64 {
        let first = slot.guestIndex(of: frames.lowerBound)
        let end = first + UInt64(frames.count)
        var backed: UInt64 = 0
        var pending = Extent(gfn: GFN(0), pfn: PFN(0), count: 0, allows2M: false)
        try file.folios.forEach(in: first..<end) { folio throws(E) in
            let low = max(folio.index, first)
            let high = min(folio.index + folio.pageCount, end)
            let gfn = frames.lowerBound + (low - first)
            let pfn = folio.pfn + (low - folio.index)
            backed += high - low
            if folio.order < 9, !pending.allows2M, pending.count > 0,
                pending.gfn.rawValue + pending.count == gfn.rawValue,
                pending.pfn.rawValue + pending.count == pfn.rawValue
            {
                pending.count += high - low
                return
            }
            if pending.count > 0 { try body(pending) }
            pending = Extent(
                gfn: gfn, pfn: pfn, count: high - low,
                allows2M: folio.order >= 9 && (gfn.rawValue ^ pfn.rawValue) & 511 == 0)
        }
        if pending.count > 0 { try body(pending) }
        return UInt64(frames.count) - backed
    }
}

extension Extent {
    /// Calls `body` with each part of the extent that lies in one 2 MiB region of host frames.
    @inline(__always)
    func forEachRegion<E: Error>(_ body: (Extent) throws(E) -> Void) throws(E) {
        var done: UInt64 = 0
        while done < count {
            let pfn = self.pfn + done
            let part = min(512 - pfn.rawValue & 511, count - done)
            try body(Extent(gfn: gfn + done, pfn: pfn, count: part, allows2M: allows2M && part == 512))
            done += part
        }
    }
}
