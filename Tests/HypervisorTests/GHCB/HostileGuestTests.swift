// Guests that write anything: random pages, scratch areas everywhere, and pages that change while the host looks.

import Rampart
import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

/// A small generator with a seed.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
    mutating func chance(_ percent: UInt64) -> Bool { next() % 100 < percent }
    mutating func pick<T>(_ from: [T]) -> T { from[Int(next() % UInt64(from.count))] }
}

@Suite("Hostile GHCBs")
struct HostileGuestTests {
    /// Values that are close to some bound, or far from all.
    private static func value(_ random: inout Seeded, _ fixture: GHCBFixture) -> UInt64 {
        let ghcb = fixture.ghcb.rawValue
        return switch random.next() % 8 {
        case 0: random.next()
        case 1: random.next() % 5
        case 2: ghcb + random.next() % 0x1100
        case 3: (fixture.base + random.next() % 2060).address.rawValue + (random.chance(30) ? random.next() % 4096 : 0)
        case 4: UInt64.max - random.next() % 4
        case 5: random.next() % 70_000
        case 6: 1 << (random.next() % 64)
        default: random.next() & 0xffff_ffff
        }
    }

    /// Random bytes, of which pages are cut.
    private static let noise: [UInt8] = {
        var random = Seeded(state: 99)
        return (0..<8192).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }()

