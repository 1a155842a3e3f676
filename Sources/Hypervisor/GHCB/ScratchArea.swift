// The scratch area of a request: where bytes that do not fit in registers lie, and where they may lie.

internal import SNPArchitecture

/// Bytes that a request's SW_SCRATCH points to, within the bounds that the host allows.
struct ScratchArea: Hashable {
    /// Where they are.
    enum Place: Hashable {
        /// In the shared buffer of the GHCB, at this offset of the page.
        case sharedBuffer(Int)
        /// Elsewhere in shared memory, to be copied.
        case elsewhere(GPA)
    }

    let place: Place
    let byteCount: Int

    /// The most bytes outside the GHCB: 16 pages.
    static let limitElsewhere: UInt64 = 16 << 12

    /// Finds the bounds of a scratch area, or nil when they are not allowed. The bytes themselves may still be missing.
    ///
    /// - Spec: GHCB 56421, "SW_SCRATCH"; Linux: `setup_vmgexit_scratch()`
    /// - Returns: nil in check order: address 0, end wraps, starts in the GHCB page and leaves the shared buffer, elsewhere
    ///   where the host does not allow that, elsewhere and longer than 16 pages
    init?(_ request: GHCBRequest, byteCount: UInt64) {
        let start = request.register(.scratch)
        guard start != 0 else { return nil }
        let (end, wraps) = start.addingReportingOverflow(byteCount)
        guard !wraps else { return nil }
        if start & ~0xfff == request.gpa.rawValue {
            let buffer = GHCBPage.sharedBuffer
            guard start >= request.gpa.rawValue + UInt64(buffer.lowerBound) else { return nil }
            guard end <= request.gpa.rawValue + UInt64(buffer.upperBound) else { return nil }
            place = .sharedBuffer(Int(start & 0xfff))
        } else {
            guard request.personality.allowsScratchAnywhere else { return nil }
            guard byteCount <= Self.limitElsewhere else { return nil }
            place = .elsewhere(GPA(start))
        }
        self.byteCount = Int(byteCount)
    }
}

extension GHCBSession {
    /// Copies the area: from the copy of the GHCB, or once from memory.
    ///
    /// - Throws: EFAULT (no slot), ENOMEM
    func read(_ area: ScratchArea, of machine: VirtualMachine) throws(Errno) -> [UInt8] {
        switch area.place {
        case .sharedBuffer(let offset): Array(request.page.bytes[offset..<offset + area.byteCount])
        case .elsewhere(let gpa): try machine.readShared(gpa, count: area.byteCount)
        }
    }

    /// Stores bytes in the area, at an offset. What has no memory behind it any more is dropped.
    ///
    /// - Precondition: they lie within the area
    func store(_ bytes: [UInt8], at offset: Int, in area: ScratchArea, of machine: VirtualMachine) {
        precondition(offset >= 0 && offset + bytes.count <= area.byteCount, "outside the scratch area")
        switch area.place {
        case .sharedBuffer(let start): page.store(bytes, at: start + offset)
        case .elsewhere(let gpa): try? machine.writeShared(bytes, at: gpa + UInt64(offset))
        }
    }
}
