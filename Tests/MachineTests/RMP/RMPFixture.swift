// A small machine's RMP, and a slow model of its entries: one value for each frame.

import Machine
import SNPArchitecture

/// A table over 16 MiB.
struct RMPFixture {
    let rmp: ReverseMapTable
    let machine: Machine

    init() throws {
        machine = try Machine(MachineConfiguration(dramByteCount: 16 << 20))
        rmp = machine.rmp
    }

    /// The status of an RMPUPDATE, nil for success.
    func update(_ pfn: UInt64, _ state: RMPUpdateState) -> RMPStatus? {
        do throws(RMPStatus) {
            try rmp.rmpUpdate(SPA(pfn << 12), to: state)
            return nil
        } catch { return error }
    }

    func smash(_ pfn: UInt64) -> RMPStatus? {
        do throws(RMPStatus) {
            try rmp.psmash(SPA(pfn << 12))
            return nil
        } catch { return error }
    }

    func give(_ pfn: UInt64, _ size: PageSize = .size4K, asid: UInt32 = 5, gfn: UInt64? = nil, immutable: Bool = false)
        -> RMPStatus?
    {
        update(pfn, .guest(ASID(asid), at: GPA((gfn ?? pfn) << 12), size, immutable: immutable))
    }

    func entry(_ pfn: UInt64) -> RMPEntry {
        guard let entry = rmp.effectiveEntry(PFN(pfn)) else { preconditionFailure("frame \(pfn) has no entry") }
        return entry
    }

    /// PVALIDATE; a fault is named by its error's bits beside the status.
    func validate(
        _ pfn: UInt64, _ size: PageSize = .size4K, level: PageLevel = .level4K, gfn: UInt64? = nil, asid: UInt32 = 5,
        vmpl: VMPL = .vmpl0, to value: Bool = true
    ) -> Result<Bool, GuestInstructionFailure> {
        do throws(GuestInstructionFailure) {
            let page = GuestPage(gpa: GPA((gfn ?? pfn) << 12), pfn: PFN(pfn), level: level)
            return .success(try rmp.pvalidate(page, size: size, validate: value, asid: ASID(asid), vmpl: vmpl))
        } catch { return .failure(error) }
    }
}

/// What the entries of a few 2 MiB regions must say, frame by frame.
struct RMPModel {
    struct Page: Equatable {
        var asid: UInt32
        var gfn: UInt64
        var immutable: Bool
        var validated = false
    }

    /// The owner of each frame that is not the hypervisor's.
    var pages: [UInt64: Page] = [:]
    /// First frames of 2M entries.
    var large: Set<UInt64> = []

    mutating func update(_ pfn: UInt64, _ state: RMPUpdateState) -> RMPStatus? {
        let count = state.pageSize.pageCount
        if pfn % count != 0 || state.gpa.frame.rawValue % count != 0 { return .failInput }
        if !state.assigned, state.asid != .host || state.immutable { return .failInput }
        if pages[pfn]?.immutable == true, !large.contains(pfn / 512 * 512) || pfn % 512 == 0 { return .failPermission }
        let head = pfn / 512 * 512
        if state.pageSize == .size2M {
            if !large.contains(head), (1..<512).contains(where: { pages[head + $0] != nil }) { return .failOverlap }
        } else if large.contains(head) {
            return .failOverlap
        }
        let wasLarge = large.contains(head)
        for offset in 0..<count {
            let old = pages[pfn + offset]
            guard state.assigned else {
                pages[pfn + offset] = nil
                continue
            }
            var new = Page(
                asid: state.asid.rawValue, gfn: state.gpa.frame.rawValue + offset, immutable: state.immutable)
            let isSameSize = wasLarge == (state.pageSize == .size2M)
            if let old, isSameSize, old.asid == new.asid, old.gfn == new.gfn { new.validated = old.validated }
            pages[pfn + offset] = new
        }
        if state.pageSize == .size2M {
            if state.assigned { large.insert(head) } else { large.remove(head) }
        }
        return nil
    }

    mutating func smash(_ pfn: UInt64) -> RMPStatus? {
        if pfn % 512 != 0 { return .failInput }
        guard large.contains(pfn), pages[pfn]?.immutable == false else { return .failPermission }
        large.remove(pfn)
        return nil
    }

    mutating func validate(_ pfn: UInt64, _ size: PageSize, gfn: UInt64, asid: UInt32, to value: Bool) -> Result<
        Bool, GuestInstructionFailure
    > {
        let fault = PageFaultError([.present, .user, .rmp, .encrypted, .finalAddress])
        if gfn % size.pageCount != 0 { return .failure(.status(.failInput)) }
        guard let page = pages[pfn], page.asid == asid, page.gfn == gfn, !page.immutable, asid != 0 else {
            return .failure(.fault(.nestedPageFault(gpa: GPA(gfn << 12), error: fault)))
        }
        let isLarge = large.contains(pfn / 512 * 512)
        if isLarge, size == .size4K {
            return .failure(.fault(.nestedPageFault(gpa: GPA(gfn << 12), error: fault.union(.sizeMismatch))))
        }
        if !isLarge, size == .size2M { return .failure(.status(.failSizeMismatch)) }
        if page.validated == value { return .success(false) }
        for offset in 0..<size.pageCount { pages[pfn + offset]?.validated = value }
        return .success(true)
    }
}
