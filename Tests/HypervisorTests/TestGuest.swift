// A guest with one slot, for tests that want to say what they mean in pages.

import Machine
import Rampart
import SNPArchitecture
import Synchronization
import Testing

@testable import Hypervisor

/// A guest with one slot of guest memory on a host of its own, or on a given one.
final class TestGuest: Sendable {
    let emulated: EmulatedHost
    let vm: VirtualMachine
    let file: GuestMemory
    /// The guest frame of the file's page 0.
    let base: GFN

    var host: Host { emulated.host }
    var rmp: ReverseMapTable { emulated.machine.rmp }

    /// - Parameter base: a frame that agrees with the file modulo 2 MiB unless it is not a multiple of 512
    init(
        pages: UInt64 = 2048, folioOrder: UInt8 = 9, base: GFN = GFN(0x1000),
        policy: any ConversionPolicy = EagerPolicy(),
        kind: MachineKind = .snp, dramByteCount: UInt64 = 48 << 20, on shared: EmulatedHost? = nil
    ) throws {
        emulated = try shared ?? EmulatedHost(MachineConfiguration(dramByteCount: dramByteCount))
        vm = try VirtualMachine(host: emulated.host, kind: kind, policy: policy)
        if kind == .snp { try vm.sevInit2() }
        file = try vm.createGuestMemory(byteCount: pages << 12, folioOrder: folioOrder)
        self.base = base
        let user = try UserMemory(host: emulated.host, byteCount: pages << 12)
        try vm.setMemoryRegion(
            MemoryRegion(slot: 0, gpa: base.address, byteCount: pages << 12, userMemory: user, guestMemory: file))
    }

    /// Backs pages with folios as large as the file's order.
    func allocate(_ pages: Range<UInt64>) throws {
        try vm.allocate(file, offset: pages.lowerBound << 12, byteCount: UInt64(pages.count) << 12)
    }

    /// Backs a page with a folio of this order.
    func back(_ index: UInt64, order: UInt8) throws {
        guard let block = host.allocator.allocate(order: order) else { throw Errno.noMemory }
        let folio = Folio(index: index, pfn: block.pfn, order: order, isCleared: block.isFresh)
        file.folios.insert(folio)
        vm.noteBacking(file, folio)
    }

    @discardableResult
    func convert(_ pages: Range<UInt64>, to attribute: MemoryAttribute) throws(ConversionFailure) -> ConversionCounts {
        try vm.setMemoryAttributes(
            (base + pages.lowerBound).address, byteCount: UInt64(pages.count) << 12, to: attribute)
    }

    func convertFailure(_ pages: Range<UInt64>, to attribute: MemoryAttribute) -> ConversionFailure? {
        do throws(ConversionFailure) {
            try convert(pages, to: attribute)
            return nil
        } catch { return error }
    }

    func punchHole(_ pages: Range<UInt64>) throws {
        try vm.punchHole(file, offset: pages.lowerBound << 12, byteCount: UInt64(pages.count) << 12)
    }

    /// The frame behind a page.
    func pfn(_ index: UInt64) -> PFN {
        guard let pfn = file.folios.frame(at: index) else { preconditionFailure("page \(index) is not backed") }
        return pfn
    }

    /// What the RMP says of a page.
    func entry(_ index: UInt64) -> RMPEntry {
        guard let entry = rmp.effectiveEntry(pfn(index)) else { preconditionFailure("page \(index) has no entry") }
        return entry
    }

    /// The sizes of the RMP entries of pages; nil where the host owns the page. Runs of equal neighbours are one element.
    func sizes(_ pages: Range<UInt64>) -> [String] {
        var result: [String] = []
        var last: (text: String, count: Int) = ("", 0)
        func flush() { if last.count > 0 { result.append("\(last.count) \(last.text)") } }
        for index in pages {
            let text: String
            if file.folios.frame(at: index) == nil {
                text = "unbacked"
            } else {
                let entry = entry(index)
                if !entry.assigned {
                    text = "host"
                } else if entry.asid == vm.asid, entry.gfn == base + index {
                    text = entry.pageSize.description
                } else {
                    text = "foreign"
                }
            }
            if text == last.text {
                last.count += 1
            } else {
                flush()
                last = (text, 1)
            }
        }
        flush()
        return result
    }

    /// The runs of pages with the private attribute.
    var privatePages: [Range<UInt64>] {
        vm.attributeRuns(in: base..<(base + file.pageCount)).filter { $0.attribute == .private }
            .map { $0.range.lowerBound.rawValue - base.rawValue..<$0.range.upperBound.rawValue - base.rawValue }
    }

    /// Everything that a refusal must leave alone.
    var state: [String] { sizes(0..<file.pageCount) + privatePages.map { "private \($0)" } }

    func level(_ index: UInt64) -> PageLevel? { host.directMap.level(of: pfn(index)) }

    func fault(_ index: UInt64, isPrivate: Bool = true, rmpBit: Bool = false) -> FaultOutcome {
        var error: PageFaultError = [.user, .finalAddress]
        if isPrivate { error.insert(.encrypted) }
        if rmpBit { error.formUnion([.present, .rmp, .sizeMismatch]) }
        return vm.handleNestedPageFault((base + index).address, error)
    }

    func mapping(_ index: UInt64) -> PageMapping? { vm.nested.mapping(of: base + index) }

    /// PVALIDATE of a mapped page, by the guest.
    func validate(_ index: UInt64, _ size: PageSize = .size4K) throws -> Bool {
        let mapping = try #require(self.mapping(index))
        return try rmp.pvalidate(
            GuestPage(gpa: (base + index).address, pfn: mapping.pfn, level: mapping.level), size: size, validate: true,
            asid: vm.asid ?? .host, vmpl: .vmpl0)
    }

    var violations: [InvariantViolation] { host.checkInvariants(of: [vm]) }

    /// Takes every frame that the allocator has, and gives back `left` of them.
    func exhaustMemory(leaving left: Int = 0) -> [FrameBlock] {
        var blocks: [FrameBlock] = []
        for order in [18, 9, 0] as [UInt8] {
            while let block = host.allocator.allocate(order: order) { blocks.append(block) }
        }
        for _ in 0..<left { host.allocator.free(blocks.removeLast().pfn, order: 0) }
        return blocks
    }
}

extension ReverseMapTable {
    /// Makes an instruction fail: calls `first` to `last`, counted from 1, with a status. Ends with `injection.set(nil)`.
    func fail(_ instruction: RMPInstruction, calls: ClosedRange<Int>, with status: RMPStatus) {
        let count = Counter()
        injection.set { found, _ in
            guard found == instruction else { return nil }
            return calls.contains(count.next()) ? status : nil
        }
    }
}

/// Counts calls.
final class Counter: Sendable {
    private let count = Mutex(0)
    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
    var value: Int { count.withLock { $0 } }
}
