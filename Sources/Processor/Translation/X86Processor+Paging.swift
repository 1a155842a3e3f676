// From linear to guest physical addresses: the guest's own page tables, which lie in its private memory.

internal import Machine
internal import SNPArchitecture

/// What the guest's page tables say of a linear page.
struct LinearPage {
    /// The guest physical address of the byte asked for, without the C-bit.
    var gpa: GPA
    var cBit: CBit
    /// A write needs nothing more: the tables allow it and are marked dirty.
    var isWritable: Bool
}

/// Who makes an access, as far as page tables ask.
enum AccessOrigin {
    /// The instruction stream, at the current privilege level.
    case code
    /// The processor itself: descriptor tables, interrupt delivery. Always a supervisor's access.
    case system
}

extension X86Processor {
    /// The position of the C-bit.
    static let cBitPosition: UInt64 = 51
    private static let addressMask: UInt64 = 0x0007_ffff_ffff_f000

    /// Translates a linear address and marks the tables accessed, and dirty for a write.
    ///
    /// - Spec: APM2 5.3, 5.4 (page tables), 5.6 (protection); 15.34.5 (tables and fetches of an SEV guest are private)
    /// - Throws: #GP or #SS for an address that is not canonical (the caller says which), #PF, and what nested paging throws
    /// - Deviates: five-level paging, protection keys and PCIDs are left out; reserved bits are checked for the address width
    ///   and NX only
    func translate(
        _ linear: UInt64, _ kind: AccessKind, origin: AccessOrigin = .code
    ) throws(Interruption) -> LinearPage {
        guard state.registers.cr0 & CR0.paging != 0 else {
            // Without paging everything is private.
            return LinearPage(gpa: GPA(linear & 0xffff_ffff), cBit: .private, isWritable: true)
        }
        let isUser = origin == .code && cpl == 3
        var error: UInt32 = isUser ? 4 : 0
        if kind == .write { error |= 2 }
        let noExecute = state.registers.efer & EFER.noExecute != 0
        if kind == .execute, noExecute || state.registers.cr4 & CR4.smep != 0 { error |= 16 }

        guard let memory else { throw .exit(GuestExit(.interrupt)) }
        var walk = PagingWalk(registers: state.registers, linear: linear)
        var rights = PageRights()
        var entry: UInt64 = 0
        var entryAddress = GPA(0)
        if let known = tables.find(linear) {
            walk.skip(to: known.table)
            rights = known.rights
        }
        let flushes = flushCount
        while true {
            entryAddress = walk.entryAddress
            entry = try readEntry(entryAddress, walk, memory)
            guard entry & 1 != 0 else { throw pageFault(linear, error) }
            if walk.entryByteCount == 8, !noExecute, entry >> 63 != 0 {
                throw pageFault(linear, error | 9)
            }
            let isTop = walk.isUnprotectedTop
            if !isTop {
                rights.allowsUser = rights.allowsUser && entry & 4 != 0
                rights.allowsWrite = rights.allowsWrite && entry & 2 != 0
                if walk.entryByteCount == 8 { rights.forbidsExecute = rights.forbidsExecute || entry >> 63 != 0 }
            }
            if walk.isLeaf(entry) { break }
            if !isTop, entry & 0x20 == 0 {
                try writeEntry(entryAddress, entry | 0x20, walk.entryByteCount)
            }
            walk.descend(entry & Self.addressMask)
            // Not if what was read on the way is no longer noted.
            if walk.isAtPages, flushes == flushCount { tables.insert(linear, entry & Self.addressMask, rights) }
        }
        error |= 1
        if isUser {
            guard rights.allowsUser else { throw pageFault(linear, error) }
        }
        if kind == .write, !rights.allowsWrite, isUser || state.registers.cr0 & CR0.writeProtect != 0 {
            throw pageFault(linear, error)
        }
        if kind == .execute {
            if noExecute, rights.forbidsExecute { throw pageFault(linear, error) }
            if !isUser, rights.allowsUser, state.registers.cr4 & CR4.smep != 0 { throw pageFault(linear, error) }
        } else if !isUser, rights.allowsUser, state.registers.cr4 & CR4.smap != 0,
            origin == .system || state.registers.rflags & RFLAGS.alignmentCheck == 0
        {
            throw pageFault(linear, error)
        }
        let marks: UInt64 = kind == .write ? 0x60 : 0x20
        if entry & marks != marks { try writeEntry(entryAddress, entry | marks, walk.entryByteCount) }
        let size = walk.pageByteCount
        let base = entry & Self.addressMask & ~(size - 1)
        let isPrivate = walk.entryByteCount == 4 || entry >> Self.cBitPosition & 1 != 0
        return LinearPage(
            gpa: GPA(base | linear & (size - 1)), cBit: isPrivate ? .private : .shared,
            isWritable: rights.allowsWrite || (!isUser && state.registers.cr0 & CR0.writeProtect == 0)
                ? (entry | marks) & 0x40 != 0 : false)
    }

