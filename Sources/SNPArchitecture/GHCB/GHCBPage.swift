// The guest-hypervisor communication block, as a value. Whoever reads the shared page copies all of it once and decides
// on the copy: the guest may write the page at any time. Who may read or write it is the hypervisor's affair.

/// The 4096 bytes of a GHCB, copied out of shared memory or to be copied in.
///
/// - Spec: GHCB 56421, "GHCB layout"
public struct GHCBPage: Hashable, Sendable {
    /// The size of the page.
    public static let byteCount = 4096
    /// The bytes of the shared buffer, by offset.
    public static let sharedBuffer = 0x800..<0xff0
    /// Where VALID_BITMAP lies.
    public static let validBitmapOffset = 0x3f0
    /// Where X87_STATE_GPA lies.
    public static let x87StateOffset = 0x400
    /// Where the protocol version lies.
    public static let versionOffset = 0xffa
    /// Where the usage lies.
    public static let usageOffset = 0xffc

    /// The page's bytes, always 4096.
    public private(set) var bytes: [UInt8]

    /// Makes a page of zeros.
    public init() { bytes = [UInt8](repeating: 0, count: Self.byteCount) }

    /// Makes a page from its bytes; nil unless there are 4096.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// The value that stands in a field, valid or not. CPL is zero-extended; storing keeps its low byte.
    public subscript(_ field: GHCBField) -> UInt64 {
        get { field == .cpl ? UInt64(bytes[field.rawValue]) : bytes.integer(at: field.rawValue) }
        set {
            if field == .cpl {
                bytes[field.rawValue] = UInt8(truncatingIfNeeded: newValue)
            } else {
                bytes.store(newValue, at: field.rawValue)
            }
        }
    }

    /// The value of a field if its bit says that it counts.
    public func value(_ field: GHCBField) -> UInt64? { validBitmap.contains(field) ? self[field] : nil }

    /// Stores a value and sets the field's bit.
    public mutating func set(_ field: GHCBField, _ value: UInt64) {
        self[field] = value
        validBitmap.insert(field)
    }

    /// VALID_BITMAP.
    public var validBitmap: GHCBValidBitmap {
        get {
            GHCBValidBitmap(
                low: bytes.integer(at: Self.validBitmapOffset), high: bytes.integer(at: Self.validBitmapOffset + 8))
        }
        set {
            bytes.store(newValue.low, at: Self.validBitmapOffset)
            bytes.store(newValue.high, at: Self.validBitmapOffset + 8)
        }
    }

    /// X87_STATE_GPA, which no bit covers.
    public var x87StateGPA: GPA {
        get { GPA(bytes.integer(at: Self.x87StateOffset, as: UInt64.self)) }
        set { bytes.store(newValue.rawValue, at: Self.x87StateOffset) }
    }

    /// The protocol version that the guest speaks with this page.
    public var protocolVersion: UInt16 {
        get { bytes.integer(at: Self.versionOffset) }
        set { bytes.store(newValue, at: Self.versionOffset) }
    }

    /// What the page is used for: 0 for the layout modelled here.
    public var usage: UInt32 {
        get { bytes.integer(at: Self.usageOffset) }
        set { bytes.store(newValue, at: Self.usageOffset) }
    }

    /// Copies bytes into the shared buffer; what does not fit is dropped.
    ///
    /// - Precondition: `offset` is one of the shared buffer
    public mutating func store(_ contents: [UInt8], at offset: Int = GHCBPage.sharedBuffer.lowerBound) {
        precondition(Self.sharedBuffer.contains(offset), "outside the shared buffer")
        bytes.store(contents, at: offset, limit: Self.sharedBuffer.upperBound - offset)
    }

    /// Fills SW_EXITCODE, SW_EXITINFO1 and SW_EXITINFO2 and marks them.
    public mutating func setExit(_ code: UInt64, _ info1: UInt64 = 0, _ info2: UInt64 = 0) {
        set(.exitCode, code)
        set(.exitInfo1, info1)
        set(.exitInfo2, info2)
    }
}
