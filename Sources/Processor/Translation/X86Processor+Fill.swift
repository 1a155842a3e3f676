// The core's questions: an access that missed the TLB, and code to run next.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

/// What must be the same for the TLB to hold.
struct TranslationKey: Hashable {
    var asid: ASID = .host
    var epoch: UInt64 = 0
    var vmpl: UInt8 = 0
    var cpl: UInt8 = 0
    var cr0: UInt64 = 0
    var cr3: UInt64 = 0
    var cr4: UInt64 = 0
    var efer: UInt64 = 0
    var allowsUserData = false
}

/// An access that the core cannot make by itself: it is made one instruction at a time.
enum SingleStep {
    /// The access crosses into another page.
    case crossing(address: UInt64, byteCount: Int, isWrite: Bool)
    /// The page holds code.
    case code(address: UInt64, frame: PFN, bytes: UInt)
}

extension X86Processor {
    private static let writeBit: UInt8 = 0x80
    private static let eitherBit: UInt8 = 0x40

    // MARK: What translations depend on

    private func currentKey() -> TranslationKey {
        let r = state.registers
        let asid = memory?.context.asid ?? .host
        return TranslationKey(
            asid: asid, epoch: memory?.epochs.epoch(of: asid) ?? 0, vmpl: r.vmpl, cpl: r.cpl == 3 ? 3 : 0, cr0: r.cr0,
            cr3: r.cr3,
            cr4: r.cr4, efer: r.efer,
            allowsUserData: r.cr4 & CR4.smap == 0 || r.rflags & RFLAGS.alignmentCheck != 0)
    }

    /// Empties the TLB if what it depends on has changed since the last run.
    func revalidateTranslations() {
        let key = currentKey()
        let holds =
            key == translationKey && regions.values.allSatisfy { memory?.isCurrent($0.pfn, $0.generation) ?? false }
        if !holds { flushTranslations() }
    }

    /// Empties the TLB: after a change of control registers, privilege, or RMP entries.
    func flushTranslations() {
        core.flushTranslations()
        regions.removeAll(keepingCapacity: true)
        translationKey = currentKey()
        memory?.privilege = cpl == 3 ? .user : .supervisor
    }

    /// Empties the TLB if privilege or control registers have changed.
    func translationsMayHaveChanged() {
        if currentKey() != translationKey { flushTranslations() }
    }

    private func depend(on page: borrowing LentPage) {
        let region = unsafe page.pfn.rawValue >> 9
        if let known = regions[region], unsafe known.generation == page.generation { return }
        if regions.count >= Self.maximumRegions || regions[region] != nil { flushTranslations() }
        unsafe regions[region] = (page.pfn, page.generation)
    }

    // MARK: Data

    /// The core's `fill`: makes the access of an operation possible, or says by `refusal` or `step` what to do instead.
    func fill(_ pointer: UnsafeMutableRawPointer) -> Bool {
        counts.translations += 1
        let operation = unsafe pointer.assumingMemoryBound(to: Operation.self)
        let access = operationAccess[Int(unsafe operation.pointee.code)]
        let byteCount = Int(access & 0x3f)
        let address = core[CoreLayout.missAddress]
        do throws(Interruption) {
            let isWrite =
                access & Self.writeBit != 0 || (access & Self.eitherBit != 0 && missedWrite(address, byteCount))
            try checkCanonical(address, byteCount, isStack: unsafe Self.usesStack(operation))
            if (address & 0xfff) + UInt64(byteCount) > 4096 {
                step = .crossing(address: address, byteCount: byteCount, isWrite: isWrite)
                return false
            }
            return try fillPage(address, isWrite ? .write : .read)
        } catch {
            refusal = error
            return false
        }
    }

    /// String operations read and write: the access that missed is a write if a read would have hit.
    private func missedWrite(_ address: UInt64, _ byteCount: Int) -> Bool {
        core[core.entryOffset(address) + TLBEntry.readTag] == (address &+ UInt64(byteCount - 1)) & ~0xfff
            || core[CoreLayout.stagedElement] != 0
    }

    func checkCanonical(_ address: UInt64, _ byteCount: Int, isStack: Bool = false) throws(Interruption) {
        guard isLongMode else { return }
        let last = address &+ UInt64(byteCount - 1)
        guard Self.isCanonical(address), Self.isCanonical(last) else {
            throw .exception(isStack ? .stack() : .protection())
        }
    }

