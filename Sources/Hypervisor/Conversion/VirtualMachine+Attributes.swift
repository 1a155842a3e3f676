// KVM_SET_MEMORY_ATTRIBUTES: the call that converts guest pages.

public import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// KVM_SET_MEMORY_ATTRIBUTES: makes a range of guest memory private or shared.
    ///
    /// The nested mappings of the range are zapped and TLBs flushed inside an invalidation bracket, then the policy brings
    /// the RMP in line, then the attributes are stored. A range that has the attribute already costs one look-up.
    ///
    /// - Throws: in check order: EIO (dead VM), EINVAL (flags, size 0, end wraps, unaligned, past the guest's addresses),
    ///   then what the policy refuses. On failure `converted` says which frames have the attribute all the same
    @discardableResult
    public func setMemoryAttributes(
        _ gpa: GPA, byteCount: UInt64, to attribute: MemoryAttribute, flags: UInt64 = 0
    ) throws(ConversionFailure) -> ConversionCounts {
        guard isAlive else { throw ConversionFailure(.ioError) }
        guard flags == 0, byteCount > 0, let end = gpa.advanced(checked: byteCount), end > gpa,
            gpa.pageOffset == 0, end.pageOffset == 0, end.frame.rawValue <= 1 << UInt64(MemoryAttributes.frameBits)
        else { throw ConversionFailure(.invalidArgument) }
        var counts = ConversionCounts()
        var failure: ConversionFailure?
        host.attributeWatch.tell(.begins(gpa, byteCount: byteCount, attribute))
        slotsLock.lock()
        do throws(ConversionFailure) {
            try setAttributes(gpa.frame..<end.frame, attribute, &counts)
        } catch {
            failure = error
        }
        slotsLock.unlock()
        record(counts)
        host.attributeWatch.tell(.ends(counts, failure?.errno))
        if let failure { throw failure }
        return counts
    }

    private func setAttributes(
        _ range: Range<GFN>, _ attribute: MemoryAttribute, _ counts: inout ConversionCounts
    ) throws(ConversionFailure) {
        schedulePoint(.attributeUpdate)
        guard !attributes.isUniform(looked(range), attribute) else { return }
        let parts = parts(of: range)
        let snpASID = kind == .snp ? asid : nil
        if snpASID != nil { try policy.check(self, parts) }
        if !parts.isEmpty {
            counts.zaps &+= beginInvalidation(range, &counts.tlbFlushes)
        }
        var failure: ConversionFailure?
        backing.lock()
        if let snpASID {
            do throws(ConversionFailure) {
                try policy.convert(self, parts, to: attribute, asid: snpASID, counts: &counts)
            } catch {
                failure = error
            }
        }
        store(attribute, range, after: failure)
        backing.unlock()
        if !parts.isEmpty { endInvalidation(range) }
        if let failure { throw failure }
    }

    /// Stores the attribute of the frames that have it now.
    private func store(_ attribute: MemoryAttribute, _ range: Range<GFN>, after failure: ConversionFailure?) {
        nested.lock.withLock {
            let stored = failure.map { policy.storesAttributesOnFailure ? [range] : $0.converted } ?? [range]
            for frames in stored {
                attributes.set(frames, to: attribute)
                if attribute == .shared { launch.launched.set(frames, to: .shared) }
            }
        }
    }

    /// The parts of a range that lie in slots, in order.
    private func parts(of range: Range<GFN>) -> [SlotRange] {
        slots.compactMap { slot in
            let frames = slot.frames.clamped(to: range)
            return frames.isEmpty ? nil : SlotRange(slot: slot, frames: frames)
        }
    }
}