    private static func page(_ random: inout Seeded, _ fixture: GHCBFixture) -> GHCBPage {
        var page = GHCBPage()
        if random.chance(50) {
            let start = Int(random.next() % 4096)
            page = GHCBPage(Array(noise[start..<start + 4096])) ?? page
        }
        page.usage = random.chance(95) ? 0 : UInt32(truncatingIfNeeded: random.next())
        page.protocolVersion = random.chance(90) ? 2 : UInt16(truncatingIfNeeded: random.next())
        for field in GHCBField.allCases { page[field] = value(&random, fixture) }
        page[.exitCode] = random.chance(95) ? random.pick(ExitCode.named).code.rawValue : random.next()
        if random.chance(30) { page[.exitInfo1] = random.next() % 3 | (random.next() % 3) << 32 }
        switch ExitCode(page[.exitCode]) {
        case .ioio where random.chance(60):
            page[.exitInfo1] = random.next() & 0xffff_0f8d | 1 << (4 + random.next() % 3)
            page[.exitInfo2] = random.next() % 40
        case .mmioRead, .mmioWrite: if random.chance(60) { page[.exitInfo2] = random.next() % 64 }
        default: break
        }
        if random.chance(40) { page[.scratch] = fixture.ghcb.rawValue + 0x800 + random.next() % 0x7f0 }
        page.validBitmap =
            random.chance(80)
            ? GHCBValidBitmap(low: .max, high: .max) : GHCBValidBitmap(low: random.next(), high: random.next())
        if random.chance(50) {
            // A page state change that may go far.
            let header = PageStateChangeHeader(
                currentEntry: UInt16(random.next() % 6), endEntry: UInt16(random.next() % 12))
            var words = [random.chance(80) ? header.rawValue : random.next()]
            for _ in 0..<14 {
                var entry = PageStateChangeEntry(
                    fixture.base + random.next() % 2060, .init(rawValue: UInt8(random.next() % 6)),
                    random.chance(30) ? .size2M : .size4K)
                if entry.size == .size2M, random.chance(80) {
                    entry = .init(entry.gfn.aligned(down: .size2M), entry.operation, .size2M)
                }
                if random.chance(10) { entry.currentPage = UInt16(random.next() % 514) }
                words.append(random.chance(95) ? entry.rawValue : random.next())
            }
            page.store(words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } })
            if random.chance(40) {
                page[.exitCode] = ExitCode.pageStateChange.rawValue
                page[.scratch] = fixture.ghcb.rawValue + 0x800
            }
        }
        return page
    }

    private static func reply(_ exit: UserExit, _ random: inout Seeded) -> UserReply {
        switch random.next() % 10 {
        case 0: return .result(random.pick([0, 5, 11, 22, .max]))
        case 1: return .data((0..<Int(random.next() % 20)).map { UInt8($0) })
        case 2:
            let error = random.pick([nil, .noSpace, .again, .ioError, .busy] as [Errno?])
            return .certificates(error: error, pageCount: random.next())
        default: return exit.tablesReply
        }
    }

    /// What no answer may change: all but RAX, RCX to RBX, both infos, the bitmap and the shared buffer.
    private static let theGuests: [Range<Int>] = [
        0..<0x1f8, 0x200..<0x308, 0x320..<0x398, 0x3a8..<0x3f0, 0x400..<0x800, 0xff0..<0x1000,
    ]

    @Test(
        "10,000 random pages in all: no trap, nothing written but where answers go, invariants hold",
        arguments: GHCBPersonality.all.indices)
    func randomPages(_ index: Int) throws {
        let fixture = try GHCBFixture(GHCBPersonality.all[index], asksForCertificates: index == 1)
        let responder = try VMMResponder(machine: fixture.vm)
        try fixture.vm.snpLaunchStart(policy: .standard)
        try fixture.vm.snpLaunchFinish()
        var random = Seeded(state: UInt64(index) + 1)
        var answers: [String: Int] = [:]
        for round in TestScale.seeds(3_334) {
            let page = Self.page(&random, fixture)
            let converts = random.chance(30)
            var next = fixture.send(page)
            // The longest request is 16 pages of a device's memory, eight bytes at a time.
            var steps = 0
            var last = "resume"
            drive: while steps < 8300 {
                steps += 1
                switch next {
                case .resume:
                    fixture.cpu.state = .runnable
                    guard let after = fixture.resume(.none) else { break drive }
                    next = after
                case .exit(let exit):
                    last = exit.reason.map { "\($0)" } ?? "failed"
                    guard fixture.cpu.completion != nil else { break drive }
                    if converts, case .mapRange = exit { _ = responder.respond(to: exit, of: fixture.cpu) }
                    guard let after = fixture.resume(Self.reply(exit, &random)) else { break drive }
                    next = after
                }
            }
            #expect(steps < 8300, "round \(round) does not end")
            fixture.cpu.state = .runnable
            fixture.cpu.eventInjection = .none
            fixture.cpu.ghcbState.registered = fixture.ghcb.frame
            answers[last, default: 0] += 1
            let found = fixture.page
            if case .resume = next { answers["\(found[.exitInfo1])/\(min(found[.exitInfo2], 7))", default: 0] += 1 }
            // A conversion of the page itself may have given its memory back, and the guest may point answers at it.
            if !converts, !pointsAtItself(page, fixture) {
                for range in Self.theGuests where found.bytes[range] != page.bytes[range] {
                    Issue.record("round \(round): \(range) changed, \(ExitCode(page[.exitCode]))")
                }
            }
            if round % 500 == 0 { #expect(fixture.guest.violations == [], "round \(round)") }
        }
        #expect(fixture.guest.violations == [])
        #expect(fixture.vm.causeOfDeath == nil)
        // The generator reaches what it is meant to reach.
        for kind in ["2/2", "2/3", "2/4", "2/5", "2/6", "0/0", "1/7", "2", "3", "6", "24"] {
            #expect(answers[kind, default: 0] > 0, "\(kind): \(answers)")
        }
    }

    /// Guest requests answer wherever the guest says, the GHCB not excepted, and so does a scratch area that may lie anywhere.
    private func pointsAtItself(_ page: GHCBPage, _ fixture: GHCBFixture) -> Bool {
        switch ExitCode(page[.exitCode]) {
        case .guestRequest, .extendedGuestRequest:
            [.exitInfo2, .rax].contains { GPA(page[$0]).frame == fixture.ghcb.frame }
        default:
            fixture.vm.personality.allowsScratchAnywhere && GPA(page[.scratch]).frame != fixture.ghcb.frame
        }
    }

    @Test("a scratch area is refused unless it lies in the shared buffer", arguments: [ExitCode.mmioRead, .mmioWrite])
    func scratchEverywhere(_ code: ExitCode) throws {
        let fixture = try GHCBFixture(.kvm2026)
        let ghcb = fixture.ghcb.rawValue
        let starts: [UInt64] = [
            0, 1, ghcb - 1, ghcb, ghcb + 0x1f8, ghcb + 0x390, ghcb + 0x3f0, ghcb + 0x7ff, ghcb + 0x800, ghcb + 0x801,
            ghcb + 0xfe8, ghcb + 0xfef, ghcb + 0xff0, ghcb + 0xffa, ghcb + 0xfff, ghcb + 0x1000, ghcb + 0x1800,
            0xff00_0000, 1 << 51, .max - 7, .max,
        ]
        let lengths: [UInt64] = [
            1, 2, 8, 9, 0x10, 0x7ef, 0x7f0, 0x7f1, 0x1000, 0x10000, 0x10001, 1 << 31, 1 << 32, 1 << 63, .max - ghcb,
            .max,
        ]
        for start in starts {
            for length in lengths {
                let page = GHCBFixture.page(code, 0xfec0_0000, length, [.scratch: start])
                let first = fixture.send(page)
                let (end, wraps) = start.addingReportingOverflow(length)
                let isAllowed = !wraps && start >= ghcb + 0x800 && end <= ghcb + 0xff0
                let label: Comment = "\(hex(start)) + \(hex(length))"
                if isAllowed {
                    #expect(fixture.trace(first).count == (Int(length) + 7) / 8, label)
                    #expect(fixture.page[.exitInfo1] == 0, label)
                } else {
                    #expect(fixture.trace(first).isEmpty, label)
                    #expect(fixture.page[.exitInfo1] == 2 && fixture.page[.exitInfo2] == 3, label)
                }
                #expect(Array(fixture.page.bytes[0xff0...]) == Array(page.bytes[0xff0...]), label)
                #expect(Array(fixture.page.bytes[0x400..<0x800]) == Array(page.bytes[0x400..<0x800]), label)
            }
        }
    }

    @Test("elsewhere, Linux before the hardening takes up to 16 pages, and copies them")
    func scratchElsewhere() throws {
        let fixture = try GHCBFixture(.kvm)
        let start = (fixture.base + 8).address
        try fixture.vm.writeShared([1, 2, 3, 4, 5, 6, 7, 8, 9], at: start + 4090)
        let write = GHCBFixture.page(.mmioWrite, 0xfec0_0000, 9, [.scratch: start.rawValue + 4090])
        #expect(
            fixture.trace(fixture.send(write)) == [
                "mmio(0xfec00000,w,8,0102030405060708)", "mmio(0xfec00008,w,1,09)",
            ])
        let read = GHCBFixture.page(.mmioRead, 0xfec0_0000, 3, [.scratch: start.rawValue + 4095])
        _ = fixture.trace(fixture.send(read))
        #expect(try fixture.vm.readShared(start + 4094, count: 5) == [5, 0xa1, 0xa2, 0xa3, 9])
        for (length, isAllowed) in [(65_536, true), (65_537, false)] as [(UInt64, Bool)] {
            let page = GHCBFixture.page(.mmioRead, 0xfec0_0000, length, [.scratch: start.rawValue])
            guard case .exit = fixture.send(page) else {
                #expect(!isAllowed && fixture.page[.exitInfo2] == 3)
                continue
            }
            #expect(isAllowed)
            fixture.cpu.completion = nil
        }
        // The end of memory: nothing is there to copy.
        let end = (fixture.base + 2048).address.rawValue
        _ = fixture.send(GHCBFixture.page(.mmioWrite, 0xfec0_0000, 16, [.scratch: end - 8]))
        #expect(fixture.page[.exitInfo1] == 2 && fixture.page[.exitInfo2] == 3)
    }

    @Test("what the guest writes while user space works changes nothing: header, entries, scratch, code, infos")
    func changesDuringExit() throws {
        let fixture = try GHCBFixture()
        var page = GHCBFixture.page(.pageStateChange, 0, 0, [.scratch: fixture.ghcb.rawValue + 0x800])
        let header = PageStateChangeHeader(currentEntry: 0, endEntry: 1)
        let entries = [
            PageStateChangeEntry(fixture.base + 9, .makePrivate), PageStateChangeEntry(fixture.base + 20, .makeShared),
        ]
        page.store(
            ([header.rawValue] + entries.map(\.rawValue)).flatMap { word in
                (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
            })
        let expected = ["map(\(fixture.base + 9)+1,private,4K)", "map(\(fixture.base + 20)+1,shared,4K)"]
        #expect(fixture.trace(fixture.send(page)) == expected)
        var found: [String] = []
        var next = fixture.send(page)
        while case .exit(let exit) = next {
            found += ["\(exit)"]
            // Everything at once, all ones.
            try fixture.vm.writeShared([UInt8](repeating: 0xff, count: 4096), at: fixture.ghcb)
            next = try #require(fixture.resume(.result(0)))
        }
        #expect(found.count == 2)
        #expect(found[0].contains("private") && found[1].contains("shared"))
        let after = fixture.page
        #expect(after[.exitInfo1] == 0 && after[.exitInfo2] == 0)
        #expect(after.bytes[0x800] == 2 && after.bytes[0x801] == 0, "the host's own count of entries")
        #expect(after.bytes[0x802] == 0xff, "the rest of the header is the guest's")
        #expect(quadword(after, 0x810) == entries[1].rawValue | 1, "the entry is the host's copy, with its page done")
    }

    private func quadword(_ page: GHCBPage, _ offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(page.bytes[offset + $1]) << UInt64(8 * $1) }
    }

    @Test("a page that changes while the host handles it is answered as one of its two versions, under every schedule")
    func changesUnderTheHandler() throws {
        let shared = try EmulatedHost()
        for seed in TestScale.seeds(150) {
            let fixture = try GHCBFixture(on: shared)
            func request(_ code: ExitCode, _ gfn: GFN) -> GHCBPage {
                var page = GHCBFixture.page(code, 0, 0, [.scratch: fixture.ghcb.rawValue + 0x800])
                let words = [0, PageStateChangeEntry(gfn, .makePrivate).rawValue]
                page.store(words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } })
                return page
            }
            let good = request(.pageStateChange, fixture.base + 9)
            // With the one's code and the other's buffer, user space would be asked for this page.
            let bad = request(.hypervisorFeatures, fixture.base + 77)
            fixture.page = good
            let explorer = Explorer(seed: seed, maximumSteps: 10_000)
            let outcome = Box<[String]>([])
            explorer.spawn("vCPU") {
                fixture.cpu.ghcb = fixture.ghcb.rawValue
                outcome.value = fixture.trace(fixture.cpu.handleVMGEXIT(of: fixture.vm))
            }
            explorer.spawn("attacker") {
                for page in [bad, good, bad] { try fixture.vm.writeShared(page.bytes, at: fixture.ghcb) }
            }
            #expect(explorer.run() == .completed)
            let steps = outcome.value
            #expect(steps.isEmpty || steps == ["map(\(fixture.base + 9)+1,private,4K)"], "seed \(seed): \(steps)")
            #expect(fixture.guest.violations == [])
        }
    }
}

/// A value that closures share.
final class Box<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}