    private func pageFault(_ linear: UInt64, _ error: UInt32) -> Interruption {
        .exception(GuestException(vector: 14, errorCode: error, address: linear))
    }

    /// Reads an entry. What upper levels say is kept, so that the TLB comes to depend on the frames they lie in.
    private func readEntry(
        _ gpa: GPA, _ walk: PagingWalk, _ memory: GuestAccess
    ) throws(Interruption) -> UInt64 {
        if walk.entryByteCount == 8, gpa.rawValue & 7 == 0 {
            do throws(GuestFault) {
                let found = try memory.quadwordNoting(gpa, .private, for: .guestPageTable)
                if !walk.isAtPages { depend(on: found.pfn, found.generation) }
                return found.value
            } catch { throw interruption(error) }
        }
        let byteCount = walk.entryByteCount
        var value: UInt64 = 0
        var fault: GuestFault?
        unsafe withUnsafeMutableBytes(of: &value) { buffer in
            do throws(GuestFault) {
                unsafe try memory.read(
                    gpa, into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<byteCount]), .private,
                    for: .guestPageTable)
            } catch { fault = error }
        }
        if let fault { throw interruption(fault) }
        return value
    }

    private func writeEntry(_ gpa: GPA, _ value: UInt64, _ byteCount: Int) throws(Interruption) {
        var fault: GuestFault?
        unsafe withUnsafeBytes(of: value) { buffer in
            do throws(GuestFault) {
                unsafe try memory?.write(
                    gpa, from: UnsafeRawBufferPointer(rebasing: buffer[0..<byteCount]), .private, for: .guestPageTable)
            } catch { fault = error }
        }
        if let fault { throw interruption(fault) }
    }

    /// What a fault of nested paging or of the RMP does to the guest.
    func interruption(_ fault: GuestFault) -> Interruption {
        switch fault.delivery {
        case .exit(let exit): .exit(exit)
        case .communicationException(let code): .exception(.communication(code))
        }
    }
}

/// One walk through the guest's page tables.
struct PagingWalk {
    private let linear: UInt64
    private let hasLargePages: Bool
    /// Bits of the linear address below the index of the current level.
    private var shift: UInt64
    private var table: UInt64
    let entryByteCount: Int
    private let isPAE: Bool

    init(registers r: VMSA, linear: UInt64) {
        let isLong = r.efer & EFER.longModeActive != 0
        isPAE = !isLong && r.cr4 & CR4.physicalAddressExtension != 0
        entryByteCount = isLong || isPAE ? 8 : 4
        hasLargePages = entryByteCount == 8 || r.cr4 & CR4.pageSizeExtensions != 0
        self.linear = isLong ? linear : linear & 0xffff_ffff
        shift = isLong ? 39 : isPAE ? 30 : 22
        table = isLong ? r.cr3 & 0x0007_ffff_ffff_f000 : isPAE ? r.cr3 & 0xffff_ffe0 : r.cr3 & 0xffff_f000
    }

    /// The top entries of PAE tables have no permission bits.
    var isUnprotectedTop: Bool { isPAE && shift == 30 }

    var entryAddress: GPA {
        let index = linear >> shift & (entryByteCount == 8 ? 0x1ff : 0x3ff)
        return GPA(table + index * UInt64(entryByteCount))
    }

    func isLeaf(_ entry: UInt64) -> Bool {
        if shift == 12 { return true }
        guard entry & 0x80 != 0, hasLargePages else { return false }
        return entryByteCount == 8 ? shift == 21 || (shift == 30 && !isPAE) : true
    }

    /// Whether the table of this level has pages of 4 KiB, and nothing else, by entries of 8 bytes.
    var isAtPages: Bool { shift == 12 && entryByteCount == 8 }

    /// Goes on at a table that has pages of 4 KiB.
    mutating func skip(to table: UInt64) {
        self.table = table
        shift = 12
    }

    mutating func descend(_ next: UInt64) {
        table = next
        shift -= entryByteCount == 8 ? 9 : 10
    }

    var pageByteCount: UInt64 { 1 << shift }
    var shiftOfLevel: UInt64 { shift }
}
