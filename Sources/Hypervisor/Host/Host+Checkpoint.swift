// The host's state outside the emulated machine's memory, for explorers: as it was, and as a number.

internal import Machine
public import Scheduling

extension Host {
    /// The host's and the machine's state outside the machine's memory, for putting it back. Guests and firmware have their
    /// own.
    public func checkpoint() -> Checkpoint {
        var checkpoint = machine.checkpoint()
        checkpoint.add(allocator.checkpoint())
        checkpoint.add(directMap.checkpoint())
        checkpoint.add(leaked.checkpoint())
        checkpoint.add(asids.checkpoint())
        checkpoint.add(firmware.checkpoint())
        checkpoint.add(rmp.checkpoint())
        checkpoint.add(snp.checkpoint())
        return checkpoint
    }

    /// The host's state outside the machine's memory, as a number.
    public func combine(into hasher: inout StateHasher) {
        allocator.combine(into: &hasher)
        asids.combine(into: &hasher)
        snp.combine(into: &hasher)
        hasher.combine(UInt64(leaked.unlocked.count))
    }
}
