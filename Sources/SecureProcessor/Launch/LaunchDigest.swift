// The launch digest: a chain of SHA-384 over one PAGE_INFO for each 4 KiB page, in the order of the launch.

internal import Crypto
internal import SNPArchitecture

/// 48 bytes of SHA-384.
struct LaunchDigest {
    /// The bytes, eight to a word as they lie in memory.
    var words: InlineArray<6, UInt64>

    /// The initial value: zeros.
    init() { words = InlineArray(repeating: 0) }

    /// Makes a digest of 48 bytes; nil for another number.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == 48 else { return nil }
        words = InlineArray { bytes.integer(at: $0 * 8) }
    }

    init(_ digest: SHA384Digest) {
        words = unsafe digest.withUnsafeBytes { bytes in
            InlineArray { unsafe bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
        }
    }

    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 48)
        for index in 0..<6 { bytes.store(words[index], at: index * 8) }
        return bytes
    }

    /// What PAGE_INFO says of a page besides the two digests.
    struct Page {
        var type: PageType
        var isInitialMigrationImagePage: Bool
        /// VMPL1 to VMPL3; VMPL0's byte does not count.
        var permissions: VMPLPermissionSet
        var gpa: GPA

        /// PAGE_INFO of this page.
        func info(after digest: LaunchDigest, contents: LaunchDigest) -> PageInfo {
            PageInfo(
                currentDigest: digest.bytes, contents: contents.bytes, pageType: type,
                isInitialMigrationImagePage: isInitialMigrationImagePage, permissions: permissions, gpa: gpa)
        }
    }

    /// Extends the digest by one page.
    ///
    /// - Spec: FWABI 56860, PAGE_INFO; the same bytes as `PageInfo.encoded`, built without an allocation
    mutating func extend(_ page: Page, contents: LaunchDigest) {
        var info = InlineArray<14, UInt64>(repeating: 0)
        for index in 0..<6 {
            info[index] = words[index]
            info[6 + index] = contents.words[index]
        }
        info[12] =
            UInt64(PageInfo.byteCount) | UInt64(page.type.rawValue) << 16
            | (page.isInitialMigrationImagePage ? 1 << 24 : 0) | UInt64(page.permissions.rawValue & ~0xff) << 32
        info[13] = page.gpa.rawValue
        var hash = SHA384()
        unsafe withUnsafeBytes(of: &info) { unsafe hash.update(bufferPointer: $0) }
        self = LaunchDigest(hash.finalize())
    }
}
