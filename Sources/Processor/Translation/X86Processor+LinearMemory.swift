// Accesses of ordinary code: what instructions that are not operations read and write, and the processor's own tables.

internal import Machine
internal import SNPArchitecture

extension X86Processor {
    /// Reads bytes at a linear address; they may cross pages.
    func readLinear(
        _ address: UInt64, _ count: Int, origin: AccessOrigin = .code
    ) throws(Interruption) -> [UInt8] {
        try checkCanonical(address, max(1, count))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let here = cutLinear(address &+ UInt64(bytes.count))
            let piece = min(count - bytes.count, 4096 - Int(here & 0xfff))
            let page = try translate(here, .read, origin: origin)
            guard let memory else { return bytes }
            do throws(GuestFault) { bytes += try memory.bytes(page.gpa, count: piece, page.cBit) } catch {
                throw interruption(error)
            }
        }
        return bytes
    }

    /// Writes bytes at a linear address. All pages are translated before the first is written: it may hold the tables of the
    /// others.
    func writeLinear(
        _ address: UInt64, _ bytes: [UInt8], origin: AccessOrigin = .code
    ) throws(Interruption) {
        let pieces = try writablePieces(address, bytes.count, origin: origin)
        guard let memory else { return }
        var done = 0
        for piece in pieces {
            if isCode(piece.frame) {
                forgetCode(of: piece.frame)
                forgetContinuation()
            }
            do throws(GuestFault) {
                try memory.store(Array(bytes[done..<done + piece.count]), at: piece.page.gpa, piece.page.cBit)
            } catch { throw interruption(error) }
            done += piece.count
        }
    }

    /// Checks that bytes can be written, page by page.
    func checkWritable(
        _ address: UInt64, _ count: Int, origin: AccessOrigin = .code
    ) throws(Interruption) {
        _ = try writablePieces(address, count, origin: origin)
    }

    private func writablePieces(
        _ address: UInt64, _ count: Int, origin: AccessOrigin
    ) throws(Interruption) -> [(page: LinearPage, frame: PFN, count: Int)] {
        try checkCanonical(address, max(1, count))
        guard let memory else { return [] }
        var pieces: [(page: LinearPage, frame: PFN, count: Int)] = []
        var done = 0
        while done < count {
            let here = cutLinear(address &+ UInt64(done))
            let piece = min(count - done, 4096 - Int(here & 0xfff))
            let page = try translate(here, .write, origin: origin)
            do throws(GuestFault) {
                pieces.append((page, try memory.translate(page.gpa, .write, page.cBit).pfn, piece))
            } catch { throw interruption(error) }
            done += piece
        }
        return pieces
    }

    /// Reads a little-endian value of up to 8 bytes.
    func readValue(_ address: UInt64, _ count: Int, origin: AccessOrigin = .code) throws(Interruption) -> UInt64 {
        var value: UInt64 = 0
        for (index, byte) in try readLinear(address, count, origin: origin).enumerated() {
            value |= UInt64(byte) << UInt64(8 * index)
        }
        return value
    }

    /// Writes the low bytes of a value.
    func writeValue(
        _ address: UInt64, _ value: UInt64, _ count: Int, origin: AccessOrigin = .code
    ) throws(Interruption) {
        try writeLinear(
            address, (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }, origin: origin)
    }

    /// Outside long mode linear addresses have 32 bits.
    func cutLinear(_ address: UInt64) -> UInt64 { isLongMode ? address : address & 0xffff_ffff }
}
