// The address rules that all commands share, and the ways in which firmware reads and writes the host's memory.
//
// The host's memory is read under no key, as the host without a C-bit wrote it. The C-bit of an address is ignored.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// Bit 51 of an address, which marks memory as encrypted.
    static let cBit: UInt64 = 1 << 51
    /// The first address that firmware cannot map: 64 TiB - 12 GiB.
    static let addressLimit: UInt64 = 64 << 40 - 12 << 30
    /// The legacy video area, which SMM may hide.
    static let aseg: Range<UInt64> = 0xa_0000..<0xc_0000
    /// The range that system memory leaves to HyperTransport.
    static let hyperTransport: Range<UInt64> = 0xfd_0000_0000..<0xfe_0000_0000

    /// Whether addresses are of the RMP.
    func isRMP(_ range: Range<UInt64>) -> Bool {
        rmp.tableFrames.contains {
            range.overlaps($0.lowerBound.address.rawValue..<$0.upperBound.address.rawValue)
        }
    }

    /// Checks a range that firmware is to read or write; returns the address without its C-bit.
    ///
    /// - Spec: FWABI 56860; address rules of copy-in and copy-out
    /// - Throws: in check order: INVALID_ADDRESS (bits above the C-bit, past the limit, over ASEG, over the trusted memory
    ///   region of SEV-ES, over the RMP), INVALID_CONFIG (not in DRAM)
    /// - Deviates: the machine has no TSEG and no ring buffers
    func checkRange(_ spa: SPA, byteCount: Int) throws(FirmwareStatus) -> SPA {
        let start = spa.rawValue & ~Self.cBit
        guard start < Self.cBit else { throw .invalidAddress }
        guard start + UInt64(byteCount) <= Self.addressLimit else { throw .invalidAddress }
        let range = start..<(start + UInt64(byteCount))
        guard !range.overlaps(Self.aseg) else { throw .invalidAddress }
        if let tmr = legacy.tmr { guard !range.overlaps(tmr) else { throw .invalidAddress } }
        guard !isRMP(range) else { throw .invalidAddress }
        guard memory.contains(SPA(start), count: UInt64(byteCount)) else { throw .invalidConfig }
        return SPA(start)
    }

    /// Copies a command buffer in. Its RMP state does not matter.
    func copyIn(_ spa: SPA, byteCount: Int) throws(FirmwareStatus) -> CommandBytes {
        var bytes = CommandBytes()
        guard byteCount > 0 else { return bytes }
        let start = try checkRange(spa, byteCount: byteCount)
        unsafe withUnsafeMutableBytes(of: &bytes.words) { words in
            unsafe memory.read(start, into: UnsafeMutableRawBufferPointer(rebasing: words[0..<byteCount]), key: .plain)
        }
        return bytes
    }

    /// Reads a structure of the host.
    func read<T: FirmwareLayout>(_ type: T.Type, at spa: SPA) throws(FirmwareStatus) -> T {
        T(decoding: memory.bytes(try checkRange(spa, byteCount: T.byteCount), count: T.byteCount))
    }

    /// Writes a result for the host.
    func copyOut(_ bytes: [UInt8], to spa: SPA) throws(FirmwareStatus) {
        memory.store(bytes, at: try checkRange(spa, byteCount: bytes.count))
    }

    /// The RMP entry of the page at an address, or nil for a Default page.
    ///
    /// - Throws: INVALID_PARAM for an address inside the RMP
    func entry(at spa: SPA) throws(FirmwareStatus) -> RMPEntry? {
        let address = spa.rawValue & ~Self.cBit
        let pfn = SPA(address).frame
        guard !rmp.tableFrames.contains(where: { $0.contains(pfn) }) else { throw .invalidParam }
        return rmp.covers(pfn) ? rmp.entry(pfn) : nil
    }

    /// The frame of a page address, which has no C-bit.
    func frame(of spa: SPA) -> PFN { SPA(spa.rawValue & ~Self.cBit).frame }

    /// Finds a guest by its context page.
    ///
    /// - Throws: in check order: INVALID_PARAM (inside the RMP), INVALID_GUEST (not a Context page)
    func guestFrame(_ context: SPA) throws(FirmwareStatus) -> PFN {
        guard try entry(at: context)?.state == .context else { throw .invalidGuest }
        let pfn = frame(of: context)
        guard guests[pfn] != nil else { throw .invalidGuest }
        return pfn
    }

    /// Checks that firmware may write to a page of the host: Firmware or Default.
    ///
    /// - Throws: in check order: INVALID_PARAM (inside the RMP), INVALID_PAGE_STATE
    func checkWritable(_ spa: SPA) throws(FirmwareStatus) {
        let state = try entry(at: spa)?.state ?? .default
        guard state == .firmware || state == .default else { throw .invalidPageState }
    }

    /// Whether bytes lie within one 4 KiB page.
    static func isWithinPage(_ spa: SPA, byteCount: Int) -> Bool { spa.pageOffset + byteCount <= 4096 }
}
