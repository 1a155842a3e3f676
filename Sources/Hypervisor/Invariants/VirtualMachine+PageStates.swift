// How many of a guest's pages are in which state: for people and tools.

internal import Machine
public import SNPArchitecture

extension VirtualMachine {
    /// The states of the pages that back the guest's slots, of its VMSAs and of its context, in 4 KiB pages. Pages of the
    /// slots that nothing backs are not counted. Takes no lock: call it at rest.
    public func countPageStates() -> [PageState: UInt64] {
        var counts: [PageState: UInt64] = [:]
        for slot in slots {
            guard let file = slot.guestMemory else { continue }
            _ = SlotRange(slot: slot, frames: slot.frames).forEachExtent(file) { extent in
                extent.forEachRegion { countStates(of: $0, &counts) }
            }
        }
        let own = virtualCPUs.compactMap(\.vmsaFrame) + (launch.context.map { [$0] } ?? [])
        for pfn in own { counts[host.machine.rmp.state(of: pfn), default: 0] += 1 }
        return counts
    }

    private func countStates(of extent: Extent, _ counts: inout [PageState: UInt64]) {
        let rmp = host.machine.rmp
        guard let head = rmp.effectiveEntry(extent.pfn.aligned(down: .size2M)) else {
            counts[.default, default: 0] += extent.count
            return
        }
        if head.assigned && head.pageSize == .size2M {
            counts[head.state, default: 0] += extent.count
        } else if !head.assigned && head.subpageCount == 0 && !head.immutable {
            counts[.hypervisor, default: 0] += extent.count
        } else {
            for offset in 0..<extent.count { counts[rmp.state(of: extent.pfn + offset), default: 0] += 1 }
        }
    }
}
