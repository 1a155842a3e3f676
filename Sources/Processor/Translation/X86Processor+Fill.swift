// The core's first question: an access that missed the TLB. What translations depend on.

internal import Machine
internal import ProcessorCore
internal import SNPArchitecture

/// What must be the same for the TLB to hold.
struct TranslationKey: Hashable {
    var asid: ASID = .host
    var epoch: UInt64 = 0
    /// How often VMRUN or INVLPGA has emptied the nested TLB.
    var flushes: UInt64 = 0
    var vmpl: UInt8 = 0
    var cpl: UInt8 = 0
    var cr0: UInt64 = 0
    var cr3: UInt64 = 0
    var cr4: UInt64 = 0
    var efer: UInt64 = 0
    var allowsUserData = false
}

extension X86Processor {
    private static let writeBit: UInt8 = 0x80
    private static let eitherBit: UInt8 = 0x40

    // MARK: What translations depend on

    private func currentKey() -> TranslationKey {
        let asid = memory?.context.asid ?? .host
        return TranslationKey(
            asid: asid, epoch: memory?.epochs.epoch(of: asid) ?? 0,
            flushes: memory?.tlb.flushCount ?? 0, vmpl: state.registers.vmpl, cpl: state.registers.cpl == 3 ? 3 : 0,
            cr0: state.registers.cr0,
            cr3: state.registers.cr3,
            cr4: state.registers.cr4, efer: state.registers.efer,
            allowsUserData: state.registers.cr4 & CR4.smap == 0 || state.registers.rflags & RFLAGS.alignmentCheck != 0)
    }

    /// Empties the TLB if what it depends on has changed since the last run.
    func revalidateTranslations() {
        let key = currentKey()
        guard let memory, key == translationKey, regions.allSatisfy({ memory.isCurrent($0, $1) }) else {
            return flushTranslations()
        }
    }

    /// Empties the TLB: after a change of control registers, privilege, or RMP entries.
    func flushTranslations() {
        core.flushTranslations()
        tables.removeAll()
        regions.removeAll()
        flushCount &+= 1
        translationKey = currentKey()
        memory?.privilege = cpl == 3 ? .user : .supervisor
    }

    /// Empties the TLB if privilege or control registers have changed.
    func translationsMayHaveChanged() {
        if currentKey() != translationKey { flushTranslations() }
    }

    /// Notes what the TLB depends on from now on: a frame as it was found under a generation of its region of the RMP.
    func depend(on pfn: PFN, _ generation: UInt32) {
        switch regions.note(pfn, generation) {
        case .known, .added: return
        case .conflict:
            flushTranslations()
            _ = regions.note(pfn, generation)
        }
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
                let pieces = unsafe try lendCrossing(address, byteCount, isWrite ? .write : .read)
                unsafe step = .crossing(address: address, pieces: pieces, isWrite: isWrite)
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

    func checkCanonical(
        _ address: UInt64, _ byteCount: Int, isStack: @autoclosure () -> Bool = false
    ) throws(Interruption) {
        guard isLongMode else { return }
        let last = address &+ UInt64(byteCount - 1)
        guard Self.isCanonical(address), Self.isCanonical(last) else {
            throw .exception(isStack() ? .stack() : .protection())
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

    /// Translates an access and lends the page behind it.
    func lendPage(_ address: UInt64, _ kind: AccessKind) throws(Interruption) -> (page: LinearPage, lent: LentPage) {
        let page = try translate(address, kind)
        do throws(GuestFault) {
            if let memory, let lent = unsafe try memory.lend(page.gpa, kind, page.cBit) { return unsafe (page, lent) }
        } catch { throw interruption(error) }
        // No memory is behind the mapping: the host has to say what answers.
        throw .exit(
            GuestExit(.nestedPageFault, info1: PageFaultError.finalAddress.rawValue, info2: page.gpa.rawValue))
    }

    /// Puts a page into the TLB. False if the access must be made in a single step.
    private func fillPage(_ address: UInt64, _ kind: AccessKind) throws(Interruption) -> Bool {
        let (page, lent) = unsafe try lendPage(address, kind)
        unsafe depend(on: lent.pfn, lent.generation)
        let linear = address & ~0xfff
        let host = UInt64(UInt(bitPattern: unsafe lent.bytes))
        let entry = core.entryOffset(address)
        if isCode(unsafe lent.pfn) {
            if kind == .write {
                unsafe step = .code(address: address, frame: lent.pfn, bytes: UInt(bitPattern: lent.bytes))
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

    /// A frame that has become code may be writable in the TLB.
    func forbidWrites() {
        for index in 0..<CoreLayout.tlbCount {
            core[CoreLayout.tlb + index * TLBEntry.byteCount + TLBEntry.writeTag] = TLBEntry.none
        }
    }
}
