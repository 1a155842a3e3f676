// Patch 48 with the defects it was posted with. For comparison and for the explorer to find; never for use.
//
// Its defects: a folio of order 1 to 8 has only its first page converted and the rest skipped; a 1 GiB folio has 2 MiB
// converted; the host frame's alignment is not looked at; a backing error of any kind counts as "nothing to do"; PSMASH is
// not retried; a failure leaves the range half converted and the attributes saying otherwise; the direct map is not split; a page that was
// not backed when its attribute changed is never assigned.

public import SNPArchitecture

/// The seed patch as posted.
///
/// - Spec: patch 48 of the series, RFC v8
public struct AsPostedPolicy: ConversionPolicy {
    /// Makes the policy.
    public init() {}
    /// "asPosted".
    public var name: String { "asPosted" }
    /// True: it means to be.
    public var isEager: Bool { true }
    /// False: the patch knows of no other place to assign a page.
    public var preparesAtFault: Bool { false }
    /// True: nothing takes the attributes back.
    public var storesAttributesOnFailure: Bool { true }

    /// Refuses a slot that can have no private pages.
    ///
    /// - Throws: EPERM (a slot without guest memory)
    public func check(_ machine: VirtualMachine, _ ranges: [SlotRange]) throws(ConversionFailure) {
        try EagerPolicy().check(machine, ranges)
    }

    /// Converts page by page as posted.
    ///
    /// - Throws: EINVAL at the first refusal, with what came before left converted
    public func convert(
        _ machine: VirtualMachine, _ ranges: [SlotRange], to attribute: MemoryAttribute, asid: ASID,
        counts: inout ConversionCounts
    ) throws(ConversionFailure) {
        for range in ranges {
            guard let file = range.slot.guestMemory else { continue }
            var gfn = range.frames.lowerBound
            while gfn < range.frames.upperBound {
                let index = range.slot.guestIndex(of: gfn)
                guard let folio = file.folios.folio(at: index) else {
                    counts.skipped &+= 1
                    gfn = gfn + 1
                    continue
                }
                let pfn = folio.pfn + (index - folio.index)
                do throws(RMPStatus) {
                    gfn =
                        try attribute == .private
                        ? makePrivate(machine, gfn, pfn, folio.order, until: range.frames.upperBound, asid, &counts)
                        : makeShared(machine, gfn, pfn, &counts)
                } catch {
                    throw ConversionFailure(.invalidArgument, status: error, gfn: gfn)
                }
            }
        }
    }

    /// Converts one page and returns the frame at which the patch goes on.
    private func makePrivate(
        _ machine: VirtualMachine, _ gfn: GFN, _ pfn: PFN, _ order: UInt8, until end: GFN, _ asid: ASID,
        _ counts: inout ConversionCounts
    ) throws(RMPStatus) -> GFN {
        let pages: UInt64 = 1 << UInt64(order)
        let isWhole = order > 0 && gfn.rawValue & (pages - 1) == 0 && gfn.rawValue + pages <= end.rawValue
        let size: PageSize = isWhole && order >= 9 ? .size2M : .size4K
        try machine.host.rmp.makePrivate(pfn, size, gfn: gfn, asid: asid, counts: &counts.rmp)
        counts.madePrivate &+= size.pageCount
        return gfn + (isWhole ? pages : 1)
    }

    private func makeShared(
        _ machine: VirtualMachine, _ gfn: GFN, _ pfn: PFN, _ counts: inout ConversionCounts
    ) throws(RMPStatus) -> GFN {
        guard let entry = machine.host.rmp.lookup(pfn) else { throw .failInput }
        guard entry.assigned else { return gfn + 1 }
        if entry.pageSize == .size2M {
            try machine.host.rmp.smashOnce(pfn, counts: &counts.rmp)
        }
        try machine.host.rmp.makeShared(pfn, .size4K, counts: &counts.rmp)
        counts.madeShared &+= 1
        return gfn + 1
    }
}
