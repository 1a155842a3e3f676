// Moving pages, and swapping them out and in: contents, states and what the host cannot do with them.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Paging")
struct PagingTests {
    static let metadata = TestPage.agent.address + 0x80

    /// A guest with a loaded page that the host holds again, and a page of metadata.
    static func platform(_ type: PageType = .normal, _ bytes: [UInt8] = patternPage) throws -> TestPlatform {
        let platform = try TestPlatform()
        try platform.makeGuest()
        try platform.require(platform.load(type, bytes, at: GPA(0x1000)) { $0[.vmpl2] = .read })
        platform.setEntry(TestPage.page) { $0.immutable = true }
        for pfn in [TestPage.agent, TestPage.status] { try platform.makeFirmware(pfn) }
        try platform.require(
            platform.run(PageMDInitBuffer(context: TestPage.context.address, page: TestPage.agent.address)))
        return platform
    }

    static func out(_ type: UInt8 = 0) -> PageSwapOutBuffer {
        var buffer = PageSwapOutBuffer(
            context: TestPage.context.address, source: TestPage.page.address, destination: TestPage.status.address,
            metadata: metadata)
        buffer.pageType = type
        return buffer
    }

    static func into(_ pfn: PFN, _ type: UInt8 = 0) -> PageSwapInBuffer {
        var buffer = PageSwapInBuffer(
            context: TestPage.context.address, source: TestPage.status.address, destination: pfn.address,
            metadata: metadata)
        buffer.pageType = type
        return buffer
    }

    @Test("what goes out sealed comes back at another frame with address, permissions and validation")
    func roundTrip() throws {
        let platform = try Self.platform()
        let memory = platform.machine.memory
        let old = platform.machine.rmp.entry(TestPage.page)
        try platform.require(platform.run(Self.out()))
        #expect(platform.machine.rmp.entry(TestPage.page).state == .preGuest)
        #expect(memory.bytes(TestPage.status.address, count: 4096) != patternPage)
        try platform.assign(TestPage.large, ASID(5), at: GPA(0x9000))
        #expect(platform.run(Self.into(TestPage.large)) == .success)
        let key = try #require(memory.encryption.key(for: ASID(5)))
        #expect(memory.bytes(TestPage.large.address, count: 4096, key: key) == patternPage)
        let new = platform.machine.rmp.entry(TestPage.large)
        #expect(new.state == .preSwap && new.gfn == old.gfn && new.permissions == old.permissions && !new.vmsa)
        #expect(platform.run(Self.into(TestPage.large)) == .invalidMetadataEntry, "once only")
    }

    @Test("a changed copy, or an older one, is refused by its tag")
    func replay() throws {
        let platform = try Self.platform()
        let memory = platform.machine.memory
        try platform.require(platform.run(Self.out()))
        let first = memory.bytes(TestPage.status.address, count: 4096)
        memory.store(first.replacing(77, first[77] ^ 1), at: TestPage.status.address)
        #expect(platform.run(Self.into(TestPage.page)) == .badMeasurement)
        memory.store(first, at: TestPage.status.address)
        try platform.require(platform.run(Self.into(TestPage.page)))
        try platform.require(platform.run(Self.out()))
        #expect(memory.bytes(TestPage.status.address, count: 4096) != first, "another nonce")
        memory.store(first, at: TestPage.status.address)
        #expect(platform.run(Self.into(TestPage.page)) == .badMeasurement)
    }

    @Test("a page can come back in place")
    func inPlace() throws {
        let platform = try Self.platform()
        let memory = platform.machine.memory
        try platform.require(platform.run(Self.out()))
        memory.store(memory.bytes(TestPage.status.address, count: 4096), at: TestPage.page.address)
        var back = Self.into(TestPage.page)
        back.source = TestPage.page.address
        back.isInPlace = true
        #expect(platform.run(back) == .success)
        let key = try #require(memory.encryption.key(for: ASID(5)))
        #expect(memory.bytes(TestPage.page.address, count: 4096, key: key) == patternPage)
    }

    @Test("a VMSA comes back as a VMSA, not in place, and not as data")
    func vmsa() throws {
        let platform = try Self.platform(.vmsa, [UInt8](repeating: 0, count: 4096))
        try platform.require(platform.run(Self.out(2)))
        #expect(platform.run(Self.into(TestPage.page, 0)) == .invalidMetadataEntry)
        var inPlace = Self.into(TestPage.page, 2)
        inPlace.isInPlace = true
        #expect(platform.run(inPlace) == .invalidParam)
        platform.setEntry(TestPage.page) { $0.vmsa = false }
        #expect(platform.run(Self.into(TestPage.page, 2)) == .success)
        #expect(platform.machine.rmp.entry(TestPage.page).vmsa)
    }

    @Test("a page of metadata goes out to the root entry and comes back with its entries")
    func metadataPage() throws {
        let platform = try Self.platform()
        let sealed = TestPage.large
        try platform.require(platform.run(Self.out()))
        try platform.makeFirmware(sealed)
        var out = PageSwapOutBuffer(
            context: TestPage.context.address, source: TestPage.agent.address, destination: sealed.address,
            metadata: SPA(0))
        (out.pageType, out.usesRootEntry) = (1, true)
        try platform.require(platform.run(out))
        #expect(platform.machine.rmp.entry(TestPage.agent).state == .firmware)
        #expect(platform.run(Self.into(TestPage.page)) == .invalidPageState, "the entry is away")
        var back = PageSwapInBuffer(
            context: TestPage.context.address, source: sealed.address, destination: TestPage.agent.address,
            metadata: SPA(0))
        (back.pageType, back.usesRootEntry) = (1, true)
        try platform.require(platform.run(back))
        #expect(platform.run(Self.into(TestPage.page)) == .success)
    }

    @Test("PAGE_MOVE takes contents and properties along: Pre-Swap to Guest-Valid, Metadata to Metadata")
    func move() throws {
        let platform = try Self.platform()
        let memory = platform.machine.memory
        let old = platform.machine.rmp.entry(TestPage.page)
        try platform.assign(TestPage.large, ASID(5), at: GPA(0x9000))
        let context = TestPage.context.address
        try platform.require(
            platform.run(
                PageMoveBuffer(
                    context: context, source: TestPage.page.address, destination: TestPage.large.address)))
        let new = platform.machine.rmp.entry(TestPage.large)
        #expect(new.state == .guestValid && new.gfn == old.gfn && new.permissions == old.permissions)
        #expect(platform.machine.rmp.entry(TestPage.page).state == .guestInvalid)
        let key = try #require(memory.encryption.key(for: ASID(5)))
        #expect(memory.bytes(TestPage.large.address, count: 4096, key: key) == patternPage)
        try platform.require(
            platform.run(
                PageMoveBuffer(
                    context: context, source: TestPage.agent.address, destination: TestPage.status.address)))
        #expect(platform.machine.rmp.entry(TestPage.status).state == .metadata)
        #expect(platform.machine.rmp.entry(TestPage.agent).state == .firmware)
    }
}
