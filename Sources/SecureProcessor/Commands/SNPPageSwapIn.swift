// SNP_PAGE_SWAP_IN: a sealed page of a guest, or of metadata, comes back.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_PAGE_SWAP_IN: opens a sealed page into a page of the guest, with the properties that its metadata entry holds.
    ///
    /// - Spec: FWABI 56860, SNP_PAGE_SWAP_IN
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_PARAM (an address
    ///   inside the RMP), INVALID_GUEST, what `metadataPlace` throws, INVALID_GUEST_STATE, INACTIVE,
    ///   INVALID_MDATA_ENTRY, INVALID_PAGE_SIZE, what `checkTarget` throws, POLICY_FAILURE (PAGE_SWAP_DISABLE), the
    ///   rules of copy-in, BAD_MEASUREMENT (tag)
    /// - Deviates: where PAGE_SWAP_DISABLE stands in the order is unconfirmed. PAGE_TYPE 3 gives INVALID_MDATA_ENTRY,
    ///   as no entry matches it
    mutating func snpPageSwapIn(_ buffer: PageSwapInBuffer) throws(FirmwareStatus) {
        let size = buffer.pageSize
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let (from, to) = (try entry(at: buffer.source), try entry(at: buffer.destination))
        let holder = buffer.usesRootEntry ? nil : try entry(at: buffer.metadata)
        let context = try guestFrame(buffer.context)
        let (source, destination) = (frame(of: buffer.source), frame(of: buffer.destination))
        let place =
            buffer.usesRootEntry
            ? nil
            : try metadataPlace(
                buffer.metadata, holder, context: context, outside: [(source, size), (destination, size)])
        guard let guest = guests[context], guest.state != .initialized else { throw .invalidGuestState }
        guard guest.activation != .inactive, let guestKey = guest.keyID else { throw .inactive }
        var metadata = metadataEntry(place, guest)
        guard metadata.isValid, metadata.pageType == buffer.pageType else { throw .invalidMetadataEntry }
        guard from.map({ $0.pageSize == size }) ?? true else { throw .invalidPageSize }
        guard to?.pageSize == size, metadata.pageSize == size else { throw .invalidPageSize }
        guard let to else { throw .invalidPageState }
        try checkTarget(buffer, to, source: source, destination: destination, guest: guest)
        guard !guest.policy.contains(.pageSwapDisabled) else { throw .policyFailure }
        let byteCount = Int(size.byteCount)
        let start = try checkRange(buffer.source, byteCount: byteCount)
        let sealed = memory.bytes(start, count: byteCount)
        guard let plain = OfflineKey.open(sealed, nonce: metadata.nonce, tag: metadata.tag, oek: guest.oek) else {
            throw .badMeasurement
        }

        memory.store(plain, at: destination.address, key: metadata.isMetadata ? contextKey : guestKey)
        var entry = to
        if metadata.isMetadata {
            entry.gfn = Self.metadataTag(context)
        } else {
            entry.gfn = metadata.gfn
            entry.permissions = metadata.permissions
            entry.vmsa = metadata.isVMSA
            entry.validated = metadata.pageIsValidated
        }
        rmp.firmwareWrite(destination, entry)
        metadata.isValid = false
        storeMetadataEntry(metadata, place, context: context)
    }

    /// Checks the page that the bytes go to.
    ///
    /// - Throws: in check order, data: INVALID_ADDRESS (in place with two pages), INVALID_PAGE_STATE, INVALID_PAGE_OWNER;
    ///   metadata: INVALID_PARAM (in place), INVALID_PAGE_STATE; VMSA: INVALID_PARAM (in place), INVALID_PAGE_SIZE,
    ///   INVALID_PAGE_STATE, INVALID_PAGE_OWNER
    private func checkTarget(
        _ buffer: PageSwapInBuffer, _ to: RMPEntry, source: PFN, destination: PFN, guest: GuestRecord
    ) throws(FirmwareStatus) {
        guard destination.isAligned(to: to.pageSize) else { throw .invalidAddress }
        if buffer.pageType == 0 {
            guard !buffer.isInPlace || source == destination else { throw .invalidAddress }
        } else {
            guard !buffer.isInPlace else { throw .invalidParam }
        }
        guard buffer.pageType != 2 || to.pageSize == .size4K else { throw .invalidPageSize }
        guard to.state == (buffer.pageType == 1 ? .firmware : .preGuest) else { throw .invalidPageState }
        guard buffer.pageType == 1 || to.asid == guest.asid else { throw .invalidPageOwner }
    }
}
