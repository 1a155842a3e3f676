// What the kernel prints of the RMP when it has run into it.

internal import Machine
public import SNPArchitecture

/// Entries of the RMP around a frame, as a kernel prints them.
public struct RMPDump: Hashable, Sendable, CustomStringConvertible {
    /// The frame that was asked about.
    public var pfn: PFN
    /// The raw entries by frame: that of the frame itself if it is assigned, else all of its 2 MiB region that are not zero.
    public var entries: [(pfn: PFN, raw: RMPEntryRaw)]
    /// The frame itself is assigned.
    public var isAssigned: Bool

    /// A line for each entry.
    public var description: String {
        let lines = entries.map { pfn, raw in
            "PFN 0x\(String(pfn.rawValue, radix: 16)), RMP entry: [0x\(Self.hex(raw.high)) - 0x\(Self.hex(raw.low))] \(raw.decoded.state)"
        }
        let title = "PFN 0x\(String(pfn.rawValue, radix: 16)) is \(isAssigned ? "assigned" : "not assigned")"
        if isAssigned { return ([title] + lines).joined(separator: "\n") }
        guard !lines.isEmpty else { return title + ", and its 2M region has no entry that is not zero" }
        return ([title + "; its 2M region has:"] + lines).joined(separator: "\n")
    }

    private static func hex(_ word: UInt64) -> String {
        let digits = String(word, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Compares frames and entries.
    public static func == (a: Self, b: Self) -> Bool {
        a.pfn == b.pfn && a.isAssigned == b.isAssigned && a.entries.elementsEqual(b.entries, by: ==)
    }

    /// Hashes frames and entries.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(pfn)
        for entry in entries { hasher.combine(entry.raw) }
    }
}

extension HostRMP {
    /// The entries that explain why a host write to a frame faulted.
    ///
    /// A frame that is not assigned can fault through a large mapping: any entry of its region may be to blame.
    ///
    /// - Spec: patch 13 of the series; Linux: `dump_rmpentry()`
    /// - Throws: in check order: ENODEV (SNP is off), EFAULT (not covered)
    /// - Deviates: reads the table itself, as kernels do on processors without RMPREAD
    public func dump(_ pfn: PFN) throws(Errno) -> RMPDump {
        let found = try entry(of: pfn)
        guard !found.assigned else {
            // Inside a 2 MiB page the governing entry is the first.
            let own = found.pageSize == .size2M ? pfn.aligned(down: .size2M) : pfn
            return RMPDump(pfn: pfn, entries: [(own, rawEntry(own))], isAssigned: true)
        }
        let head = pfn.aligned(down: .size2M)
        let entries = (head..<(head + 512)).filter { covers($0) }.map { (pfn: $0, raw: rawEntry($0)) }
        return RMPDump(
            pfn: pfn, entries: entries.filter { $0.raw != RMPEntryRaw(low: 0, high: 0) }, isAssigned: false)
    }
}

extension Host {
    /// Why a store of the kernel or of a user process faulted, or would; nil if the RMP has nothing to do with it.
    ///
    /// - Spec: patch 13 of the series; Linux: `snp_dump_hva_rmpentry()`
    public func explainFault(at spa: SPA) -> RMPDump? {
        do { try access.check(spa, .write) } catch {
            return error.error.contains(.rmp) ? try? rmp.dump(spa.frame) : nil
        }
        return nil
    }
}
