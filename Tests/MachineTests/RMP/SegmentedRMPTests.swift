// The RMP in segments: where each frame's entry lies, what has none, and which layouts are refused.

import Machine
import SNPArchitecture
import Testing

@Suite("Segmented RMP")
struct SegmentedRMPTests {
    /// A machine of 4 GiB with segments of 1 GiB.
    private func machine(
        dramByteCount: UInt64 = 4 << 30, rows: [RMPSegmentTableEntry]? = nil, shift: UInt8 = 30,
        _ change: (inout MachineConfiguration) -> Void = { _ in }
    ) throws(MachineError) -> Machine {
        var configuration = MachineConfiguration(product: .turin, dramByteCount: dramByteCount)
        configuration.rmpSegmentation = RMPSegmentation(shift: shift, rows: rows)
        change(&configuration)
        return try Machine(configuration)
    }

    /// Segments out of order, far from each other, and one that is not there.
    private static let scattered = [
        RMPSegmentTableEntry(base: SPA(0xb000_0000), mappedGiB: 1),
        RMPSegmentTableEntry(base: SPA(0x1000_0000), mappedGiB: 1),
        .absent, RMPSegmentTableEntry(base: SPA(0x4010_0000), mappedGiB: 1),
    ]

    @Test("An entry lies in the segment of its frame, at 16 bytes for each frame from the segment's start on")
    func places() throws {
        let machine = try machine(rows: Self.scattered)
        let rmp = machine.rmp
        for (pfn, entry) in [
            (0x3_ffff, 0xb000_0000 + 0x3_ffff * 16), (0x4_0000, 0x1000_0000), (0x4_0203, 0x1000_0000 + 0x203 * 16),
            (0xc_0a00, 0x4010_0000 + 0xa00 * 16), (5, 0xb000_0000 + 5 * 16),
        ] as [(UInt64, UInt64)] {
            #expect(machine.memory.loadQuadword(at: SPA(entry)) == 0)
            try rmp.rmpUpdate(PFN(pfn).address, to: .guest(ASID(7), at: GPA(pfn << 12), .size4K))
            let low = machine.memory.loadQuadword(at: SPA(entry))
            #expect(low & 1 == 1 && low >> 51 & 0x3ff == 7 && low >> 12 & 0x7f_ffff_ffff == pfn, "\(pfn)")
            #expect(rmp.entry(PFN(pfn)).asid == ASID(7))
        }
        #expect(rmp.assignedPageCount(of: ASID(7)) == 5)
        #expect(machine.memory.loadQuadword(at: rmp.base + 7 * 8) == 5, "counters stay at RMP_BASE")
        #expect(machine.memory.loadQuadword(at: SPA(0x1000_0000 + 0x200 * 16)) >> 3 & 0x1ff == 1, "sub-page count")
        #expect(rmp.findViolations() == [])
    }

    @Test("Every instruction finds the entry: PSMASH, RMPREAD, PVALIDATE, RMPADJUST in a later segment")
    func instructions() throws {
        let machine = try machine(rows: Self.scattered)
        let (rmp, head) = (machine.rmp, PFN(0xc_0400))
        try rmp.rmpUpdate(head.address, to: .guest(ASID(3), at: GPA(0x20_0000), .size2M))
        let page = GuestPage(gpa: GPA(0x20_0000), pfn: head, level: .level2M)
        #expect(try rmp.pvalidate(page, size: .size2M, validate: true, asid: ASID(3), vmpl: .vmpl0))
        try rmp.psmash(head.address)
        let read = try rmp.rmpRead((head + 77).address)
        #expect(read.assigned && read.pageSize == .size4K && read.asid == ASID(3) && read.gpa == GPA(0x24_d000))
        #expect(machine.memory.loadQuadword(at: SPA(0x4010_0000 + 0x400 * 16)) >> 3 & 0x1ff == 511)
        let small = GuestPage(gpa: GPA(0x24_d000), pfn: head + 77, level: .level4K)
        #expect(try rmp.pvalidate(small, size: .size4K, validate: false, asid: ASID(3), vmpl: .vmpl0))
        #expect(!rmp.entry(head + 77).validated && rmp.entry(head + 78).validated)
        #expect(!rmp.allowsHostWrite(head + 77, level: .level4K) && rmp.allowsHostWrite(head + 512, level: .level4K))
        #expect(rmp.findViolations() == [])
        machine.memory.storeQuadword(1 | 9 << 51, at: SPA(0x4010_0000 + 0x777 * 16))
        #expect(rmp.findViolations().count == 2, "a count of ASID 9 and of the region, both in the last segment")
    }

