// Prepare, then commit: what is refused changes nothing, what fails on the way is taken back or told exactly.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Refusals and failures of conversions")
struct RefusalTests {
    /// Five 2 MiB blocks: 2M, 4K, mixed, in that order, then spare ones.
    private func guest() throws -> TestGuest {
        let guest = try TestGuest(pages: 2560)
        try guest.allocate(0..<2560)
        return guest
    }

    /// How somebody else's page gets into a guest's range.
    enum Obstacle: String, CaseIterable {
        case otherASID, otherAddress, immutable, firmware
    }

    private func place(_ obstacle: Obstacle, _ page: UInt64, of guest: TestGuest) throws {
        var counts = RMPCounts()
        let (pfn, gfn, asid) = (guest.pfn(page), guest.base + page, try #require(guest.vm.asid))
        _ = try guest.host.directMap.claimSmallPages(around: pfn)
        switch obstacle {
        case .otherASID: try guest.host.rmp.makePrivate(pfn, .size4K, gfn: gfn, asid: ASID(77), counts: &counts)
        case .otherAddress: try guest.host.rmp.makePrivate(pfn, .size4K, gfn: gfn + 1, asid: asid, counts: &counts)
        case .immutable:
            try guest.host.rmp.makePrivate(pfn, .size4K, gfn: gfn, asid: asid, immutable: true, counts: &counts)
        case .firmware: try guest.host.rmp.makeFirmware(pfn)
        }
    }

    @Test(
        "A page that is another's, at another address, or immutable: EINVAL, nothing changes, no RMPUPDATE",
        arguments: Obstacle.allCases)
    func obstacleToPrivate(obstacle: Obstacle) throws {
        let guest = try guest()
        try place(obstacle, 1300, of: guest)
        let before = guest.state
        let levels = [guest.level(0), guest.level(600), guest.level(1300)]
        let updates = guest.host.rmp.counts.updates
        let failure = guest.convertFailure(3..<2560, to: .private)
        #expect(failure == ConversionFailure(.invalidArgument, gfn: guest.base + 1300))
        #expect(guest.state == before)
        #expect(guest.host.rmp.counts.updates == updates)
        #expect([guest.level(0), guest.level(600), guest.level(1300)] == levels, "the direct map is as it was")
    }

    @Test("The same on the way to shared", arguments: Obstacle.allCases)
    func obstacleToShared(obstacle: Obstacle) throws {
        let guest = try guest()
        try guest.convert(0..<1024, to: .private)
        try guest.convert(1024..<1300, to: .private)
        try guest.convert(1301..<2560, to: .private)
        try place(obstacle, 1300, of: guest)
        let before = guest.state
        let updates = guest.host.rmp.counts.updates
        let failure = guest.convertFailure(0..<2560, to: .shared)
        #expect(failure == ConversionFailure(.invalidArgument, gfn: guest.base + 1300))
        #expect(guest.state == before)
        #expect(guest.host.rmp.counts.updates == updates)
    }

    @Test("No frame for the direct map's tables: ENOMEM, nothing changes")
    func outOfTables() throws {
        let guest = try guest()
        try guest.convert(0..<512, to: .private)
        let blocks = guest.exhaustMemory()
        let before = guest.state
        #expect(guest.convertFailure(5..<6, to: .shared)?.errno == .noMemory)
        #expect(guest.convertFailure(600..<601, to: .private)?.errno == .noMemory)
        #expect(guest.state == before)
        // Whole 2 MiB pages need no tables.
        #expect(guest.convertFailure(0..<512, to: .shared) == nil)
        #expect(guest.convertFailure(512..<1024, to: .private) == nil)
        for block in blocks { guest.host.allocator.free(block.pfn, order: block.order) }
        #expect(guest.convertFailure(600..<601, to: .shared) == nil)
        #expect(guest.violations == [])
    }

    @Test("A refused PSMASH: EINVAL with its status before any RMPUPDATE; owners and attributes as before")
    func refusedSmash() throws {
        let guest = try guest()
        try guest.convert(0..<2560, to: .private)
        let updates = guest.host.rmp.counts.updates
        guest.rmp.fail(.psmash, calls: 2...2, with: .failPermission)
        let failure = guest.convertFailure(1..<2000, to: .shared)
        guest.rmp.injection.set(nil)
        #expect(failure?.errno == .invalidArgument && failure?.status == .failPermission && failure?.converted == [])
        #expect(guest.privatePages == [0..<2560])
        #expect(guest.sizes(0..<2560) == ["512 4K", "2048 2M"])
        #expect(guest.host.rmp.counts.updates == updates)
        #expect(guest.violations == [])
    }

    @Test(
        "An RMPUPDATE to private that fails is taken back with all before it; nothing is lost",
        arguments: [1, 2, 3, 200, 513])
    func rollback(call: Int) throws {
        let guest = try guest()
        let before = guest.state
        let levels = (0..<5 as Range<UInt64>).map { guest.level($0 * 512) }
        guest.rmp.fail(.rmpUpdate, calls: call...call, with: .failPermission)
        // 2M, 2M, then 512 pages at 4K, as a neighbour of the range's last block is out of it.
        let failure = guest.convertFailure(0..<1535, to: .private)
        guest.rmp.injection.set(nil)
        #expect(failure?.errno == .invalidArgument && failure?.status == .failPermission && failure?.converted == [])
        let at: UInt64 = call <= 2 ? UInt64(call - 1) * 512 : 1024 + UInt64(call - 3)
        #expect(failure?.gfn == guest.base + at)
        #expect(guest.state == before)
        #expect((0..<5 as Range<UInt64>).map { guest.level($0 * 512) } == levels)
        #expect(guest.host.leaked.count == 0)
        #expect(guest.violations == [])
        try guest.convert(0..<1535, to: .private)
        #expect(guest.sizes(0..<2560) == ["1024 2M", "511 4K", "1025 host"])
    }

    @Test(
        "An RMPUPDATE to shared that fails: what is before it is shared, the rest private, and attributes and the report say so",
        arguments: [
            (1, 0), (2, 512), (3, 1024), (4, 1025), (100, 1121),
        ])
    func partialToShared(call: Int, stop: Int) throws {
        let guest = try guest()
        try guest.convert(0..<2048, to: .private)
        guest.rmp.fail(.rmpUpdate, calls: call...call, with: .failPermission)
        let failure = guest.convertFailure(0..<1500, to: .shared)
        guest.rmp.injection.set(nil)
        let stop = UInt64(stop)
        #expect(failure?.errno == .invalidArgument && failure?.status == .failPermission)
        #expect(failure?.gfn == guest.base + stop)
        #expect(failure?.converted == (stop == 0 ? [] : [guest.base..<(guest.base + stop)]))
        #expect(guest.privatePages == [stop..<2048])
        for page in 0..<2048 as Range<UInt64> where guest.entry(page).assigned != (page >= stop) {
            Issue.record("page \(page) is on the wrong side")
            break
        }
        #expect(guest.violations == [])
        try guest.convert(0..<1500, to: .shared)
        #expect(guest.privatePages == [1500..<2048])
        #expect(guest.violations == [])
    }

    @Test("What the rollback cannot take back is leaked, counted, and never handed out again")
    func leak() throws {
        let guest = try guest()
        guest.rmp.fail(.rmpUpdate, calls: 3...10_000, with: .failPermission)
        let failure = guest.convertFailure(0..<600, to: .private)
        guest.rmp.injection.set(nil)
        #expect(failure?.errno == .invalidArgument)
        // One 2M page and one 4K page became private; the third update failed.
        #expect(guest.host.leaked.count == 513)
        #expect(guest.sizes(0..<515) == ["513 unbacked", "2 host"])
        #expect(guest.privatePages == [])
        #expect(guest.violations == [])
        let leaked = Set(guest.host.leaked.all.flatMap { Array($0.frames) })
        for block in guest.exhaustMemory() where block.frames.contains(where: { leaked.contains($0) }) {
            Issue.record("the leaked frame \(block.pfn) is handed out")
        }
    }

    @Test("A page leaked out of a 1 GiB folio leaves the folio's other 2 MiB whole", arguments: [0..<1024, 0..<700])
    func leakFromGigabyte(pages: Range<Int>) throws {
        let guest = try TestGuest(pages: 1 << 18, folioOrder: 18, base: GFN(1 << 18), dramByteCount: 3 << 30)
        try guest.allocate(0..<1)
        guest.rmp.fail(.rmpUpdate, calls: 2...10_000, with: .failPermission)
        #expect(guest.convertFailure(0..<UInt64(pages.upperBound), to: .private) != nil)
        guest.rmp.fail(.rmpUpdate, calls: 1...1, with: .failPermission)
        #expect(guest.convertFailure(700..<702, to: .private) != nil)
        guest.rmp.injection.set(nil)
        #expect(guest.host.leaked.count == 512)
        #expect(guest.file.folios.folio(at: 600)?.order == 9 && guest.file.folios.folio(at: 262_143)?.order == 9)
        guest.rmp.fail(.rmpUpdate, calls: 2...10_000, with: .failPermission)
        #expect(guest.convertFailure(1027..<1030, to: .private) != nil)
        guest.rmp.injection.set(nil)
        #expect(guest.host.leaked.count == 513)
        #expect(guest.file.folios.folio(at: 1028)?.order == 0 && guest.file.folios.folio(at: 1600)?.order == 9)
        #expect(guest.violations == [])
    }

    @Test(
        "FAIL_INUSE and FAIL_OVERLAP are retried up to the limit, and then an error",
        arguments: [
            (RMPStatus.failInUse, 1), (.failInUse, HostRMP.retryLimit), (.failInUse, HostRMP.retryLimit + 1),
            (.failOverlap, 3), (.failOverlap, HostRMP.retryLimit), (.failOverlap, HostRMP.retryLimit + 1),
        ])
    func boundedRetry(status: RMPStatus, times: Int) throws {
        let guest = try guest()
        guest.rmp.fail(.rmpUpdate, calls: 1...times, with: status)
        defer { guest.rmp.injection.set(nil) }
        if times <= HostRMP.retryLimit {
            let counts = try guest.convert(0..<512, to: .private)
            #expect(counts.rmp.retries == UInt64(times) && counts.rmp.updates == 1 && counts.rmp.failures == 0)
            #expect(guest.sizes(0..<512) == ["512 2M"])
        } else {
            let failure = guest.convertFailure(0..<512, to: .private)
            #expect(failure?.status == status && failure?.errno == .invalidArgument)
            #expect(guest.vm.conversionCounts.rmp.retries == UInt64(HostRMP.retryLimit))
            #expect(guest.vm.conversionCounts.rmp.failures == 1)
            #expect(guest.sizes(0..<512) == ["512 host"])
        }
    }

    @Test(
        "PSMASH in use is retried up to the limit; other refusals are not retried",
        arguments: [
            (RMPStatus.failInUse, 1, true), (.failInUse, HostRMP.retryLimit, true),
            (.failInUse, HostRMP.retryLimit + 1, false),
            (.failInput, 1, false), (.failPermission, 1, false),
        ])
    func smashRetry(status: RMPStatus, times: Int, succeeds: Bool) throws {
        let guest = try guest()
        try guest.convert(0..<512, to: .private)
        guest.rmp.fail(.psmash, calls: 1...times, with: status)
        defer { guest.rmp.injection.set(nil) }
        let failure = guest.convertFailure(0..<1, to: .shared)
        #expect((failure == nil) == succeeds)
        if !succeeds {
            #expect(failure?.status == status)
            #expect(guest.sizes(0..<512) == ["512 2M"])
        }
        #expect(
            guest.vm.conversionCounts.rmp.retries == (status == .failInUse ? UInt64(min(times, HostRMP.retryLimit)) : 0)
        )
    }

    @Test(
        "FAIL_INPUT and FAIL_PERMISSION are not retried",
        arguments: [RMPStatus.failInput, .failPermission, .failSizeMismatch])
    func noRetry(status: RMPStatus) throws {
        let guest = try guest()
        guest.rmp.fail(.rmpUpdate, calls: 1...1, with: status)
        #expect(guest.convertFailure(0..<512, to: .private)?.status == status)
        guest.rmp.injection.set(nil)
        #expect(guest.vm.conversionCounts.rmp.retries == 0)
    }
}
