// SNP_PAGE_MOVE: a page that firmware holds for a guest moves to another frame.

internal import Machine
internal import SNPArchitecture

extension Firmware {
    /// SNP_PAGE_MOVE: moves a guest's page, or a page of metadata.
    ///
    /// - Spec: FWABI 56860, SNP_PAGE_MOVE
    /// - Throws: in check order: INVALID_PARAM (reserved bits), INVALID_PLATFORM_STATE, INVALID_PARAM (an address
    ///   inside the RMP), INVALID_GUEST, INVALID_PAGE_SIZE, INVALID_GUEST_STATE, INACTIVE, INVALID_PAGE_STATE (states
    ///   that do not go together), INVALID_PAGE_OWNER, POLICY_FAILURE (PAGE_SWAP_DISABLE)
    /// - Deviates: where PAGE_SWAP_DISABLE stands in the order is unconfirmed. A page without an entry counts as one of
    ///   no state. A 2M address that is not 2M aligned gives INVALID_ADDRESS after the sizes; both unconfirmed
    mutating func snpPageMove(_ buffer: PageMoveBuffer) throws(FirmwareStatus) {
        guard buffer.reservedIsZero else { throw .invalidParam }
        guard state == .initialized else { throw .invalidPlatformState }
        let (from, to) = (try entry(at: buffer.source), try entry(at: buffer.destination))
        let context = try guestFrame(buffer.context)
        guard from.map({ $0.pageSize == buffer.pageSize }) ?? true else { throw .invalidPageSize }
        guard to.map({ $0.pageSize == buffer.pageSize }) ?? true else { throw .invalidPageSize }
        let (source, destination) = (frame(of: buffer.source), frame(of: buffer.destination))
        guard source.isAligned(to: buffer.pageSize), destination.isAligned(to: buffer.pageSize) else {
            throw .invalidAddress
        }
        guard let guest = guests[context], guest.state != .initialized else { throw .invalidGuestState }
        guard guest.activation != .inactive, let key = guest.keyID else { throw .inactive }
        guard let from, let to else { throw .invalidPageState }
        switch (from.state, to.state) {
        case (.preGuest, .preGuest), (.preSwap, .preGuest):
            guard from.asid == guest.asid, to.asid == guest.asid else { throw .invalidPageOwner }
            guard !guest.policy.contains(.pageSwapDisabled) else { throw .policyFailure }
            copy(source, to: destination, from.pageSize, key: key)
            var moved = from
            moved.immutable = false
            rmp.firmwareWrite(destination, moved)
            var left = from
            (left.immutable, left.validated) = (false, false)
            rmp.firmwareWrite(source, left)
        case (.metadata, .firmware):
            guard from.gfn == Self.metadataTag(context) else { throw .invalidPageOwner }
            guard !guest.policy.contains(.pageSwapDisabled) else { throw .policyFailure }
            copy(source, to: destination, from.pageSize, key: contextKey)
            rmp.firmwareWrite(destination, from)
            rmp.firmwareWrite(source, RMPEntry(assigned: true, pageSize: from.pageSize, immutable: true))
        default: throw .invalidPageState
        }
    }

    /// Copies a page as it is seen under a key to another frame under the same key.
    private func copy(_ source: PFN, to destination: PFN, _ size: PageSize, key: KeyID) {
        for index in 0..<size.pageCount {
            memory.store(
                memory.bytes((source + index).address, count: 4096, key: key), at: (destination + index).address,
                key: key)
        }
    }
}
