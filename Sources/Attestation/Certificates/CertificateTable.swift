// The table of certificates that a host hands to a guest with an extended guest request.

/// What an entry of a certificate table holds: a GUID, in the order of its digits.
public struct CertificateTableKey: Hashable, Sendable {
    /// The GUID's 16 bytes.
    public let guid: [UInt8]
    /// Makes a key from 16 bytes, or gives nil.
    public init?(guid: [UInt8]) {
        guard guid.count == 16 else { return nil }
        self.guid = guid
    }
    private init(_ high: UInt64, _ low: UInt64) {
        guid = [high, low].flatMap { half in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: half >> UInt64($0)) }
        }
    }
    /// c0b406a4-a803-4952-9743-3fb6014cd0ae.
    public static let ark = Self(0xc0b4_06a4_a803_4952, 0x9743_3fb6_014c_d0ae)
    /// 4ab7b379-bbac-4fe4-a02f-05aef327c782; ASVK stands here too.
    public static let ask = Self(0x4ab7_b379_bbac_4fe4, 0xa02f_05ae_f327_c782)
    /// 63da758d-e664-4564-adc5-f4b93be8accd.
    public static let vcek = Self(0x63da_758d_e664_4564, 0xadc5_f4b9_3be8_accd)
    /// a8074bc2-a25a-483e-aae6-39c045a0b8a1.
    public static let vlek = Self(0xa807_4bc2_a25a_483e, 0xaae6_39c0_45a0_b8a1)
    /// 92f81bc3-5811-4d3d-97ff-d19f88dc67ea.
    public static let revocationList = Self(0x92f8_1bc3_5811_4d3d, 0x97ff_d19f_88dc_67ea)
}

/// Why bytes are not a certificate table.
public enum CertificateTableError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The table ends before the entry of zeros that should end it.
    case noTerminator
    /// The entry's contents do not lie behind the table and within the bytes, or overlap those of others.
    case outside(entry: Int)
    /// An entry's GUID occurs twice.
    case duplicate(entry: Int)

    /// The cause in words.
    public var description: String {
        switch self {
        case .noTerminator: "the certificate table has no terminating entry"
        case .outside(let entry): "the contents of entry \(entry) of the certificate table lie outside it"
        case .duplicate(let entry): "entry \(entry) of the certificate table repeats a GUID"
        }
    }
}

/// A table of certificates.
///
/// - Spec: GHCB 4.1.8.1 (SNP Extended Guest Request)
/// - Deviates: that GUIDs stand in the order of their digits follows AMD's host tool; the document does not say
public struct CertificateTable: Hashable, Sendable {
    /// The contents by GUID, in order.
    public var entries: [(key: CertificateTableKey, contents: [UInt8])] {
        zip(keys, blobs).map { ($0, $1) }
    }
    private var keys: [CertificateTableKey] = []
    private var blobs: [[UInt8]] = []
    private static let entryByteCount = 24

    /// Makes an empty table.
    public init() {}

    /// The contents of an entry; setting nil takes it out.
    public subscript(key: CertificateTableKey) -> [UInt8]? {
        get { keys.firstIndex(of: key).map { blobs[$0] } }
        set {
            if let index = keys.firstIndex(of: key) {
                keys.remove(at: index)
                blobs.remove(at: index)
            }
            guard let newValue else { return }
            keys.append(key)
            blobs.append(newValue)
        }
    }

    /// Reads a table.
    ///
    /// - Throws: `.noTerminator` before anything else; then for each entry `.outside`, `.duplicate`
    public init(decoding bytes: [UInt8]) throws(CertificateTableError) {
        let size = Self.entryByteCount
        var count = 0
        while true {
            guard (count + 1) * size <= bytes.count else { throw .noTerminator }
            if bytes[(count * size)..<((count + 1) * size)].allSatisfy({ $0 == 0 }) { break }
            count += 1
        }
        var seen: Set<CertificateTableKey> = []
        var room = bytes.count - (count + 1) * size
        for index in 0..<count {
            let entry = Array(bytes[(index * size)..<((index + 1) * size)])
            let start = Self.word(entry, 16)
            let length = Self.word(entry, 20)
            guard start >= (count + 1) * size, start + length <= bytes.count else { throw .outside(entry: index) }
            // More contents than bytes means that some overlap; this bounds what a hostile table makes us copy.
            room -= length
            guard room >= 0 else { throw .outside(entry: index) }
            guard let key = CertificateTableKey(guid: Array(entry[..<16])), seen.insert(key).inserted else {
                throw .duplicate(entry: index)
            }
            keys.append(key)
            blobs.append(Array(bytes[start..<(start + length)]))
        }
    }

    /// The table's bytes.
    public var encoded: [UInt8] {
        var head: [UInt8] = []
        var tail: [UInt8] = []
        let headByteCount = (keys.count + 1) * Self.entryByteCount
        for (key, contents) in zip(keys, blobs) {
            head += key.guid
            for value in [UInt32(headByteCount + tail.count), UInt32(contents.count)] {
                head += (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
            }
            tail += contents
        }
        return head + [UInt8](repeating: 0, count: Self.entryByteCount) + tail
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> Int {
        (0..<4).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
}
