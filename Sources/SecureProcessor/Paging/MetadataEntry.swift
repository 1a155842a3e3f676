// What firmware keeps of a page while it is swapped out.

internal import SNPArchitecture

/// A metadata entry, 64 bytes.
///
/// - Spec: FWABI 56860, MDATA_ENTRY
struct MetadataEntry: Hashable {
    static let byteCount = 64
    /// The guest frame of a swapped page of metadata, which has none: all ones.
    static let noFrame = GFN(0xf_ffff_ffff_ffff)

    /// The host's own.
    var softwareData: UInt64 = 0
    /// The counter that was the nonce.
    var iv: UInt64 = 0
    var tag = [UInt8](repeating: 0, count: 16)
    var isValid = false
    var pageIsValidated = false
    var isVMSA = false
    var isMetadata = false
    var pageSize = PageSize.size4K
    var gfn = GFN(0)
    var permissions = VMPLPermissionSet(rawValue: 0)

    init() {}

    init(decoding bytes: [UInt8]) {
        softwareData = bytes.integer(at: 0)
        iv = bytes.integer(at: 8)
        tag = bytes.field(at: 0x10, byteCount: 16)
        let flags: UInt64 = bytes.integer(at: 0x20)
        isValid = flags & 1 != 0
        pageIsValidated = flags & 2 != 0
        isVMSA = flags & 4 != 0
        isMetadata = flags & 8 != 0
        pageSize = flags & 16 != 0 ? .size2M : .size4K
        gfn = GFN(flags >> 12)
        permissions = VMPLPermissionSet(rawValue: bytes.integer(at: 0x28))
    }

    var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.store(softwareData, at: 0)
        bytes.store(iv, at: 8)
        bytes.store(tag, at: 0x10, limit: 16)
        var flags = gfn.rawValue << 12
        if isValid { flags |= 1 }
        if pageIsValidated { flags |= 2 }
        if isVMSA { flags |= 4 }
        if isMetadata { flags |= 8 }
        if pageSize == .size2M { flags |= 16 }
        bytes.store(flags, at: 0x20)
        bytes.store(permissions.rawValue, at: 0x28)
        return bytes
    }

    /// PAGE_TYPE of the page: 0 data, 1 metadata, 2 VMSA; nil for bits that contradict each other.
    var pageType: UInt8? {
        switch (isMetadata, isVMSA) {
        case (false, false): 0
        case (true, false): 1
        case (false, true): 2
        case (true, true): nil
        }
    }

    /// The nonce of AES-GCM: the counter and four zero bytes.
    var nonce: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 12)
        bytes.store(iv, at: 0)
        return bytes
    }
}
