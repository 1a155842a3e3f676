// The RMP helpers as other parts of a kernel call them: with an errno, and for a host that may not have SNP on.

public import SNPArchitecture

extension HostRMP {
    /// What the RMP says of a frame: owner, size of the governing entry, immutable.
    ///
    /// - Spec: patch 12 of the series; Linux: `snp_lookup_rmpentry()`
    /// - Throws: in check order: ENODEV (SNP is off), EFAULT (not covered)
    public func entry(of pfn: PFN) throws(Errno) -> RMPLookup {
        guard isOn else { throw .noDevice }
        guard let entry = lookup(pfn) else { throw .badAddress }
        return entry
    }

    /// Gives a page to a guest, or a 4 KiB page to firmware.
    ///
    /// - Spec: patch 14 of the series; Linux: `rmp_make_private()`
    /// - Throws: in check order: ENODEV (SNP is off), EFAULT (RMPUPDATE refused)
    public func assign(
        _ pfn: PFN, _ size: PageSize, gfn: GFN, asid: ASID, immutable: Bool = false
    ) throws(Errno) {
        guard isOn else { throw .noDevice }
        var counts = RMPCounts()
        defer { record(counts) }
        do throws(RMPStatus) {
            try makePrivate(pfn, size, gfn: gfn, asid: asid, immutable: immutable, counts: &counts)
        } catch { throw .badAddress }
    }

    /// Takes a page back for the host.
    ///
    /// - Spec: patch 14 of the series; Linux: `rmp_make_shared()`
    /// - Throws: in check order: ENODEV (SNP is off), EFAULT (RMPUPDATE refused)
    public func takeBack(_ pfn: PFN, _ size: PageSize) throws(Errno) {
        guard isOn else { throw .noDevice }
        var counts = RMPCounts()
        defer { record(counts) }
        do throws(RMPStatus) { try makeShared(pfn, size, counts: &counts) } catch { throw .badAddress }
    }

    /// Splits the 2 MiB entry that holds the frame.
    ///
    /// - Spec: patch 14 of the series; Linux: `psmash()`
    /// - Throws: in check order: ENODEV (SNP is off), EFAULT (PSMASH refused)
    /// - Deviates: Linux returns the code of PSMASH itself
    public func split(_ pfn: PFN) throws(Errno) {
        guard isOn else { throw .noDevice }
        var counts = RMPCounts()
        defer { record(counts) }
        do throws(RMPStatus) { try smash(pfn, counts: &counts) } catch { throw .badAddress }
    }
}