    /// Whether an operation's access is through SS: RSP or RBP as base without another segment, or the stack itself.
    private static func usesStack(_ operation: UnsafeMutablePointer<Operation>) -> Bool {
        let code = unsafe operation.pointee.code
        if code >= OperationCode.push(size: 0, form: 0), code <= OperationCode.leaveFrame { return true }
        if [OperationCode.call, OperationCode.callR, OperationCode.returnNear].contains(code) { return true }
        let bases = CoreLayout.segmentBases..<CoreLayout.segmentBases + 48
        guard unsafe !bases.contains(Int(operation.pointee.index)) else { return false }
        return unsafe operation.pointee.base == 32 || operation.pointee.base == 40
    }

    static func isCanonical(_ address: UInt64) -> Bool {
        UInt64(bitPattern: Int64(bitPattern: address << 16) >> 16) == address
    }

    /// Puts a page into the TLB. False if the access must be made in a single step.
    private func fillPage(_ address: UInt64, _ kind: AccessKind) throws(Interruption) -> Bool {
        let page = try translate(address, kind)
        guard let memory else { return false }
        let lent: LentPage?
        do throws(GuestFault) { unsafe lent = try memory.lend(page.gpa, kind, page.cBit) } catch {
            throw interruption(error)
        }
        guard let lent = unsafe lent else {
            // No memory answers: the bus floats high, and writes go nowhere.
            throw .exit(
                GuestExit(.nestedPageFault, info1: PageFaultError.finalAddress.rawValue, info2: page.gpa.rawValue))
        }
        unsafe noteKind(of: lent.pfn, page.cBit)
        unsafe depend(on: lent)
        let linear = address & ~0xfff
        let host = UInt64(UInt(bitPattern: unsafe lent.bytes))
        let entry = core.entryOffset(address)
        if isCode(unsafe lent.pfn) {
            if kind == .write {
                step = unsafe .code(address: address, frame: lent.pfn, bytes: UInt(bitPattern: lent.bytes))
                return false
            }
            core[entry + TLBEntry.writeTag] = TLBEntry.none
        } else {
            let allowsWrite = unsafe page.isWritable && lent.allowed.contains(.write)
            core[entry + TLBEntry.writeTag] = allowsWrite ? linear : TLBEntry.none
        }
        core[entry + TLBEntry.readTag] = linear
        core[entry + TLBEntry.addend] = host &- linear
        return true
    }

    /// A frame is lent in the form of one kind of access, so translations of the other kind must go.
    private func noteKind(of frame: PFN, _ cBit: CBit) {
        let changes = cBit == .shared ? sharedFrames.insert(frame).inserted : sharedFrames.remove(frame) != nil
        if changes { flushTranslations() }
    }

    // MARK: Single steps

    /// Makes one access with the rest of its instruction, and goes on behind that.
    func perform(_ step: SingleStep, at operation: UnsafeMutablePointer<Operation>) throws(Interruption) {
        guard let copy = unsafe blocks.step(from: operation) else {
            preconditionFailure("an instruction of many operations")
        }
        switch step {
        case .code(let address, let frame, let bytes):
            let entry = core.entryOffset(address)
            let linear = address & ~0xfff
            core[entry + TLBEntry.readTag] = linear
            core[entry + TLBEntry.writeTag] = linear
            core[entry + TLBEntry.addend] = UInt64(bytes) &- linear
            forgetCode(of: frame)
            try unsafe runStep(copy)
            core[entry + TLBEntry.writeTag] = TLBEntry.none
        case .crossing(let address, let byteCount, let isWrite):
            // Both pages are checked before anything is moved.
            let scratch = unsafe core.base
            var bytes: [UInt8]
            do throws(Interruption) {
                bytes = try readLinear(address, byteCount)
                if isWrite { try checkWritable(address, byteCount) }
            } catch { return try deliver(error) }
            for (index, byte) in bytes.enumerated() {
                unsafe scratch.storeBytes(of: byte, toByteOffset: CoreLayout.scratch + index, as: UInt8.self)
            }
            let entry = core.entryOffset(address)
            let tag = (address &+ UInt64(byteCount - 1)) & ~0xfff
            core[entry + TLBEntry.readTag] = tag
            core[entry + TLBEntry.writeTag] = tag
            core[entry + TLBEntry.addend] =
                UInt64(UInt(bitPattern: unsafe scratch + CoreLayout.scratch)) &- address
            defer {
                core[entry + TLBEntry.readTag] = TLBEntry.none
                core[entry + TLBEntry.writeTag] = TLBEntry.none
            }
            try unsafe runStep(copy)
            guard isWrite else { return }
            for index in bytes.indices {
                bytes[index] = unsafe scratch.load(fromByteOffset: CoreLayout.scratch + index, as: UInt8.self)
            }
            do throws(Interruption) { try writeLinear(address, bytes) } catch {
                preconditionFailure("a page that was writable is not")
            }
        }
    }

