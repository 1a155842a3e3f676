// A look at the guest's own page tables that changes nothing: every entry on the way, for explanations.

public import Machine
public import SNPArchitecture

/// One entry of a guest's page tables.
public struct GuestTableEntry: Hashable, Sendable {
    /// How many bits of the linear address lie below the entry's index: 39, 30, 21 or 12 in long mode.
    public var shift: UInt64
    /// Where the entry lies.
    public var address: GPA
    /// The entry; nil if it cannot be read.
    public var value: UInt64?
    /// It maps a page.
    public var isLeaf: Bool
}

/// A walk of a guest's page tables, entry by entry.
public struct GuestWalkRecord: Hashable, Sendable {
    /// What stops an access, in the order of the processor's checks.
    public enum Refusal: Hashable, Sendable {
        /// The address has bits that its width does not allow.
        case notCanonical
        /// The entry cannot be read: nested tables or the RMP refuse that.
        case unreadable
        /// The entry's P bit is 0.
        case notPresent
        /// The entry has NX without EFER.NXE.
        case reservedBits
        /// User code, and an entry without U.
        case supervisorOnly
        /// A write, and an entry without W.
        case readOnly
        /// A fetch, and an entry with NX.
        case noExecute
        /// A fetch of a supervisor from a user's page, with SMEP.
        case userCode
        /// An access of a supervisor to a user's page, with SMAP.
        case userData
    }
    /// The linear address.
    public var linear: UInt64
    /// Paging is off: linear is physical.
    public var isUnpaged = false
    /// The entries, from the top.
    public var entries: [GuestTableEntry] = []
    /// Where the walk leads, if it leads to a page.
    public var gpa: GPA?
    /// The C-bit of the page.
    public var cBit = CBit.private
    /// Why the guest's tables refuse an access of the kind that was asked about.
    public var refusal: Refusal?

    /// Walks for an access; an access of a supervisor unless the registers say otherwise.
    ///
    /// - Parameter read: gives an entry's bytes, or nil
    public init(
        _ r: VMSA, _ linear: UInt64, _ kind: AccessKind, read: (_ gpa: GPA, _ byteCount: Int) -> UInt64?
    ) {
        self.linear = linear
        guard r.cr0 & CR0.paging != 0 else {
            isUnpaged = true
            gpa = GPA(linear & 0xffff_ffff)
            return
        }
        if r.efer & EFER.longModeActive != 0, !X86Processor.isCanonical(linear) {
            refusal = .notCanonical
            return
        }
        var walk = PagingWalk(registers: r, linear: linear)
        let noExecute = r.efer & EFER.noExecute != 0
        var all: UInt64 = 7
        var forbidsExecute = false
        while true {
            let value = read(walk.entryAddress, walk.entryByteCount)
            let isLeaf = value.map { walk.isLeaf($0) } ?? false
            entries.append(
                GuestTableEntry(shift: walk.shiftOfLevel, address: walk.entryAddress, value: value, isLeaf: isLeaf))
            guard let value else {
                refusal = .unreadable
                return
            }
            guard value & 1 != 0 else {
                refusal = .notPresent
                return
            }
            if walk.entryByteCount == 8, !noExecute, value >> 63 != 0 {
                refusal = .reservedBits
                return
            }
            if !walk.isUnprotectedTop {
                all &= value
                forbidsExecute = forbidsExecute || (walk.entryByteCount == 8 && value >> 63 != 0)
            }
            if isLeaf {
                let size = walk.pageByteCount
                gpa = GPA(value & 0x0007_ffff_ffff_f000 & ~(size - 1) | linear & (size - 1))
                let isPrivate = walk.entryByteCount == 4 || value >> X86Processor.cBitPosition & 1 != 0
                cBit = isPrivate ? .private : .shared
                break
            }
            walk.descend(value & 0x0007_ffff_ffff_f000)
        }
        refusal = Self.refusal(r, kind, allowed: all, noExecute: noExecute && forbidsExecute)
    }

    private static func refusal(_ r: VMSA, _ kind: AccessKind, allowed: UInt64, noExecute: Bool) -> Refusal? {
        let isUser = r.cpl == 3
        let isUserPage = allowed & 4 != 0
        if isUser, !isUserPage { return .supervisorOnly }
        if kind == .write, allowed & 2 == 0, isUser || r.cr0 & CR0.writeProtect != 0 { return .readOnly }
        if kind == .execute {
            if noExecute { return .noExecute }
            if !isUser, isUserPage, r.cr4 & CR4.smep != 0 { return .userCode }
        } else if !isUser, isUserPage, r.cr4 & CR4.smap != 0, r.rflags & RFLAGS.alignmentCheck == 0 {
            return .userData
        }
        return nil
    }
}
