// A guest of a scenario's world: one slot over a guest_memfd, and calls in terms of its pages.

public import Hypervisor
internal import Machine
public import SNPArchitecture
internal import Scheduling

/// A virtual machine with one memory slot, whose pages are counted from 0.
public final class Guest {
    /// The virtual machine.
    public let vm: VirtualMachine
    /// What backs its private pages.
    public let file: GuestMemory
    /// What backs its shared pages.
    public let user: UserMemory
    /// The guest frame of page 0.
    public let base: GFN
    /// How many pages the slot has.
    public let pageCount: UInt64
    private unowned let world: World

    init(
        _ world: World, number: Int, pages: UInt64, folioOrder: UInt8, policy: any ConversionPolicy,
        isInitialized: Bool
    ) throws {
        self.world = world
        vm = try VirtualMachine(host: world.host, policy: policy)
        if isInitialized { try vm.sevInit2() }
        pageCount = pages
        base = GFN(0x1000 + UInt64(number) << 16)
        file = try vm.createGuestMemory(byteCount: pages << 12, folioOrder: folioOrder)
        user = try UserMemory(host: world.host, byteCount: pages << 12)
        try addSlot()
    }

    /// Launches it with nothing in its memory.
    ///
    /// - Throws: what the host refuses
    func launch() throws {
        try vm.snpLaunchStart(policy: .standard)
        try vm.snpLaunchFinish()
    }

    /// Makes the slot.
    ///
    /// - Throws: what the call refuses
    public func addSlot() throws {
        try vm.setMemoryRegion(
            MemoryRegion(slot: 0, gpa: base.address, byteCount: pageCount << 12, userMemory: user, guestMemory: file))
    }

    /// Deletes the slot.
    ///
    /// - Throws: what the call refuses
    public func deleteSlot() throws {
        try vm.setMemoryRegion(MemoryRegion(slot: 0, gpa: base.address, byteCount: 0, userMemory: user))
    }

    /// Touches tables that grow on first use, so that they do not grow anew in each run.
    func warmUp() {}

    /// The guest frame of a page.
    public func gfn(_ page: UInt64) -> GFN { base + page }

    /// Backs pages with folios as large as the file's order.
    ///
    /// - Throws: what the call refuses
    public func allocate(_ pages: Range<UInt64>) throws {
        try vm.allocate(file, offset: pages.lowerBound << 12, byteCount: UInt64(pages.count) << 12)
    }

    /// Converts pages.
    ///
    /// - Throws: what the call refuses
    @discardableResult
    public func convert(
        _ pages: Range<UInt64>, to attribute: MemoryAttribute
    ) throws(ConversionFailure) -> ConversionCounts {
        try vm.setMemoryAttributes(gfn(pages.lowerBound).address, byteCount: UInt64(pages.count) << 12, to: attribute)
    }

    /// Converts pages; a refusal with one of these numbers is fine.
    public func convert(_ pages: Range<UInt64>, to attribute: MemoryAttribute, allowing errors: [Errno]) {
        do throws(ConversionFailure) { try convert(pages, to: attribute) } catch {
            world.expect(errors.contains(error.errno), "a conversion to \(attribute) ends in \(error.errno)")
        }
    }

    /// Gives backing pages back.
    ///
    /// - Throws: what the call refuses
    public func punchHole(_ pages: Range<UInt64>) throws {
        try vm.punchHole(file, offset: pages.lowerBound << 12, byteCount: UInt64(pages.count) << 12)
    }

    /// The frame behind a private page.
    public func pfn(_ page: UInt64) -> PFN? {
        vm.memorySlots.first.flatMap { vm.backingFrame(of: gfn(page), in: $0) }
    }

    /// The attribute of a page.
    public func isPrivate(_ page: UInt64) -> Bool { vm.attribute(of: gfn(page)) == .private }

    /// A nested page fault at a page.
    public func fault(_ page: UInt64, isPrivate: Bool, rmpBit: Bool = false) -> FaultOutcome {
        var error: PageFaultError = [.user, .finalAddress]
        if isPrivate { error.insert(.encrypted) }
        if rmpBit { error.formUnion([.present, .rmp, .sizeMismatch]) }
        return vm.handleNestedPageFault(gfn(page).address, error)
    }

    /// Touches pages as a virtual CPU does that follows the attributes: the fault is resolved, or goes to the VMM because the
    /// attribute has changed meanwhile.
    public func touch(_ pages: [UInt64], rmpBit: Bool = false, allowing errors: [Errno] = []) {
        for page in pages {
            let isPrivate = isPrivate(page)
            switch fault(page, isPrivate: isPrivate, rmpBit: rmpBit && isPrivate) {
            case .resume, .memoryFault(_, _, _, .badAddress): break
            case .memoryFault(_, _, _, let errno) where errors.contains(errno): break
            case .failed(let errno) where errors.contains(errno): break
            case let other: world.fail("a fault at page \(page) ends in \(other)")
            }
        }
    }

    /// Touches pages in one way, whatever the attribute is.
    public func touch(_ pages: [UInt64], asPrivate isPrivate: Bool) {
        for page in pages {
            switch fault(page, isPrivate: isPrivate) {
            case .resume, .memoryFault(_, _, _, .badAddress): break
            case let other: world.fail("a fault at page \(page) ends in \(other)")
            }
        }
    }

    /// LAUNCH_UPDATE of a page with the same bytes throughout.
    ///
    /// - Throws: what the call refuses
    public func launch(_ page: UInt64, filledWith byte: UInt8 = 0x5a, count: UInt64 = 1) throws(SEVCommandError) {
        let source = [UInt8](repeating: byte, count: Int(count) << 12)
        var request = LaunchUpdateRequest(
            gfn: gfn(page), source: source[...], byteCount: count << 12, type: .normal)
        try vm.snpLaunchUpdate(&request)
    }

    /// What LAUNCH_UPDATE refuses with, or nil if it does not.
    public func launchError(_ page: UInt64, count: UInt64 = 1) -> SEVCommandError? {
        do throws(SEVCommandError) {
            try launch(page, count: count)
            return nil
        } catch { return error }
    }

    /// Reports what is wrong.
    func report(_ problem: String) { world.fail(problem) }

    /// At rest a page is mapped to what its attribute says: its private frame, or the VMM's. The first that is not.
    var strayMapping: Problem? {
        var found: Problem?
        vm.nested.table.table.forEachLeaf { frame, mapping in
            for part in 0..<mapping.level.pageCount where found == nil {
                let gfn = GFN(frame + part)
                guard gfn >= base, gfn.rawValue - base.rawValue < pageCount else { continue }
                let page = gfn.rawValue - base.rawValue
                let isOwn = pfn(page) == mapping.pfn + part
                guard isOwn != isPrivate(page) else { continue }
                let attribute = isPrivate(page) ? "private" : "shared"
                found = Problem(
                    "page \(page) is \(attribute) and mapped to \(isOwn ? "its private" : "another") frame",
                    pfn: mapping.pfn + part)
            }
        }
        return found
    }

    /// The entry that governs a private page's frame.
    public func entry(_ page: UInt64) -> RMPEntry? { pfn(page).flatMap { world.machine.rmp.effectiveEntry($0) } }

    /// Does a guest access; nested page faults go to the hypervisor and the access starts again.
    ///
    /// - Returns: nil if a fault went to the VMM
    public func run<R>(_ body: () throws -> R) throws -> R? {
        while true {
            do { return try body() } catch GuestFault.nestedPageFault(let gpa, let error) {
                guard vm.handleNestedPageFault(gpa, error) == .resume else { return nil }
            }
        }
    }
}
