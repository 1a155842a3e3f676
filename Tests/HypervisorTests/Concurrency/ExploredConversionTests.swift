// Conversions against everything that may happen meanwhile, under hundreds of schedules each.

import Machine
import Rampart
import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

@Suite("Conversions under every schedule")
struct ExploredConversionTests {
    private func guest(_ policy: any ConversionPolicy, folioOrder: UInt8 = 9, on host: EmulatedHost? = nil) throws
        -> TestGuest
    {
        let guest = try TestGuest(
            pages: 1024, folioOrder: folioOrder, policy: policy, dramByteCount: 16 << 20, on: host)
        try guest.allocate(0..<(folioOrder == 9 ? 1024 : 8))
        return guest
    }

    private func policy(_ name: String) -> any ConversionPolicy { name == "eager" ? EagerPolicy() : LazyPolicy() }

    @Test("against private and shared faults around the range", arguments: ["eager", "lazy"])
    func faults(name: String) throws {
        try explore(TestScale.seeds(150)) { seed in
            let guest = try guest(policy(name))
            try guest.convert(0..<1024, to: .private)
            let run = ExploredRun(seed: seed, [guest])
            run.explorer.spawn("VMM") {
                try guest.convert(100..<200, to: .shared)
                try guest.convert(100..<200, to: .private)
            }
            run.touch("vCPU 0", guest, [0, 150, 700])
            run.touch("vCPU 1", guest, [511, 100, 0])
            return run
        }
    }

    @Test("against punching a hole in a 2 MiB page that faults map", arguments: ["eager", "lazy"])
    func punchHole(name: String) throws {
        try explore(TestScale.seeds(150)) { seed in
            let guest = try guest(policy(name))
            try guest.convert(0..<512, to: .private)
            let run = ExploredRun(seed: seed, [guest])
            run.explorer.spawn("VMM") { try guest.punchHole(100..<160) }
            run.explorer.spawn("VMM 2") {
                try guest.convert(512..<1024, to: .private)
                try guest.convert(120..<130, to: .shared)
            }
            run.touch("vCPU 0", guest, [0, 150])
            run.touch("vCPU 1", guest, [511, 700])
            return run
        }
    }

    @Test("against RMP faults that split the same 2M entry", arguments: ["eager", "lazy"])
    func rmpFaults(name: String) throws {
        try explore(TestScale.seeds(150)) { seed in
            let guest = try guest(policy(name))
            try guest.convert(0..<1024, to: .private)
            for page in [0, 512] as [UInt64] { #expect(guest.fault(page) == .resume) }
            let run = ExploredRun(seed: seed, [guest])
            run.explorer.spawn("VMM") {
                try guest.convert(100..<102, to: .shared)
                try guest.convert(512..<1024, to: .shared)
            }
            run.touch("vCPU 0", guest, [0, 700], rmpBit: true)
            run.touch("vCPU 1", guest, [100, 511], rmpBit: true)
            return run
        }
    }

    @Test("of two machines whose small folios share 2 MiB of host memory", arguments: ["eager", "lazy"])
    func twoMachines(name: String) throws {
        try explore(TestScale.seeds(150)) { seed in
            let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 16 << 20))
            let guests = try (0..<2).map { _ in try guest(policy(name), folioOrder: 0, on: emulated) }
            try guests[0].convert(0..<1, to: .private)
            let run = ExploredRun(seed: seed, guests)
            run.watched = [0, 1, 2]
            run.explorer.spawn("VMM 0") {
                try guests[0].convert(0..<1, to: .shared)
                try guests[0].punchHole(0..<1)
            }
            run.explorer.spawn("VMM 1") {
                try guests[1].convert(0..<2, to: .private)
                try guests[1].convert(0..<2, to: .shared)
            }
            run.touch("vCPU 0", guests[0], [0, 1])
            run.touch("vCPU 1", guests[1], [0, 1])
            return run
        }
    }

    @Test("of one machine from two threads: the last word per page stands, and both are told the truth")
    func twoThreads() throws {
        try explore(TestScale.seeds(100)) { seed in
            let guest = try guest(EagerPolicy())
            let run = ExploredRun(seed: seed, [guest])
            run.explorer.spawn("VMM 0") {
                try guest.convert(0..<600, to: .private)
                try guest.convert(50..<60, to: .shared)
            }
            run.explorer.spawn("VMM 1") {
                try guest.convert(500..<1024, to: .private)
                try guest.convert(0..<1, to: .shared)
            }
            run.touch("vCPU 0", guest, [0, 511, 700])
            return run
        }
    }

    @Test("of memory that is being destroyed")
    func destruction() throws {
        try explore(TestScale.seeds(100)) { seed in
            let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 16 << 20))
            let free = emulated.host.allocator.freeFrameCount
            let guest = try guest(LazyPolicy(), on: emulated)
            try guest.convert(0..<1024, to: .private)
            let run = ExploredRun(seed: seed, [guest])
            run.explorer.onSchedulePoint = nil
            run.checkEnd = {
                let found = emulated.host.allocator.freeFrameCount
                return emulated.host.checkInvariants(of: []).map(\.description)
                    + (found == free ? [] : ["\(found) frames are free, were \(free)"])
            }
            run.explorer.spawn("VMM") { guest.vm.destroy() }
            run.explorer.spawn("VMM 2") { _ = guest.convertFailure(3..<5, to: .shared) }
            run.explorer.spawn("vCPU") {
                for page in [0, 700] as [UInt64] { _ = guest.fault(page) }
            }
            return run
        }
    }

    @Test("A guest's own reads and writes through its TLB: what it stored in pages that stay private is what it reads")
    func guestData() throws {
        try explore(TestScale.seeds(60)) { seed in
            let guest = try guest(EagerPolicy())
            try guest.vm.snpLaunchStart(policy: .standard)
            try guest.convert(0..<1024, to: .private)
            for page in [0, 512] as [UInt64] {
                #expect(guest.fault(page) == .resume)
                _ = try guest.validate(page, .size2M)
            }
            let run = ExploredRun(seed: seed, [guest])
            run.explorer.spawn("VMM") {
                try guest.convert(100..<200, to: .shared)
                try guest.punchHole(700..<710)
            }
            for (name, page) in [("vCPU 0", 5), ("vCPU 1", 300)] as [(String, UInt64)] {
                run.explorer.spawn(name) {
                    guard let access = guest.vm.makeGuestAccess() else { return run.explorer.fail("no key") }
                    for round in 0..<3 as Range<UInt8> {
                        let bytes = [UInt8](repeating: round &+ UInt8(page & 0xff), count: 16)
                        try guest.run(page) { try access.store(bytes, at: (guest.base + page).address, .private) }
                        let read = try guest.run(page) {
                            try access.bytes((guest.base + page).address, count: 16, .private)
                        }
                        if read != bytes { run.explorer.fail("page \(page) reads \(read[0]), not \(bytes[0])") }
                    }
                }
            }
            return run
        }
    }
}

extension TestGuest {
    /// Does a guest access; nested page faults go to the hypervisor and the access starts again.
    func run<R>(_ page: UInt64, _ body: () throws -> R) throws -> R {
        while true {
            do { return try body() } catch GuestFault.nestedPageFault(let gpa, let error) {
                guard vm.handleNestedPageFault(gpa, error) == .resume else { throw Errno.badAddress }
            }
        }
    }
}
