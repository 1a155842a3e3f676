// A host whose RMP is in segments: what it refuses, what it keeps off, and guests with pages in several segments.

import Machine
import Rampart
import SNPArchitecture
import SecureProcessor
import Testing

@testable import Hypervisor

@Suite("Segmented RMP of a host")
struct SegmentedHostTests {
    /// 3 GiB in segments of 1 GiB.
    static func configuration(rows: [RMPSegmentTableEntry]? = nil) -> MachineConfiguration {
        var configuration = MachineConfiguration(product: .turin, dramByteCount: 3 << 30)
        configuration.rmpSegmentation = RMPSegmentation(shift: 30, rows: rows)
        return configuration
    }

    /// One thing wrong with the registers or the segment table, and what the host says of it.
    struct Wrong: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var failure: @Sendable (Machine) -> RMPProbeFailure
        var spoil: @Sendable (Machine) -> Void

        init(
            _ name: String, _ failure: @escaping @Sendable (Machine) -> RMPProbeFailure,
            spoil: @escaping @Sendable (Machine) -> Void
        ) {
            (testDescription, self.failure, self.spoil) = (name, failure, spoil)
        }
    }

    /// Writes a row of the segment table.
    static func write(_ row: RMPSegmentTableEntry, _ index: UInt64, _ machine: Machine) {
        machine.memory.storeQuadword(row.rawValue, at: machine.rmp.base + (0x4000 + index * 8))
    }

    /// In the order of checks: each hides those after it.
    static let table: [Wrong] = [
        Wrong("a segment size that CPUID does not know", { _ in .segmentSize(shift: 29) }) {
            $0.cores.updateAll { $0.rmpConfiguration = RMPConfiguration(segmentShift: 29) }
        },
        Wrong("RMP_BASE is zero", { _ in .notReserved }) { $0.cores.updateAll { $0.rmpBase = 0 } },
        Wrong("RMP_END is not zero", { _ in .endOfSegmented }) { $0.cores.updateAll { $0.rmpEnd = 0xf_ffff } },
        Wrong("RMP_BASE not on 1 MiB", { _ in .notAligned }) { $0.cores.updateAll { $0.rmpBase |= 0x2000 } },
        Wrong("another core disagrees on the base", { _ in .differsBetweenCores(core: 1) }) {
            $0.cores.update(1) { $0.rmpBase += 1 << 20 }
        },
        Wrong("another core disagrees on the form", { _ in .differsBetweenCores(core: 2) }) {
            $0.cores.update(2) { $0.rmpConfiguration = RMPConfiguration(rawValue: 0) }
        },
        Wrong("the table is past memory", { _ in .outsideMemory(SPA(1 << 45 + 0x4000)) }) {
            $0.cores.updateAll { $0.rmpBase = 1 << 45 }
        },
        Wrong("entries past memory", { _ in .outsideMemory(SPA(1 << 40)) }) {
            write(RMPSegmentTableEntry(base: SPA(1 << 40), mappedGiB: 1), 1, $0)
        },
        Wrong("the last segment ends before memory", { _ in .segmentsTooSmall(needed: 3 << 30, covered: 2 << 30) }) {
            write(.absent, 2, $0)
        },
    ]

    @Test("Each leaves SNP off and the cores as they were", arguments: table)
    func refused(_ wrong: Wrong) throws {
        let machine = try Machine(Self.configuration())
        machine.mailbox.connect(SecureProcessor(machine: machine))
        wrong.spoil(machine)
        let host = try Host(machine: machine)
        let (cores, free) = (machine.cores.all, host.allocator.freeFrameCount)
        let error = SNPInitializationError.rmp(wrong.failure(machine))
        #expect(throws: error) { try host.initializeSNP() }
        #expect(error.errno == .notImplemented && !error.description.isEmpty)
        #expect(!host.snpIsOn && machine.cores.all == cores && host.allocator.freeFrameCount == free)
    }

    @Test("A request with several faults gets the first one's error")
    func order() throws {
        for first in Self.table.indices {
            let machine = try Machine(Self.configuration())
            machine.mailbox.connect(SecureProcessor(machine: machine))
            for wrong in Self.table[first...].reversed() { wrong.spoil(machine) }
            let host = try Host(machine: machine)
            #expect(throws: SNPInitializationError.rmp(Self.table[first].failure(machine))) { try host.initializeSNP() }
        }
    }

    @Test("More segments than the processor can have; and a processor that knows no segments is not asked for them")
    func limits() throws {
        var configuration = Self.configuration()
        configuration.rmpSegmentLimits.ebx = 1 << 10 | 3
        let machine = try Machine(configuration)
        machine.mailbox.connect(SecureProcessor(machine: machine))
        Self.write(RMPSegmentTableEntry(base: SPA(0x1000_0000), mappedGiB: 1), 3, machine)
        let error = SNPInitializationError.rmp(.tooManySegments(4, limit: 3))
        #expect(throws: error) { try Host(machine: machine).initializeSNP() }
        let genoa = try Machine(MachineConfiguration(dramByteCount: 48 << 20))
        genoa.mailbox.connect(SecureProcessor(machine: genoa))
        genoa.cores.updateAll { $0.rmpEnd = 0 }
        #expect(throws: SNPInitializationError.rmp(.notReserved)) { try Host(machine: genoa).initializeSNP() }
    }

    @Test("Firmware refuses a segment table that says otherwise than the silicon, and registers that differ")
    func firmware() throws {
        let spoils: [@Sendable (Machine) -> Void] = [
            { Self.write(RMPSegmentTableEntry(base: SPA(0x1000_0000), mappedGiB: 1), 0, $0) },
            { Self.write(RMPSegmentTableEntry(base: SPA(0x1000_0000), mappedGiB: 1), 400, $0) },
            { $0.cores.update(1) { $0.rmpConfiguration = RMPConfiguration(rawValue: 0) } },
            { $0.cores.updateAll { $0.rmpConfiguration = RMPConfiguration(rawValue: 0) } },
            { $0.cores.updateAll { $0.rmpEnd = 0xf_ffff } }, { $0.cores.updateAll { $0.rmpBase += 1 << 20 } },
        ]
        for (index, spoil) in spoils.enumerated() {
            let machine = try Machine(Self.configuration())
            let firmware = SecureProcessor(machine: machine)
            machine.cores.updateAll {
                $0.syscfg |=
                    CoreRegisters.SYSCFG.mfdm | CoreRegisters.SYSCFG.snpEnable | CoreRegisters.SYSCFG.vmplEnable
            }
            spoil(machine)
            #expect(firmware.execute(.snpInit, buffer: SPA(0)) == .invalidConfig, "\(index)")
        }
        let machine = try Machine(Self.configuration())
        machine.cores.updateAll {
            $0.syscfg |= CoreRegisters.SYSCFG.mfdm | CoreRegisters.SYSCFG.snpEnable | CoreRegisters.SYSCFG.vmplEnable
            $0.rmpBase |= 1 << 51
        }
        #expect(SecureProcessor(machine: machine).execute(.snpInit, buffer: SPA(0)) == .unsupported)
    }

    @Test("Bookkeeping, segment table and all segments are firmware's, never handed out, and no write reaches them")
    func protected() throws {
        // Segments inside the memory that guests get.
        let rows = [
            RMPSegmentTableEntry(base: SPA(0x1000_0000), mappedGiB: 1),
            RMPSegmentTableEntry(base: SPA(0x9010_0000), mappedGiB: 1),
            RMPSegmentTableEntry(base: SPA(0x4000_0000), mappedGiB: 1),
        ]
        let emulated = try EmulatedHost(Self.configuration(rows: rows))
        let (host, rmp) = (emulated.host, emulated.machine.rmp)
        #expect(rmp.tableFrames.count == 4 && rmp.tableFrames.map(\.count).sorted() == [5, 1024, 1024, 1024])
        for pfn in rmp.tableFrames.joined() {
            #expect(rmp.state(of: pfn) == .firmware && !host.allocator.isFree(pfn))
            #expect(throws: RMPStatus.failPermission) { try rmp.rmpUpdate(pfn.address, to: .shared(.size4K)) }
        }
        for frames in rmp.tableFrames {
            #expect(throws: Errno.badAddress) { try host.write([0], at: frames.lowerBound.address) }
        }
        #expect(!host.allocator.isFree(PFN(0x9_0000)), "what shares 2 MiB with a part of the RMP is not for use either")
        #expect(host.allocator.isFree(PFN(0x9_0600)) && host.allocator.isFree(PFN(0x1_0400)))
        #expect(rmp.findViolations() == [])
        try host.shutdownSNP(.firmwareAndCores)
        for pfn in rmp.tableFrames.joined() { #expect(rmp.state(of: pfn) == .hypervisor) }
        try host.initializeSNP()
        #expect(host.snpIsOn && rmp.state(of: PFN(0x4_0000)) == .firmware, "the table of segments was kept")
    }

    @Test("A guest with pages in every segment converts, faults and is destroyed; the dump finds its entries")
    func guest() throws {
        let emulated = try EmulatedHost(Self.configuration())
        let guest = try TestGuest(pages: 0x9_0000, folioOrder: 9, on: emulated)
        try guest.allocate(0..<0x9_0000)
        try guest.convert(0..<0x9_0000, to: .private)
        let segments = Set(
            (0..<0x9_0000 as Range<UInt64>).filter { $0 % 512 == 0 }.map { guest.pfn($0).rawValue >> 18 })
        #expect(segments == [0, 1, 2])
        try guest.convert(3..<0x8_fffe, to: .shared)
        #expect(guest.violations == [])
        let dump = try guest.host.rmp.dump(guest.pfn(0x8_ffff))
        #expect(dump.isAssigned && dump.entries.count == 1)
        #expect(guest.rmp.assignedPageCount(of: try #require(guest.vm.asid)) == 5)
        guest.vm.destroy()
        #expect(guest.host.checkInvariants(of: []) == [])
    }

    @Test("Memory of an absent segment is for shared pages only: a conversion of it is refused and changes nothing")
    func absentSegment() throws {
        let rows = [
            RMPSegmentTableEntry(base: SPA(0x1000_0000), mappedGiB: 1), .absent,
            RMPSegmentTableEntry(base: SPA(0x2000_0000), mappedGiB: 1),
        ]
        var configuration = Self.configuration(rows: rows)
        configuration.rmpBase = SPA(0x1800_0000)
        let emulated = try EmulatedHost(configuration)
        let guest = try TestGuest(pages: 512, folioOrder: 9, on: emulated)
        let host = guest.host
        // A folio of the memory without entries.
        var taken: [FrameBlock] = []
        while let block = host.allocator.allocate(order: 9) {
            if block.pfn >= PFN(0x4_0000) {
                host.allocator.free(block.pfn, order: 9)
                break
            }
            taken.append(block)
        }
        try guest.back(0, order: 9)
        #expect(guest.pfn(0) >= PFN(0x4_0000) && guest.pfn(0) < PFN(0x8_0000))
        #expect(guest.convertFailure(0..<512, to: .private)?.errno == .invalidArgument)
        #expect(guest.vm.attribute(of: guest.base) == .shared && host.rmp.lookup(guest.pfn(0)) == nil)
        #expect(throws: Errno.badAddress) { try host.rmp.dump(guest.pfn(0)) }
        for block in taken { host.allocator.free(block.pfn, order: 9) }
        #expect(guest.violations == [])
    }
}
