// What the guest's own accesses must lead to: nested page faults and PVALIDATE.

public import SNPArchitecture

extension GuestModel {
    /// A nested page fault. A private page that nothing backs must have been backed with `back` before.
    ///
    /// - Parameter rmpBit: the fault came from a disagreement between the nested tables and the RMP
    public mutating func fault(
        _ gfn: GFN, isPrivate: Bool, rmpBit: Bool = false, failure: InjectedFailure? = nil
    ) -> ModelOutcome {
        if isDead { return .errno(5) }
        guard slot(of: gfn) != nil else { return .mmio }
        guard privateFrames.contains(gfn) == isPrivate else { return .memoryFault(14) }
        guard isPrivate else {
            mappings[gfn] = Mapping(size: .size4K, isPrivate: false)
            return .success
        }
        guard let page = backing(of: gfn) else { return .memoryFault(14) }
        var instructions = Instructions(failure)
        let head = GFN(gfn.rawValue / 512 * 512)
        let is2MPossible = isUniformly2M(head)
        if owned[page] == nil {
            let isLarge = is2MPossible && block(page.blockHead).allSatisfy { owned[$0] == nil }
            guard instructions.update() else { return .memoryFault(22) }
            if isLarge {
                for (offset, page) in block(page.blockHead).enumerated() {
                    give(page, at: GFN(head.rawValue + UInt64(offset)))
                }
                large.insert(page.blockHead)
            } else {
                give(page, at: gfn)
            }
        }
        map(gfn, large.contains(page.blockHead) && is2MPossible ? .size2M : .size4K)
        if rmpBit, large.contains(page.blockHead), instructions.smash() {
            large.remove(page.blockHead)
            zap(head..<GFN(head.rawValue + 512))
        }
        return .success
    }

    /// Whether the 2 MiB of guest frames from a frame on can be one page: all private, all in one folio, both sides aligned.
    private func isUniformly2M(_ head: GFN) -> Bool {
        let frames = head..<GFN(head.rawValue + 512)
        return couldBeLarge(head, within: frames) && frames.allSatisfy { privateFrames.contains($0) }
    }

    private mutating func map(_ gfn: GFN, _ size: PageSize) {
        if size == .size2M {
            let head = gfn.rawValue / 512 * 512
            for part in head..<head + 512 { mappings[GFN(part)] = Mapping(size: .size2M, isPrivate: true) }
        } else {
            // A 2 MiB mapping in the way goes whole.
            if mappings[gfn]?.size == .size2M { zap(gfn..<GFN(gfn.rawValue + 1)) }
            mappings[gfn] = Mapping(size: .size4K, isPrivate: true)
        }
    }

    /// PVALIDATE by the guest at VMPL0, with every fault on the way handled. The page must be backed, as for `fault`.
    public mutating func validate(_ gfn: GFN, _ size: PageSize, to value: Bool) -> ModelValidation {
        if mappings[gfn] == nil || mappings[gfn]?.isPrivate == false {
            let outcome = fault(gfn, isPrivate: true)
            guard outcome == .success else { return .exit(outcome) }
        }
        if size == .size2M, gfn.rawValue % 512 != 0 { return .misaligned }
        guard let page = backing(of: gfn) else { return .exit(.memoryFault(14)) }
        if large.contains(page.blockHead), size == .size4K || mappings[gfn]?.size == .size4K {
            // 4 KiB named, or mapped, of a 2 MiB page: the hypervisor splits it, and the guest tries again.
            guard case .success = fault(gfn, isPrivate: true, rmpBit: true) else { return .exit(.memoryFault(14)) }
            _ = fault(gfn, isPrivate: true)
        }
        guard entrySize(of: page) == size else { return .sizeMismatch }
        guard owned[page]?.validated != value else { return .unchanged }
        for page in size == .size2M ? block(page) : [page] { owned[page]?.validated = value }
        return .changed
    }
}
