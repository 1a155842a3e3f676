// Changes of memory attributes: what each policy must do with the pages of the range.

public import SNPArchitecture

extension GuestModel {
    /// Makes guest frames private or shared.
    ///
    /// - Returns: the answer, and for a failed way to shared the frames that are shared all the same
    public mutating func setAttributes(
        _ frames: Range<GFN>, isPrivate: Bool, failure: InjectedFailure? = nil
    ) -> (outcome: ModelOutcome, converted: Range<GFN>?) {
        if isDead { return (.errno(5), nil) }
        if frames.allSatisfy({ privateFrames.contains($0) == isPrivate }) { return (.success, nil) }
        let touched = slots.filter { $0.frames.overlaps(frames) }
        if policy == .eager, touched.contains(where: { $0.backing == nil }) { return (.errno(1), nil) }
        if !touched.isEmpty { zap(frames) }
        var instructions = Instructions(failure)
        if policy == .eager {
            if isPrivate {
                guard convertToPrivate(frames, &instructions) else { return (.errno(22), nil) }
            } else if let stopped = convertToShared(frames, &instructions) {
                guard let stop = stopped.at else { return (.errno(22), nil) }
                for gfn in frames where gfn < stop { privateFrames.remove(gfn) }
                return (.errno(22), frames.lowerBound..<stop)
            }
        }
        for gfn in frames {
            if isPrivate { privateFrames.insert(gfn) } else { privateFrames.remove(gfn) }
        }
        return (.success, nil)
    }

    /// Gives every backed page that is not the guest's yet to the guest. False if it was refused and taken back.
    private mutating func convertToPrivate(_ frames: Range<GFN>, _ instructions: inout Instructions) -> Bool {
        var given: [[BackingPage]] = []
        var before = self
        var gfn = frames.lowerBound
        while gfn < frames.upperBound {
            guard let page = backing(of: gfn), owned[page] == nil else {
                gfn = GFN(gfn.rawValue + 1)
                continue
            }
            let isLarge = couldBeLarge(gfn, within: frames) && block(page).allSatisfy { owned[$0] == nil }
            let pages = isLarge ? block(page) : [page]
            guard instructions.update() else {
                // Back to what it was; what does not come back is lost.
                for pages in given where !instructions.update() {
                    before.splitFolio(of: pages[0], to: pages.count)
                    for page in pages { before.leak(page) }
                }
                self = before
                return false
            }
            for (offset, page) in pages.enumerated() { give(page, at: GFN(gfn.rawValue + UInt64(offset))) }
            if isLarge { large.insert(page) }
            given.append(pages)
            gfn = GFN(gfn.rawValue + UInt64(pages.count))
        }
        return true
    }

    /// Takes every owned page back. Nil if all came back; else the frame at which it stopped, if it got so far.
    private mutating func convertToShared(
        _ frames: Range<GFN>, _ instructions: inout Instructions
    ) -> (at: GFN?, Void)? {
        // First every 2 MiB entry of which only a part goes is split.
        var split: [BackingPage] = []
        for gfn in frames {
            guard let page = backing(of: gfn), owned[page] != nil, large.contains(page.blockHead),
                !split.contains(page.blockHead), !goesWhole(page.blockHead, frames)
            else { continue }
            split.append(page.blockHead)
            guard instructions.smash() else {
                unsettled.formUnion(split)
                return (nil, ())
            }
        }
        large.subtract(split)
        var gfn = frames.lowerBound
        while gfn < frames.upperBound {
            guard let page = backing(of: gfn), owned[page] != nil else {
                gfn = GFN(gfn.rawValue + 1)
                continue
            }
            guard instructions.update() else { return (gfn, ()) }
            let pages = large.contains(page.blockHead) ? block(page.blockHead) : [page]
            for page in pages { takeBack(page) }
            gfn = GFN(gfn.rawValue + UInt64(pages.count))
        }
        return nil
    }

    /// Whether all 512 pages of a 2 MiB RMP entry are still in the file as one folio, and backed frames of the range.
    private func goesWhole(_ head: BackingPage, _ frames: Range<GFN>) -> Bool {
        block(head).allSatisfy { page in
            guard let order = folioOrder[page], order >= 9, let gfn = frame(backedBy: page) else { return false }
            return frames.contains(gfn)
        }
    }
}
