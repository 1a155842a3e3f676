// The patch as posted breaks invariants on programs that the two correct policies run without one.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("The patch as posted")
struct AsPostedTests {
    /// A program that shows one defect: run on a guest, it may throw; what counts is what is true afterwards.
    struct Program: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var folioOrder: UInt8 = 9
        var offset: UInt64 = 0
        var isLarge = false
        let body: @Sendable (TestGuest) throws -> Void
    }

    static let programs: [Program] =
        (1...8 as ClosedRange<UInt8>).map { order in
            Program(testDescription: "a folio of order \(order)", folioOrder: order) {
                try $0.convert(0..<1024, to: .private)
            }
        } + [
            Program(testDescription: "a 1 GiB folio", folioOrder: 18, isLarge: true) {
                try $0.convert(0..<1 << 18, to: .private)
            },
            Program(testDescription: "a failure half-way to private") { guest in
                guest.rmp.fail(.rmpUpdate, calls: 2...2, with: .failPermission)
                try guest.convert(0..<1024, to: .private)
            },
            Program(testDescription: "a failure half-way to shared") { guest in
                try guest.convert(0..<1024, to: .private)
                guest.rmp.fail(.rmpUpdate, calls: 2...2, with: .failPermission)
                try guest.convert(0..<1024, to: .shared)
            },
            Program(testDescription: "a PSMASH that is in use once") { guest in
                try guest.convert(0..<512, to: .private)
                guest.rmp.fail(.psmash, calls: 1...1, with: .failInUse)
                try guest.convert(0..<5, to: .shared)
            },
            Program(testDescription: "guest and host frames that disagree modulo 2 MiB", offset: 512 - 256) { guest in
                try guest.convert(256..<768, to: .private)
            },
        ]

    private func violations(_ program: Program, _ policy: any ConversionPolicy) throws -> [InvariantViolation] {
        let guest = try TestGuest(
            pages: program.isLarge ? 1 << 18 : 1024, folioOrder: program.folioOrder,
            base: GFN((program.isLarge ? 1 << 18 : 0x1000) + program.offset), policy: policy,
            dramByteCount: program.isLarge ? 3 << 30 : 48 << 20)
        try guest.allocate(0..<guest.file.pageCount)
        try? program.body(guest)
        guest.rmp.injection.set(nil)
        return guest.violations
    }

    @Test("breaks invariant 7", arguments: programs)
    func asPosted(program: Program) throws {
        let found = try violations(program, AsPostedPolicy())
        #expect(!found.isEmpty && found.allSatisfy { $0.number == 7 }, "\(found)")
    }

    @Test("made right breaks none on the same program", arguments: programs)
    func madeRight(program: Program) throws {
        #expect(try violations(program, EagerPolicy()) == [])
        #expect(try violations(program, LazyPolicy()) == [])
    }

    @Test("leaves a large host mapping over 4K pages, so that the host faults on its own frame; made right it does not")
    func directMap() throws {
        for policy in [AsPostedPolicy(), EagerPolicy()] as [any ConversionPolicy] {
            // No page that SEV_INIT2 has given to firmware is in these 2 MiB.
            let guest = try TestGuest(policy: policy)
            try guest.allocate(0..<512)
            try guest.convert(0..<1, to: .private)
            let isWritable = (try? guest.host.write([1], at: guest.pfn(1).address)) != nil
            #expect(isWritable == (policy.name == "eager"))
        }
    }
}
