// Accesses that the core cannot make by itself: across pages, and to pages that hold code. The rest of the instruction is run
// alone, on a copy, with a TLB entry made for it.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

/// An access that the core cannot make by itself: it is made one instruction at a time.
@unsafe enum SingleStep {
    /// The access crosses into another page: where its bytes lie.
    case crossing(address: UInt64, pieces: [LentPiece], isWrite: Bool)
    /// The page holds code.
    case code(address: UInt64, frame: PFN, bytes: UInt)
}

/// A part of an access that lies in one page.
@unsafe struct LentPiece {
    var bytes: UnsafeMutableRawPointer
    var count: Int
    var frame: PFN
}

extension X86Processor {
    /// Translates an access of two pages, before anything is moved.
    func lendCrossing(_ address: UInt64, _ byteCount: Int, _ kind: AccessKind) throws(Interruption) -> [LentPiece] {
        var pieces: [LentPiece] = unsafe []
        var done = 0
        while done < byteCount {
            let here = cutLinear(address &+ UInt64(done))
            let count = min(byteCount - done, 4096 - Int(here & 0xfff))
            let lent = unsafe try lendPage(here, kind).lent
            unsafe pieces.append(
                LentPiece(bytes: lent.bytes + Int(here & 0xfff), count: count, frame: lent.pfn))
            done += count
        }
        return unsafe pieces
    }

    /// Makes one access with the rest of its instruction, and goes on behind that.
    func perform(_ step: SingleStep, at operation: UnsafeMutablePointer<Operation>) throws(Interruption) {
        guard let copy = unsafe blocks.step(from: operation) else {
            preconditionFailure("an instruction of many operations")
        }
        let interruption: Interruption?
        switch unsafe step {
        case .code(let address, let frame, let bytes):
            let linear = address & ~0xfff
            setEntry(address, tag: linear, addend: UInt64(bytes) &- linear)
            forgetCode(of: frame)
            interruption = try unsafe runStep(copy)
            core[core.entryOffset(address) + TLBEntry.writeTag] = TLBEntry.none
        case .crossing(let address, let pieces, let isWrite):
            let scratch = unsafe core.base + CoreLayout.scratch
            var count = 0
            unsafe pieces.forEach { piece in
                unsafe (scratch + count).copyMemory(from: piece.bytes, byteCount: piece.count)
                unsafe count += piece.count
            }
            let tag = (address &+ UInt64(count - 1)) & ~0xfff
            setEntry(address, tag: tag, addend: UInt64(UInt(bitPattern: scratch)) &- address)
            interruption = try unsafe runStep(copy)
            setEntry(address, tag: TLBEntry.none, addend: 0)
            if isWrite { unsafe commit(pieces) }
        }
        // Only now: delivery changes memory and privilege.
        if let interruption { try deliver(interruption) }
    }

    /// Brings the written bytes to both pages. They were lent before, so nothing can be refused any more, not even if the
    /// first page holds the tables that map the second.
    private func commit(_ pieces: [LentPiece]) {
        var offset = CoreLayout.scratch
        unsafe pieces.forEach { piece in
            if isCode(unsafe piece.frame) { forgetCode(of: unsafe piece.frame) }
            unsafe piece.bytes.copyMemory(from: core.base + offset, byteCount: piece.count)
            unsafe offset += piece.count
        }
    }

    private func setEntry(_ address: UInt64, tag: UInt64, addend: UInt64) {
        let entry = core.entryOffset(address)
        core[entry + TLBEntry.readTag] = tag
        core[entry + TLBEntry.writeTag] = tag
        core[entry + TLBEntry.addend] = addend
    }

    /// Runs the operations of one instruction and takes RIP to what follows. Returns what is to be delivered instead.
    private func runStep(_ first: UnsafeMutablePointer<Operation>) throws(Interruption) -> Interruption? {
        // A branch in it finds no budget and leaves at its target.
        core[CoreLayout.budget] = 0
        unsafe core.run(from: first)
        switch core.exit {
        case .stepped:
            guard let stop = unsafe core.exitOperation else { preconditionFailure("no operation") }
            setRIP(core[CoreLayout.blockRIP] &+ UInt64(bitPattern: Int64(unsafe stop.pointee.start)))
            complete(1)
        case .budget:
            setRIP(core[CoreLayout.exitRIP])
            complete(1)
        case .refused:
            // Another access of the instruction: it starts again with this one done, or faults.
            if unsafe step != nil {
                unsafe step = nil
                return nil
            }
            defer { refusal = nil }
            return refusal
        case .complex:
            // What cannot be computed, such as a quotient that does not fit.
            guard let operation = unsafe core.exitOperation else { preconditionFailure("no operation") }
            try unsafe executeComplex(operation)
            forgetContinuation()
        case .none: preconditionFailure("the core stopped for no reason")
        }
        return nil
    }
}
