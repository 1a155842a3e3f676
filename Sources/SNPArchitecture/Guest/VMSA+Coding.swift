// A VMSA to and from its page, and the table of its layout. Works on quadwords: no field crosses one but the arrays.

extension VMSA {
    /// One row of the layout: which bytes a field has.
    public struct Field: Hashable, Sendable {
        /// The field's name as the manual writes it, or "reserved".
        public let name: String
        /// The first byte.
        public let offset: Int
        /// The number of bytes.
        public let byteCount: Int
        /// Whether the bytes have no meaning.
        public var isReserved: Bool { name == "reserved" }
    }

    /// The layout of the page, every byte of it, in order.
    public static var layout: [Field] {
        var collector = VMSALayoutCollector()
        var vmsa = VMSA()
        vmsa.visitFields(&collector)
        return collector.rows
    }

    /// The page as 512 little-endian quadwords, reserved bytes zero.
    public var quadwords: InlineArray<512, UInt64> {
        var page = InlineArray<512, UInt64>(repeating: 0)
        store(into: &page)
        return page
    }

    /// The page as 4096 bytes, reserved bytes zero.
    public var bytes: [UInt8] {
        var page = quadwords
        for index in page.indices { page[index] = page[index].littleEndian }
        // SAFETY: an InlineArray of quadwords is 4096 initialised bytes in order, and they are copied out.
        return unsafe withUnsafeBytes(of: &page) { unsafe [UInt8]($0) }
    }

    /// Writes the fields into a page and leaves its reserved bytes alone.
    public func store(into page: inout InlineArray<512, UInt64>) {
        var writer = VMSAWriter(page: page)
        var copy = self
        copy.visitFields(&writer)
        page = writer.page
    }

    /// Reads the fields of a page; reserved bytes are ignored.
    public init(quadwords page: InlineArray<512, UInt64>) {
        self.init()
        var reader = VMSAReader(page: page)
        visitFields(&reader)
    }

    /// Reads the fields of a page where it lies; reserved bytes are ignored. Each byte is read once.
    ///
    /// - Parameter page: at least `saveAreaByteCount` bytes, aligned to 8
    @unsafe public mutating func load(from page: UnsafeRawPointer) {
        var reader = unsafe VMSAPageReader(page: page)
        unsafe visitFields(&reader)
    }

    /// Writes the fields into a page where it lies and leaves its reserved bytes alone. Changes nothing of itself.
    ///
    /// - Parameter page: at least `saveAreaByteCount` bytes, aligned to 8
    @unsafe public mutating func store(at page: UnsafeMutableRawPointer) {
        var writer = unsafe VMSAPageWriter(page: page)
        unsafe visitFields(&writer)
    }

    /// Reads the fields of a page of 4096 bytes, or gives nil for any other length.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        var page = InlineArray<512, UInt64>(repeating: 0)
        for (index, byte) in bytes.enumerated() {
            page[index >> 3] |= UInt64(byte) << UInt64((index & 7) &* 8)
        }
        self.init(quadwords: page)
    }
}

private struct VMSALayoutCollector: VMSAVisitor {
    var rows: [VMSA.Field] = []

    mutating func integer<I: FixedWidthInteger & UnsignedInteger>(
        _ name: StaticString, _ offset: Int, _ value: inout I
    ) {
        rows.append(VMSA.Field(name: name.description, offset: offset, byteCount: I.bitWidth / 8))
    }
    mutating func segment(_ name: StaticString, _ offset: Int, _ value: inout SegmentRegister) {
        rows.append(VMSA.Field(name: name.description, offset: offset, byteCount: 16))
    }
    mutating func quadwords<let count: Int>(
        _ name: StaticString, _ offset: Int, _ value: inout InlineArray<count, UInt64>
    ) {
        rows.append(VMSA.Field(name: name.description, offset: offset, byteCount: count * 8))
    }
    mutating func reserved(_ offset: Int, _ byteCount: Int) {
        rows.append(VMSA.Field(name: "reserved", offset: offset, byteCount: byteCount))
    }
}

private struct VMSAWriter: VMSAVisitor {
    var page: InlineArray<512, UInt64>

