// A look at guest memory that changes nothing: no marks in tables, no cached translation, no check. For traces and
// explanations, never for what a guest or a host does.

public import SNPArchitecture

extension GuestAccess {
    /// The walk of nested tables for an address, entry by entry.
    public func recordWalk(_ gpa: GPA) -> NestedWalkRecord {
        memory.record(root: context.nestedRoot, address: gpa.rawValue)
    }

    /// Bytes as the guest sees them through a C-bit. Nil if a page of them is not mapped.
    public func peek(_ gpa: GPA, count: Int, _ cBit: CBit) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            guard let here = gpa.advanced(checked: UInt64(bytes.count)) else { return nil }
            let piece = min(count - bytes.count, 4096 - here.pageOffset)
            guard let pfn = recordWalk(here).pfn else { return nil }
            let spa = SPA(pfn.address.rawValue | UInt64(here.pageOffset))
            guard memory.contains(spa, count: UInt64(piece)) else { return nil }
            bytes += memory.bytes(spa, count: piece, key: key(cBit))
        }
        return bytes
    }
}