    @Test("A frame of an absent segment has no entry: it is in the Default state, the host's, and never a guest's")
    func absent() throws {
        let machine = try machine(rows: Self.scattered)
        let (rmp, frame) = (machine.rmp, PFN(0x8_0000))
        for pfn in [frame, PFN(0xb_ffff)] {
            #expect(!rmp.covers(pfn) && rmp.state(of: pfn) == .default && rmp.effectiveEntry(pfn) == nil)
            #expect(throws: RMPStatus.failInput) { try rmp.rmpUpdate(pfn.address, to: .shared(.size4K)) }
            #expect(throws: RMPStatus.failInput) { try rmp.rmpRead(pfn.address) }
            #expect(rmp.allowsHostWrite(pfn, level: .level1G))
        }
        #expect(throws: RMPStatus.failInput) { try rmp.psmash(frame.address) }
        let page = GuestPage(gpa: GPA(0), pfn: frame, level: .level4K)
        #expect(throws: (any Error).self) {
            try rmp.pvalidate(page, size: .size4K, validate: true, asid: ASID(3), vmpl: .vmpl0)
        }
        #expect(rmp.covers(PFN(0x7_ffff)) && rmp.covers(PFN(0xc_0000)) && rmp.coveredFrameCount == 0x10_0000)
        #expect(rmp.findViolations() == [])
    }

    @Test("What a row maps past its segment's size does not count, and less leaves the rest without entries")
    func mappedSizes() throws {
        let rows = [
            RMPSegmentTableEntry(base: SPA(0x1000_0000), mappedGiB: 0xf_ffff),
            RMPSegmentTableEntry(base: SPA(0x2000_0000), mappedGiB: 1),
        ]
        let machine = try machine(rows: rows, shift: 31)
        #expect(machine.rmp.tableFrames.contains { $0 == PFN(0x1_0000)..<PFN(0x1_0800) }, "8 MiB for 2 GiB, no more")
        #expect(machine.rmp.covers(PFN(0x7_ffff)) && machine.rmp.covers(PFN(0xb_ffff)))
        #expect(!machine.rmp.covers(PFN(0xc_0000)) && machine.rmp.coveredFrameCount == 0xc_0000)
    }

    @Test("BIOS's own layout covers all of memory, fills the registers and the table, and survives a clearing")
    func defaults() throws {
        let machine = try machine(dramByteCount: 5 << 29)
        let core = machine.cores.all[0]
        #expect(core.rmpEnd == 0 && core.rmpConfiguration == RMPConfiguration(segmentShift: 30))
        #expect(core.rmpBase == machine.rmp.base.rawValue && machine.rmp.coveredFrameCount == machine.memory.frameCount)
        guard case .segmented(_, 30, let rows) = machine.rmp.layout else { return #expect(Bool(false), "segmented") }
        #expect(rows.map(\.mappedGiB) == [1, 1, 1] && Set(rows.map(\.base)).count == 3)
        #expect(machine.memoryMap.count == 4)
        try machine.rmp.rmpUpdate(PFN(0x4_0000).address, to: .guest(ASID(3), at: GPA(0), .size4K))
        machine.rmp.clear()
        #expect(machine.rmp.state(of: PFN(0x4_0000)) == .hypervisor && machine.rmp.assignedPageCount(of: ASID(3)) == 0)
        for (index, row) in rows.enumerated() {
            let address = machine.rmp.base + (0x4000 + UInt64(index) * 8)
            #expect(machine.memory.loadQuadword(at: address) == row.rawValue)
        }
    }

    @Test("Layouts that cannot be are refused, the first fault first")
    func refusedLayouts() throws {
        func error(
            rows: [RMPSegmentTableEntry]? = nil, shift: UInt8 = 30, dramByteCount: UInt64 = 4 << 30,
            _ change: (inout MachineConfiguration) -> Void = { _ in }
        ) -> MachineError? {
            do throws(MachineError) {
                _ = try machine(dramByteCount: dramByteCount, rows: rows, shift: shift, change)
                return nil
            } catch { return error }
        }
        #expect(error(shift: 29) { $0.features.remove(.segmentedRMP) } == .rmpSegmentsUnavailable)
        #expect(error(shift: 29) { $0.rmpSegmentLimits.ebx = 1 << 10 | 3 } == .rmpSegmentSize(shift: 29))
        #expect(error(shift: 41) == .rmpSegmentSize(shift: 41))
        #expect(error { $0.rmpSegmentLimits.ebx = 1 << 10 | 3 } == .tooManyRMPSegments(4, limit: 3))
        #expect(error { $0.rmpSegmentLimits.ebx = 1 << 10 | 4 } == nil)
        #expect(error(shift: 29) { $0.rmpSegmentLimits.eax = 20 | 40 << 6 } == .rmpSegmentSize(shift: 29))
        let many = [RMPSegmentTableEntry](repeating: .absent, count: 513)
        #expect(error(rows: many) == .tooManyRMPSegments(513, limit: 512))
        let two = RMPSegmentTableEntry(base: SPA(0x1000_0000), mappedGiB: 1)
        #expect(error(rows: [two, two]) == .rmpMisplaced(base: SPA(0x1000_0000), byteCount: 4 << 20))
        let outside = RMPSegmentTableEntry(base: SPA(4 << 30), mappedGiB: 1)
        #expect(error(rows: [two, outside]) == .rmpMisplaced(base: SPA(4 << 30), byteCount: 4 << 20))
        #expect(error(rows: [two]) { $0.rmpBase = SPA(0x1000) } == .rmpMisplaced(base: SPA(0x1000), byteCount: 0x5000))
        let described = [
            error(shift: 41), error { $0.features = [] }, error(rows: many), error(rows: [two, two]),
        ]
        #expect(Set(described.map { $0?.description }).count == 4)
    }
}
