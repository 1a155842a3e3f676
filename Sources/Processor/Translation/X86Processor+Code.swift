// The core's second question: code to run next. Which blocks hold, and what other processors have written to.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

extension X86Processor {
    /// The block at RIP, or nil with `refusal`.
    func blockNow() -> UnsafeMutablePointer<Operation>? {
        let rip = startBlock()
        // The jump cache holds here as it does for a branch in the core. Other modes have a limit to check.
        guard codeMode == .bits64 else {
            return unsafe findBlock(rip)?.assumingMemoryBound(to: Operation.self)
        }
        if let known = unsafe core.jump(to: rip) { return unsafe known }
        guard let found = unsafe findBlock(rip) else { return nil }
        unsafe core.remember(found, at: rip)
        return unsafe found.assumingMemoryBound(to: Operation.self)
    }

    /// Prepares the core for a block at RIP, and gives RIP.
    private func startBlock() -> UInt64 {
        let key = JumpKey(mode: blockMode, base: codeMode == .bits64 ? 0 : state.registers.cs.base)
        if key != jumpKey {
            core.flushJumps()
            jumpKey = key
        }
        core[CoreLayout.blockRIP] = state.registers.rip
        return state.registers.rip
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

    /// A block of nothing but the instruction at RIP, or nil with `refusal`. It is made anew each time.
    func loneInstruction() -> UnsafeMutablePointer<Operation>? {
        let rip = startBlock()
        do throws(Interruption) {
            return unsafe try decodeBlock(rip, isSingle: true)
        } catch {
            refusal = error
            return nil
        }
    }

    /// What blocks at the current mode are kept under.
    private var blockMode: BlockMode {
        let code = codeMode
        let allowsVectors =
            state.registers.cr0 & (CR0.emulation | CR0.taskSwitched) == 0 && state.registers.cr4 & CR4.osfxsr != 0
        return BlockMode(
            code, checksSegments: code != .bits64 && !segmentsAreFlat, forbidsVectors: !allowsVectors,
            trapsFloats: trapsFloats, isSingle: watchesEachInstruction)
    }

    private func decodeBlock(
        _ rip: UInt64, isSingle: Bool = false
    ) throws(Interruption) -> UnsafeMutablePointer<Operation> {
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
        if !isSingle, let known = unsafe blocks.block(address, mode) { return unsafe known }
        counts.blocks += 1
        var builder = BlockBuilder(mode: mode, firstInstruction: blocks.nextInstruction)
        var here = linear
        let pageEnd = (linear | 0xfff) &+ 1
        while !builder.isFinished, !builder.isFull, !(isSingle && !builder.isEmpty) {
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
        return unsafe keep(builder, at: isSingle ? nil : address, in: frame)
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
        var builder = builder
        builder.dropDeadFlags()
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

    /// The frame of code at a linear address. Fetches are always private.
    private func fetchFrame(_ linear: UInt64) throws(Interruption) -> CodeFrame {
        let page = try translate(linear, .execute)
        guard let memory else { throw .exit(GuestExit(.interrupt)) }
        do throws(GuestFault) {
            guard let lent = unsafe try memory.lend(page.gpa, .execute, .private) else {
                throw .nestedPageFault(gpa: page.gpa, error: [.finalAddress, .instructionFetch])
            }
            unsafe depend(on: lent.pfn, lent.generation)
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
