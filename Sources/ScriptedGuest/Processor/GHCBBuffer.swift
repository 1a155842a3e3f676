// The guest's copy of its GHCB page, which moves to and from shared memory as a whole.

internal import Machine
internal import SNPArchitecture

/// The 4096 bytes of a GHCB in memory of the processor's own.
@safe final class GHCBBuffer {
    private let page: UnsafeMutableRawBufferPointer

    init() {
        unsafe page = .allocate(byteCount: GHCBPage.byteCount, alignment: 16)
        clear()
    }

    deinit { unsafe page.deallocate() }

    func clear() { unsafe page.initializeMemory(as: UInt8.self, repeating: 0) }

    func store(to memory: GuestAccess, at gpa: GPA) throws(GuestFault) {
        unsafe try memory.write(gpa, from: UnsafeRawBufferPointer(page), .shared)
    }

    func load(from memory: GuestAccess, at gpa: GPA) throws(GuestFault) {
        unsafe try memory.read(gpa, into: page, .shared)
    }

    /// A little-endian integer at an offset that is a multiple of its size.
    subscript<I: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(offset: Int, as type: I.Type) -> I {
        get { unsafe I(littleEndian: page.load(fromByteOffset: offset, as: I.self)) }
        set { unsafe page.storeBytes(of: newValue.littleEndian, toByteOffset: offset, as: I.self) }
    }

    /// A field's value.
    subscript(field: GHCBField) -> UInt64 {
        field == .cpl ? UInt64(self[field.rawValue, as: UInt8.self]) : self[field.rawValue, as: UInt64.self]
    }

    /// Stores a value and sets the field's valid bit.
    func set(_ field: GHCBField, _ value: UInt64) {
        if field == .cpl {
            self[field.rawValue, as: UInt8.self] = UInt8(truncatingIfNeeded: value)
        } else {
            self[field.rawValue, as: UInt64.self] = value
        }
        self[Self.validByte(field), as: UInt8.self] |= 1 << UInt8(field.validBit & 7)
    }

    func isValid(_ field: GHCBField) -> Bool {
        self[Self.validByte(field), as: UInt8.self] & 1 << UInt8(field.validBit & 7) != 0
    }

    private static func validByte(_ field: GHCBField) -> Int { GHCBPage.validBitmapOffset + field.validBit >> 3 }

    /// Copies bytes to the start of the shared buffer, whose length they do not exceed.
    func storeShared(_ bytes: [UInt8]) {
        for (index, byte) in bytes.enumerated() {
            self[GHCBPage.sharedBuffer.lowerBound + index, as: UInt8.self] = byte
        }
    }

    /// Whether the shared buffer begins with these bytes.
    func sharedBegins(with bytes: [UInt8]) -> Bool {
        bytes.indices.allSatisfy { self[GHCBPage.sharedBuffer.lowerBound + $0, as: UInt8.self] == bytes[$0] }
    }

    /// Makes the three fields of an event, and with them the valid bitmap, anew.
    func setExit(_ code: ExitCode, _ info1: UInt64, _ info2: UInt64) {
        self[GHCBPage.validBitmapOffset, as: UInt64.self] = 0
        self[GHCBPage.validBitmapOffset + 8, as: UInt64.self] = 0
        set(.exitCode, code.rawValue)
        set(.exitInfo1, info1)
        set(.exitInfo2, info2)
    }
}
