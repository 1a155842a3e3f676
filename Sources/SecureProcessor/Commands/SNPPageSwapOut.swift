// SNP_PAGE_SWAP_OUT: a page of a guest, or of metadata, leaves as a sealed copy that the host may store anywhere.

internal import Crypto
internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_PAGE_SWAP_OUT: seals a page under the guest's offline key and keeps tag and properties in a metadata entry.
    ///
    /// - Spec: FWABI 56860, SNP_PAGE_SWAP_OUT
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_PARAM (an address
    ///   inside the RMP), INVALID_GUEST, what `metadataPlace` throws, INVALID_PAGE_SIZE, INVALID_GUEST_STATE, INACTIVE,
    ///   INVALID_PAGE_STATE (source, destination, page type), INVALID_PAGE_OWNER, POLICY_FAILURE (PAGE_SWAP_DISABLE),
    ///   the rules of copy-out, AEAD_OFLOW
    /// - Deviates: where PAGE_SWAP_DISABLE stands in the order is unconfirmed. A 2M address that is not 2M aligned
    ///   gives INVALID_ADDRESS after the sizes; unconfirmed
    mutating func snpPageSwapOut(_ buffer: PageSwapOutBuffer) throws(FirmwareStatus) {
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
        guard from?.pageSize == size else { throw .invalidPageSize }
        guard to.map({ $0.pageSize == size }) ?? true else { throw .invalidPageSize }
        guard source.isAligned(to: size), to == nil || destination.isAligned(to: size) else { throw .invalidAddress }
        guard let guest = guests[context], guest.state != .initialized else { throw .invalidGuestState }
        guard guest.activation != .inactive, let guestKey = guest.keyID else { throw .inactive }
        guard let from else { throw .invalidPageState }
        let isMetadata = buffer.pageType == 1
        guard buffer.pageType != 3 else { throw .invalidPageState }
        guard (isMetadata ? [.metadata] : [.preGuest, .preSwap]).contains(from.state) else { throw .invalidPageState }
        guard [.firmware, .default].contains(to?.state ?? .default) else { throw .invalidPageState }
        guard isMetadata ? from.gfn == Self.metadataTag(context) : from.asid == guest.asid else {
            throw .invalidPageOwner
        }
        guard !guest.policy.contains(.pageSwapDisabled) else { throw .policyFailure }
        _ = try checkRange(buffer.destination, byteCount: Int(size.byteCount))
        guard guest.oekCount != .max - 1 else { throw .aeadOverflow }

        var metadata = MetadataEntry()
        metadata.softwareData = buffer.softwareData
        metadata.iv = guest.oekCount
        metadata.isValid = true
        metadata.pageIsValidated = from.validated
        metadata.isVMSA = buffer.pageType == 2
        metadata.isMetadata = isMetadata
        metadata.pageSize = size
        metadata.gfn = isMetadata ? MetadataEntry.noFrame : from.gfn
        metadata.permissions = from.permissions
        let plain = pageBytes(source, size, key: isMetadata ? contextKey : guestKey)
        let (ciphertext, tag) = OfflineKey.seal(plain, nonce: metadata.nonce, oek: guest.oek)
        metadata.tag = tag
        guests[context]?.oekCount += 1
        try copyOut(ciphertext, to: buffer.destination)
        storeMetadataEntry(metadata, place, context: context)
        var left = from
        if isMetadata { (left.gfn, left.vmsa) = (GFN(0), false) } else { left.validated = false }
        rmp.firmwareWrite(source, left)
    }
}

/// AES-256-GCM under a guest's offline encryption key, without additional data.
enum OfflineKey {
    static func seal(_ plain: [UInt8], nonce: [UInt8], oek: [UInt8]) -> (ciphertext: [UInt8], tag: [UInt8]) {
        do {
            let box = try AES.GCM.seal(plain, using: SymmetricKey(data: oek), nonce: AES.GCM.Nonce(data: nonce))
            return (Array(box.ciphertext), Array(box.tag))
        } catch {
            preconditionFailure("AES-GCM refused to seal")
        }
    }

    static func open(_ ciphertext: [UInt8], nonce: [UInt8], tag: [UInt8], oek: [UInt8]) -> [UInt8]? {
        guard let nonce = try? AES.GCM.Nonce(data: nonce),
            let box = try? AES.GCM.SealedBox(nonce: nonce, ciphertext: ciphertext, tag: tag),
            let plain = try? AES.GCM.open(box, using: SymmetricKey(data: oek))
        else { return nil }
        return Array(plain)
    }
}