    /// Runs the operations of one instruction and takes RIP to what follows.
    private func runStep(_ first: UnsafeMutablePointer<Operation>) throws(Interruption) {
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
            if step != nil {
                step = nil
                return
            }
            if let refusal {
                self.refusal = nil
                try deliver(refusal)
            }
        case .complex:
            // What cannot be computed, such as a quotient that does not fit.
            guard let operation = unsafe core.exitOperation else { preconditionFailure("no operation") }
            try unsafe executeComplex(operation)
            forgetContinuation()
        case .none: preconditionFailure("the core stopped for no reason")
        }
    }

    // MARK: Code

    /// The block at RIP, or nil with `refusal`.
    func blockNow() -> UnsafeMutablePointer<Operation>? {
        let rip = state.registers.rip
        let key = JumpKey(mode: blockMode, base: codeMode == .bits64 ? 0 : state.registers.cs.base)
        if key != jumpKey {
            core.flushJumps()
            jumpKey = key
        }
        core[CoreLayout.blockRIP] = rip
        return unsafe findBlock(rip)?.assumingMemoryBound(to: Operation.self)
    }

    /// The core's `block`: finds or decodes the block at a RIP; nil says by `refusal` why there is none.
    func findBlock(_ rip: UInt64) -> UnsafeMutableRawPointer? {
        do throws(Interruption) {
            return unsafe UnsafeMutableRawPointer(try decodeBlock(rip))
        } catch {
            refusal = error
            return nil
        }
    }

    /// What blocks at the current mode are kept under.
    private var blockMode: BlockMode {
        let code = codeMode
        let r = state.registers
        let allowsVectors = r.cr0 & (CR0.emulation | CR0.taskSwitched) == 0 && r.cr4 & CR4.osfxsr != 0
        return BlockMode(
            code, checksSegments: code != .bits64 && !segmentsAreFlat, forbidsVectors: !allowsVectors)
    }

    private func decodeBlock(_ rip: UInt64) throws(Interruption) -> UnsafeMutablePointer<Operation> {
        let mode = blockMode
        let linear = mode.code == .bits64 ? rip : (state.registers.cs.base &+ rip) & 0xffff_ffff
        if mode.code == .bits64 {
            guard Self.isCanonical(rip) else { throw .exception(.protection()) }
        } else {
            guard rip <= state.registers.cs.limit else { throw .exception(.protection()) }
        }
        let frame = try fetchFrame(linear)
        let address = frame.pfn.rawValue << 12 | linear & 0xfff
        if blocks.isOutdated(frame) { forgetCode(of: frame.pfn) }
        if let known = unsafe blocks.block(address, mode) { return unsafe known }
        counts.blocks += 1
        var builder = BlockBuilder(mode: mode, firstInstruction: blocks.nextInstruction)
        var here = linear
        let pageEnd = (linear | 0xfff) &+ 1
        while !builder.isFinished, !builder.isFull {
            let available = Int(pageEnd &- here)
            let bytes = frameBytes(frame, Int(here & 0xfff), min(15, available))
            switch Decoder.decode(bytes, mode: mode.code) {
            case .instruction(let instruction):
                builder.add(instruction)
                here &+= UInt64(instruction.length)
                if here == pageEnd { builder.finish() }
            case .incomplete:
                // The instruction goes on in the next page: it is a block of its own, found again by nobody.
                if !builder.isEmpty {
                    builder.finish()
                    break
                }
                return try unsafe decodeCrossing(&builder, bytes, pageEnd, from: frame)
            case .undefined:
                if builder.isEmpty { throw try noteUndefined(bytes) }
                builder.finish()
            case .tooLong:
                if builder.isEmpty { throw .exception(.protection()) }
                builder.finish()
            }
        }
        builder.finish()
        return unsafe keep(builder, at: address, in: frame)
    }

    /// The instruction at RIP, which has been decoded before.
    func decodeInstruction() throws(Interruption) -> Instruction {
        let mode = codeMode
        let linear =
            mode == .bits64 ? state.registers.rip : (state.registers.cs.base &+ state.registers.rip) & 0xffff_ffff
        let inPage = min(15, 4096 - Int(linear & 0xfff))
        var bytes = frameBytes(try fetchFrame(linear), Int(linear & 0xfff), inPage)
        if case .incomplete = Decoder.decode(bytes, mode: mode) {
            bytes += frameBytes(try fetchFrame(linear &+ UInt64(inPage)), 0, 15 - inPage)
        }
        guard case .instruction(let instruction) = Decoder.decode(bytes, mode: mode) else {
            throw try noteUndefined(bytes)
        }
        return instruction
    }

    private func decodeCrossing(
        _ builder: inout BlockBuilder, _ bytes: [UInt8], _ pageEnd: UInt64, from first: CodeFrame
    ) throws(Interruption) -> UnsafeMutablePointer<Operation> {
        let second = try fetchFrame(codeMode == .bits64 ? pageEnd : pageEnd & 0xffff_ffff)
        let all = bytes + frameBytes(second, 0, 15 - bytes.count)
        switch Decoder.decode(all, mode: builder.mode.code) {
        case .instruction(let instruction): builder.add(instruction)
        case .undefined: throw try noteUndefined(all)
        case .tooLong, .incomplete: throw .exception(.protection())
        }
        builder.finish()
        return unsafe keep(builder, at: nil, in: first, second)
    }

    private func keep(
        _ builder: BlockBuilder, at address: UInt64?, in frames: CodeFrame...
    ) -> UnsafeMutablePointer<Operation> {
        let new = frames.filter { !blocks.holdsCode($0.pfn) }
        let result = unsafe blocks.add(builder, at: address, in: frames)
        for frame in new { code.add(frame.pfn, by: codeNumber) }
        if !new.isEmpty { forbidWrites() }
        return unsafe result
    }

    // MARK: Writes to code

    /// Whether this processor or another of the machine has decoded code of a frame.
    func isCode(_ pfn: PFN) -> Bool {
        blocks.holdsCode(pfn) || (hasOthers && code.isHeld(pfn, byOtherThan: codeNumber))
    }

    /// A frame's code is no longer what was decoded, here and elsewhere.
    func forgetCode(of pfn: PFN) {
        blocks.drop(pfn)
        core.flushJumps()
        code.noteWrite(pfn, by: codeNumber)
    }

    /// Forgets what other processors have written to, and translations that would let this one write to their code.
    func readNews() {
        let version = code.currentVersion
        guard version != codeVersion else { return }
        codeVersion = version
        let news = code.takeNews(codeNumber)
        hasOthers = news.hasOthers
        if !news.written.isEmpty {
            for frame in news.written { blocks.drop(PFN(frame)) }
            core.flushJumps()
            forgetContinuation()
        }
        if news.generation != codeGeneration {
            codeGeneration = news.generation
            if hasOthers { forbidWrites() }
        }
    }

    private func noteUndefined(_ bytes: [UInt8]) throws(Interruption) -> Interruption {
        let digits = Array("0123456789abcdef")
        let text = bytes.prefix(8).map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined(separator: " ")
        if counts.undefined.count < 64 || counts.undefined[text] != nil { counts.undefined[text, default: 0] += 1 }
        return .exception(.undefined)
    }

    /// A frame that has become code may be writable in the TLB.
    private func forbidWrites() {
        for index in 0..<CoreLayout.tlbCount {
            core[CoreLayout.tlb + index * TLBEntry.byteCount + TLBEntry.writeTag] = TLBEntry.none
        }
    }

    /// The frame of code at a linear address. Fetches are always private.
    private func fetchFrame(_ linear: UInt64) throws(Interruption) -> CodeFrame {
        let page = try translate(linear, .execute)
        guard let memory else { throw .exit(GuestExit(.interrupt)) }
        do throws(GuestFault) {
            guard let lent = unsafe try memory.lend(page.gpa, .execute, .private) else {
                throw .nestedPageFault(gpa: page.gpa, error: [.finalAddress, .instructionFetch])
            }
            unsafe depend(on: lent)
            return unsafe CodeFrame(pfn: lent.pfn, generation: lent.generation)
        } catch {
            throw interruption(error)
        }
    }

    private func frameBytes(_ frame: CodeFrame, _ offset: Int, _ count: Int) -> [UInt8] {
        guard let memory else { return [] }
        return memory.memory.bytes(
            SPA(frame.pfn.address.rawValue + UInt64(offset)), count: count, key: memory.context.key)
    }
}