    mutating func integer<I: FixedWidthInteger & UnsignedInteger>(
        _ name: StaticString, _ offset: Int, _ value: inout I
    ) {
        let shift = UInt64((offset & 7) &* 8)
        let mask = UInt64(truncatingIfNeeded: I.max) << shift
        page[offset >> 3] = (page[offset >> 3] & ~mask) | UInt64(truncatingIfNeeded: value) << shift
    }
    mutating func segment(_ name: StaticString, _ offset: Int, _ value: inout SegmentRegister) {
        page[offset >> 3] = value.lowQuadword
        page[offset >> 3 &+ 1] = value.base
    }
    mutating func quadwords<let count: Int>(
        _ name: StaticString, _ offset: Int, _ value: inout InlineArray<count, UInt64>
    ) {
        for index in value.indices { page[offset >> 3 &+ index] = value[index] }
    }
    mutating func reserved(_ offset: Int, _ byteCount: Int) {}
}

private struct VMSAReader: VMSAVisitor {
    let page: InlineArray<512, UInt64>

    mutating func integer<I: FixedWidthInteger & UnsignedInteger>(
        _ name: StaticString, _ offset: Int, _ value: inout I
    ) {
        value = I(truncatingIfNeeded: page[offset >> 3] >> UInt64((offset & 7) &* 8))
    }
    mutating func segment(_ name: StaticString, _ offset: Int, _ value: inout SegmentRegister) {
        value = SegmentRegister(low: page[offset >> 3], base: page[offset >> 3 &+ 1])
    }
    mutating func quadwords<let count: Int>(
        _ name: StaticString, _ offset: Int, _ value: inout InlineArray<count, UInt64>
    ) {
        for index in value.indices { value[index] = page[offset >> 3 &+ index] }
    }
    mutating func reserved(_ offset: Int, _ byteCount: Int) {}
}

// SAFETY of both: a field's offset is below `saveAreaByteCount` and aligned to its size, as the table of the layout shows.

/// VMRUN's way in: no copy of the page is made.
@unsafe private struct VMSAPageReader: VMSAVisitor {
    let page: UnsafeRawPointer

    @inline(__always) mutating func integer<I: FixedWidthInteger & UnsignedInteger>(
        _ name: StaticString, _ offset: Int, _ value: inout I
    ) {
        value = I(littleEndian: unsafe page.load(fromByteOffset: offset, as: I.self))
    }
    @inline(__always) mutating func segment(_ name: StaticString, _ offset: Int, _ value: inout SegmentRegister) {
        value = SegmentRegister(
            low: UInt64(littleEndian: unsafe page.load(fromByteOffset: offset, as: UInt64.self)),
            base: UInt64(littleEndian: unsafe page.load(fromByteOffset: offset + 8, as: UInt64.self)))
    }
    @inline(__always) mutating func quadwords<let count: Int>(
        _ name: StaticString, _ offset: Int, _ value: inout InlineArray<count, UInt64>
    ) {
        for index in value.indices {
            value[index] = UInt64(littleEndian: unsafe page.load(fromByteOffset: offset &+ index &* 8, as: UInt64.self))
        }
    }
    @inline(__always) mutating func reserved(_ offset: Int, _ byteCount: Int) {}
}

/// #VMEXIT's way out.
@unsafe private struct VMSAPageWriter: VMSAVisitor {
    let page: UnsafeMutableRawPointer

    @inline(__always) mutating func integer<I: FixedWidthInteger & UnsignedInteger>(
        _ name: StaticString, _ offset: Int, _ value: inout I
    ) {
        unsafe page.storeBytes(of: value.littleEndian, toByteOffset: offset, as: I.self)
    }
    @inline(__always) mutating func segment(_ name: StaticString, _ offset: Int, _ value: inout SegmentRegister) {
        unsafe page.storeBytes(of: value.lowQuadword.littleEndian, toByteOffset: offset, as: UInt64.self)
        unsafe page.storeBytes(of: value.base.littleEndian, toByteOffset: offset + 8, as: UInt64.self)
    }
    @inline(__always) mutating func quadwords<let count: Int>(
        _ name: StaticString, _ offset: Int, _ value: inout InlineArray<count, UInt64>
    ) {
        for index in value.indices {
            unsafe page.storeBytes(of: value[index].littleEndian, toByteOffset: offset &+ index &* 8, as: UInt64.self)
        }
    }
    @inline(__always) mutating func reserved(_ offset: Int, _ byteCount: Int) {}
}
