// What swapping out and swapping in share: where the metadata entry is, and the pages' bytes.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// Checks where a metadata entry is; nil for the entry of the guest context itself.
    ///
    /// - Throws: in check order: INVALID_PARAM (not 64-byte aligned, inside source or destination), INVALID_PAGE_STATE (not
    ///   Metadata), INVALID_PAGE_OWNER (of another guest)
    func metadataPlace(
        _ spa: SPA, _ found: RMPEntry?, context: PFN, outside pages: [(PFN, PageSize)]
    ) throws(FirmwareStatus) -> SPA {
        let place = SPA(spa.rawValue & ~Self.cBit)
        guard place.rawValue & 63 == 0 else { throw .invalidParam }
        for (pfn, size) in pages {
            guard !(pfn..<(pfn + size.pageCount)).contains(place.frame) else { throw .invalidParam }
        }
        guard let found, found.state == .metadata else { throw .invalidPageState }
        guard found.gfn == Self.metadataTag(context) else { throw .invalidPageOwner }
        return place
    }

    /// Reads a metadata entry from its place, or from the guest context.
    func metadataEntry(_ place: SPA?, _ guest: GuestRecord) -> MetadataEntry {
        guard let place else { return guest.rootMetadata }
        return MetadataEntry(decoding: memory.bytes(place, count: MetadataEntry.byteCount, key: contextKey))
    }

    /// Writes it.
    mutating func storeMetadataEntry(_ metadata: MetadataEntry, _ place: SPA?, context: PFN) {
        guard let place else {
            guests[context]?.rootMetadata = metadata
            return
        }
        memory.store(metadata.encoded, at: place, key: contextKey)
    }

    /// The bytes of a page as seen under a key.
    func pageBytes(_ pfn: PFN, _ size: PageSize, key: KeyID) -> [UInt8] {
        memory.bytes(pfn.address, count: Int(size.byteCount), key: key)
    }
}
