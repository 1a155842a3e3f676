// The TLB against walks: never stale after an RMP change or after zap and flush, and really a cache otherwise.

import Machine
import SNPArchitecture
import Scheduling
import Testing

@Suite("Nested TLB")
struct NestedTLBTests {
    @Test(
        "A cached translation outlives a zap until a flush: of all, of the ASID, of any frame of the page, of the epoch"
    )
    func zapNeedsFlush() throws {
        let flushes: [(String, (AccessFixture) -> Void)] = [
            ("all", { $0.guest.tlb.flush() }),
            ("ASID", { $0.guest.tlb.flush(AccessFixture.asid) }),
            ("frame", { $0.guest.tlb.flush($0.gpa.frame, of: AccessFixture.asid) }),
            ("neighbour in the page", { $0.guest.tlb.flush($0.gpa.frame + 100, of: AccessFixture.asid) }),
            ("epoch", { $0.base.epochs.flush(AccessFixture.asid) }),
        ]
        for (name, flush) in flushes {
            let fixture = try AccessFixture(mapping: "2M", rmp: "own-2m", vmpl: .vmpl0, privilege: .supervisor)
            let found = try fixture.guest.translate(fixture.gpa, .read, .private)
            fixture.nested.zap(0..<PageTable.frameCount)
            #expect(
                try fixture.guest.translate(fixture.gpa, .read, .private) == found,
                "still cached before the flush: \(name)")
            fixture.guest.tlb.flush(ASID(6))
            fixture.guest.tlb.flush(fixture.gpa.frame + 512, of: AccessFixture.asid)
            fixture.base.epochs.flush(ASID(6))
            #expect(
                try fixture.guest.translate(fixture.gpa, .read, .private) == found, "a flush of something else: \(name)"
            )
            flush(fixture)
            #expect(throws: GuestFault.self, "flushed: \(name)") {
                try fixture.guest.translate(fixture.gpa, .read, .private)
            }
        }
    }

    @Test("Every instruction that changes the RMP ends a cached translation without a flush")
    func rmpChangesEndTranslations() throws {
        let page = { (f: AccessFixture) in GuestPage(gpa: f.gpa, pfn: f.pfn, level: .level4K) }
        let changes: [(String, (AccessFixture) throws -> Void)] = [
            ("RMPUPDATE", { try $0.base.rmp.rmpUpdate($0.pfn.address, to: .shared(.size4K)) }),
            (
                "PVALIDATE",
                {
                    _ = try $0.base.rmp.pvalidate(
                        page($0), size: .size4K, validate: false, asid: AccessFixture.asid, vmpl: .vmpl0)
                }
            ),
            (
                "RMPADJUST",
                {
                    try $0.base.rmp.rmpAdjust(
                        page($0), size: .size4K, target: .vmpl2, permissions: [], vmsa: false, asid: AccessFixture.asid,
                        vmpl: .vmpl0)
                }
            ),
            ("firmware", { $0.base.rmp.firmwareWrite($0.pfn, RMPEntry(assigned: true, immutable: true)) }),
        ]
        for (name, change) in changes {
            let vmpl: VMPL = name == "RMPADJUST" ? .vmpl2 : .vmpl0
            let state = name == "RMPADJUST" ? "own-4k-vmpl2-rw" : "own-4k"
            let fixture = try AccessFixture(mapping: "4K", rmp: state, vmpl: vmpl, privilege: .supervisor)
            _ = try fixture.guest.translate(fixture.gpa, .write, .private)
            try change(fixture)
            #expect(throws: GuestFault.self, "after \(name)") {
                try fixture.guest.translate(fixture.gpa, .write, .private)
            }
        }
    }

    @Test("Translations of another ASID, VMPL, C-bit or privilege are not used")
    func tags() throws {
        let fixture = try AccessFixture(mapping: "4K", rmp: "own-4k-vmpl2-ru", vmpl: .vmpl0, privilege: .supervisor)
        _ = try fixture.guest.translate(fixture.gpa, .write, .private)
        #expect(throws: GuestFault.self) { try fixture.guest.translate(fixture.gpa, .write, .shared) }
        fixture.guest.context.vmpl = .vmpl2
        #expect(throws: GuestFault.self) { try fixture.guest.translate(fixture.gpa, .write, .private) }
        fixture.guest.privilege = .user
        _ = try fixture.guest.translate(fixture.gpa, .execute, .private)
        fixture.guest.privilege = .supervisor
        #expect(throws: GuestFault.self) { try fixture.guest.translate(fixture.gpa, .execute, .private) }
        fixture.guest.context.vmpl = .vmpl0
        fixture.guest.context.asid = ASID(6)
        #expect(throws: GuestFault.self) { try fixture.guest.translate(fixture.gpa, .write, .private) }
    }

    @Test("After random changes a warm TLB and a cold one give the same answer", arguments: UInt64(1)...6)
    func warmEqualsCold(seed: UInt64) throws {
        var random = EntropySource(seed: seed)
        let base = try TableFixture()
        let table = try base.makeTable()
        let context = RunningGuest(
            asid: ASID(1), vmpl: .vmpl0, nestedRoot: table.root,
            key: base.memory.encryption.installKey([UInt8](repeating: 1, count: 16), for: ASID(1)))
        let warm = GuestAccess(memory: base.memory, rmp: base.rmp, epochs: base.epochs, context: context)
        var answers: [String: Int] = [:]
        // Two 2 MiB regions of guest memory over three of DRAM.
        for _ in 0..<300 {
            let pfn = PFN(0x4000 + UInt64.random(in: 0..<1536, using: &random) & ~0x7f)
            let gfn = GFN(UInt64.random(in: 0..<1024, using: &random) & ~0x7f)
            let size: PageSize = Bool.random(using: &random) ? .size2M : .size4K
            let page = GuestPage(gpa: gfn.address, pfn: pfn, level: size == .size2M ? .level2M : .level4K)
            switch Int.random(in: 0..<10, using: &random) {
            case 0...1:
                try? base.rmp.rmpUpdate(
                    pfn.aligned(down: size).address, to: .guest(ASID(1), at: gfn.aligned(down: size).address, size))
            case 2: try? base.rmp.rmpUpdate(pfn.aligned(down: size).address, to: .shared(size))
            case 3: try? base.rmp.psmash(pfn.aligned(down: .size2M).address)
            case 4:
                _ = try? base.rmp.pvalidate(
                    page, size: size, validate: Bool.random(using: &random), asid: ASID(1), vmpl: .vmpl0)
            case 5...6:
                let level: PageLevel = size == .size2M ? .level2M : .level4K
                table.zap(gfn.aligned(down: size).rawValue..<gfn.aligned(down: size).rawValue + level.pageCount)
                try? table.map(
                    gfn.aligned(down: size).rawValue, to: pfn.aligned(down: size), level: level, flags: .guest)
                base.epochs.flush(ASID(1))
            case 7:
                try table.split(gfn.rawValue, to: .level4K)
                base.epochs.flush(ASID(1))
            case _:
                // Owned, mapped and validated as it should be, so that accesses succeed too.
                guard let mapping = table.lookup(gfn.rawValue), mapping.level.rmpSize == size else { break }
                let head = mapping.pfn.aligned(down: size)
                try? base.rmp.rmpUpdate(head.address, to: .guest(ASID(1), at: gfn.aligned(down: size).address, size))
                let owned = GuestPage(gpa: gfn.aligned(down: size).address, pfn: head, level: mapping.level)
                _ = try? base.rmp.pvalidate(owned, size: size, validate: true, asid: ASID(1), vmpl: .vmpl0)
            }
            let cold = GuestAccess(memory: base.memory, rmp: base.rmp, epochs: base.epochs, context: context)
            for probe in stride(from: UInt64(0), to: 1024, by: 128) {
                for cBit in CBit.allCases {
                    let kind: AccessKind = Bool.random(using: &random) ? .read : .write
                    let a = answer(warm, GFN(probe), kind, cBit)
                    let b = answer(cold, GFN(probe), kind, cBit)
                    #expect(a == b, "at \(GFN(probe)) \(kind) \(cBit)")
                    answers[String(a.prefix(5)), default: 0] += 1
                }
            }
        }
        #expect(answers.count >= 3 && (answers["page "] ?? 0) > 60, "reached: \(answers)")
    }

    private func answer(_ guest: GuestAccess, _ gfn: GFN, _ kind: AccessKind, _ cBit: CBit) -> String {
        do throws(GuestFault) {
            let found = try guest.translate(gfn.address, kind, cBit)
            return "page \(found.pfn) \(found.level)"
        } catch {
            switch error {
            case .nestedPageFault(_, let bits): return AccessResult.describe("npf:", bits)
            case .pageNotValidated: return "vc"
            }
        }
    }
}
