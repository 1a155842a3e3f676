// What the guest finds in a launched page, and what the host sees of it.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Launched pages")
struct LaunchContentTests {
    let platform: TestPlatform
    let key: KeyID

    init() throws {
        platform = try TestPlatform()
        try platform.makeGuest {
            $0.gosvw = [UInt8](1...16)
            $0.desiredTSCKilohertz = 2_000_000
        }
        key = try #require(platform.machine.encryption.key(for: ASID(5)))
    }

    private func guestBytes(_ pfn: PFN = TestPage.page) -> [UInt8] {
        platform.machine.memory.bytes(pfn.address, count: 4096, key: key)
    }
    private func quadword(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }

    @Test("data is the guest's plaintext and the host's ciphertext", arguments: [PageType.normal, .unmeasured])
    func data(_ type: PageType) throws {
        #expect(try platform.load(type, patternPage, at: GPA(0x1000)) == .success)
        #expect(guestBytes() == patternPage)
        let seen = platform.machine.memory.bytes(TestPage.page.address, count: 4096)
        #expect(seen != patternPage && Set(seen).count > 200)
        let entry = platform.machine.rmp.entry(TestPage.page)
        #expect(entry.state == .guestValid && entry.gfn == GFN(1) && entry.asid == ASID(5) && !entry.vmsa)
        #expect(entry.permissions == .initial)
    }

    @Test("a ZERO page is zeros, whatever the host had written")
    func zero() throws {
        #expect(try platform.load(.zero, patternPage, at: GPA(0x1000)) == .success)
        #expect(guestBytes() == [UInt8](repeating: 0, count: 4096))
    }

    @Test("a frame that held another guest's page is loaded as the ciphertext that the host sees")
    func foreignFrame() throws {
        let memory = platform.machine.memory
        let other = platform.machine.encryption.installKey([UInt8](repeating: 9, count: 16), for: ASID(50))
        memory.store(patternPage, at: TestPage.page.address, key: other)
        let seen = memory.bytes(TestPage.page.address, count: 4096)
        #expect(try platform.load(.normal, at: GPA(0x1000)) == .success)
        #expect(guestBytes() == seen && seen != patternPage)
    }

    @Test("the secrets page has the version, signature, workarounds, four different keys, bitmap and TSC factor")
    func secrets() throws {
        #expect(try platform.load(.secrets, patternPage, at: GPA(0x1000)) == .success)
        let bytes = guestBytes()
        let page = SecretsPage(decoding: bytes)
        #expect(page.version == 3 && page.fms == platform.machine.configuration.product.signature)
        #expect(page.gosvw == [UInt8](1...16) && page.tscFactor == 200 && !page.initialMigrationImage)
        #expect(Set(page.vmpck).count == 4 && page.vmpck.allSatisfy { Set($0).count > 8 })
        #expect(page.vmsaTweakBitmap.count == 64 && page.vmsaTweakBitmap[12] == 0xee && page.vmsaTweakBitmap[63] == 0)
        #expect(page.encoded == bytes)
    }

    @Test("a VMSA starts with its two fixed quadwords and no TSC fields unless SecureTSC is on")
    func vmsa() throws {
        var bytes = LaunchDigestTests.vmsa
        for index in 0x2f0..<0x300 { bytes[index] = 0x55 }
        for index in 0x380..<0x390 { bytes[index] = 0x77 }
        #expect(try platform.load(.vmsa, bytes, at: VMSA.measuredGPA) == .success)
        let after = guestBytes()
        var expected = bytes
        for index in 0x380..<0x388 { expected[index] = 0 }
        for index in 0x388..<0x390 { expected[index] = 0xff }
        #expect(after == expected)
        let entry = platform.machine.rmp.entry(TestPage.page)
        #expect(entry.vmsa && entry.state == .guestValid)
    }

    @Test("SecureTSC: the scale is 8.32 fixed point of the wanted frequency, rounded up, and the offset is zero")
    func secureTSC() throws {
        var bytes = LaunchDigestTests.vmsa
        for index in 0x2f0..<0x300 { bytes[index] = 0x55 }
        bytes[0x3b1] |= 2
        #expect(try platform.load(.vmsa, bytes, at: VMSA.measuredGPA) == .success)
        let after = guestBytes()
        #expect(quadword(after, 0x2f0) == (2_000_000 << 32 + 99_799) / 99_800 && quadword(after, 0x2f8) == 0)
        #expect(TSC.scale(desiredKilohertz: 99_800) == 1 << 32 && TSC.scale(desiredKilohertz: 1) == 43_036)
        #expect(TSC.scale(desiredKilohertz: .max) > 1 << 47 && TSC.scale(desiredKilohertz: 0) == 0)
    }

    @Test("register protection: the quadwords of the bitmap are XORed with a nonce that the VMSA keeps")
    func registerProtection() throws {
        var bytes = LaunchDigestTests.vmsa
        bytes[0x3b1] |= 0x40
        #expect(try platform.load(.vmsa, bytes, at: VMSA.measuredGPA) == .success)
        let after = guestBytes()
        let nonce = quadword(after, 0x300)
        #expect(nonce != 0)
        var changed = 0
        for index in 0..<512 where index * 8 != 0x300 && index * 8 != 0x388 {
            let covered = VMSAFixUp.tweakBitmap[index / 8] >> UInt8(index % 8) & 1 == 1
            #expect(
                quadword(after, index * 8) == quadword(bytes, index * 8) ^ (covered ? nonce : 0), "quadword \(index)")
            changed += covered ? 1 : 0
        }
        #expect(changed > 200)
    }

    @Test("two guests have different keys, report identifiers and message keys; a second run has the same")
    func entropy() throws {
        func material(_ context: PFN, _ platform: TestPlatform) -> [[UInt8]] {
            platform.firmware.withFirmware { firmware in
                let guest = firmware.guests[context]
                return [guest?.vek ?? [], guest?.reportID ?? [], guest?.oek ?? [], guest?.vmrk ?? []]
                    + (guest?.vmpck ?? [])
            }
        }
        var runs: [[[UInt8]]] = []
        for _ in 0..<2 {
            let platform = try TestPlatform()
            try platform.makeGuest()
            try platform.makeGuest(TestPage.agent, asid: ASID(6))
            let both = material(TestPage.context, platform) + material(TestPage.agent, platform)
            #expect(Set(both).count == 16 && both.allSatisfy { $0.count >= 16 })
            runs.append(both)
        }
        #expect(runs[0] == runs[1])
    }

    @Test("the host reads ciphertext in a guest context page, before and after its end")
    func contextPage() throws {
        func seen() -> [UInt8] { platform.machine.memory.bytes(TestPage.context.address, count: 4096) }
        #expect(Set(seen()).count > 200)
        try platform.require(platform.run(DecommissionBuffer(context: TestPage.context.address)))
        try platform.require(platform.run(PageReclaimBuffer(page: TestPage.context.address)))
        #expect(Set(seen()).count > 200)
        #expect(platform.guest == nil)
    }
}
