// Paging of whole 2 MiB pages and of metadata: every byte counts, not only the first 4 KiB.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Paging of large pages and of metadata")
struct PagingContentTests {
    private static let context = TestPage.context.address

    private static func set(_ platform: TestPlatform, _ pfn: PFN, _ state: PageState, _ size: PageSize = .size2M) {
        platform.machine.rmp.firmwareWrite(pfn, CrossProductScenario.entry(state, size))
    }

    @Test("PAGE_MD_INIT clears all of a 2M page under the firmware's key")
    func largeMetadata() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        Self.set(platform, TestPage.operand, .firmware)
        let last = (TestPage.operand + 511).address
        platform.machine.memory.store(patternPage, at: last)
        try platform.require(platform.run(PageMDInitBuffer(context: Self.context, page: TestPage.operand.address)))
        let key = platform.firmware.withFirmware { $0.contextKey }
        #expect(platform.machine.memory.bytes(last, count: 4096, key: key).allSatisfy { $0 == 0 })
        #expect(platform.machine.memory.bytes(last, count: 4096) != patternPage)
    }

    @Test("a 2M page goes out and comes back whole, and a change of its last byte is refused")
    func largeSwap() throws {
        let platform = try TestPlatform()
        let memory = platform.machine.memory
        try platform.makeGuest()
        let (source, sealed, holder) = (TestPage.operand, TestPage.second, TestPage.third.address)
        try platform.makeFirmware(TestPage.third)
        try platform.require(platform.run(PageMDInitBuffer(context: Self.context, page: holder)))
        Self.set(platform, source, .preSwap)
        Self.set(platform, sealed, .firmware)
        let key = try #require(memory.encryption.key(for: ASID(5)))
        let marked = [0, 1, 511] as [UInt64]
        for index in marked {
            memory.store(patternPage.replacing(3, UInt8(index & 0xff)), at: (source + index).address, key: key)
        }
        var out = PageSwapOutBuffer(
            context: Self.context, source: source.address, destination: sealed.address, metadata: holder)
        out.pageSize = .size2M
        try platform.require(platform.run(out))
        var into = PageSwapInBuffer(
            context: Self.context, source: sealed.address, destination: source.address, metadata: holder)
        into.pageSize = .size2M
        for index in marked { memory.store([UInt8](repeating: 0, count: 4096), at: (source + index).address, key: key) }
        let tail = (sealed + 511).address + 4095
        let byte = memory.bytes(tail, count: 1)
        memory.store([byte[0] ^ 1], at: tail)
        #expect(platform.run(into) == .badMeasurement)
        memory.store(byte, at: tail)
        #expect(platform.run(into) == .success)
        for index in marked {
            let found = memory.bytes((source + index).address, count: 4096, key: key)
            #expect(found == patternPage.replacing(3, UInt8(index & 0xff)), "4K page \(index)")
        }
        #expect(platform.machine.rmp.entry(source).state == .preSwap)
    }

    @Test("a metadata entry anywhere inside a 2M source or destination is refused")
    func overlap() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        Self.set(platform, TestPage.operand, .preGuest)
        Self.set(platform, TestPage.second, .firmware)
        for inside in [TestPage.operand, TestPage.second] {
            for index in [0, 1, 511] as [UInt64] {
                Self.set(platform, TestPage.third, .metadata, .size4K)
                var out = PageSwapOutBuffer(
                    context: Self.context, source: TestPage.operand.address, destination: TestPage.second.address,
                    metadata: (inside + index).address)
                out.pageSize = .size2M
                #expect(platform.run(out) == .invalidParam)
                out.metadata = TestPage.third.address
                #expect(platform.run(out) != .invalidParam)
                Self.set(platform, TestPage.operand, .preGuest)
            }
        }
    }

    @Test("PAGE_MOVE takes the entries of a metadata page along")
    func moveMetadata() throws {
        let platform = try PagingTests.platform()
        try platform.require(platform.run(PagingTests.out()))
        try platform.makeFirmware(TestPage.large)
        try platform.require(
            platform.run(
                PageMoveBuffer(
                    context: Self.context, source: TestPage.agent.address, destination: TestPage.large.address)))
        var back = PagingTests.into(TestPage.page)
        back.metadata = TestPage.large.address + 0x80
        #expect(platform.run(back) == .success)
    }

    @Test("a reclaimed metadata page keeps nothing of firmware's tag")
    func reclaimedTag() throws {
        let platform = try PagingTests.platform()
        try platform.require(platform.run(PageReclaimBuffer(page: TestPage.agent.address)))
        #expect(platform.machine.rmp.entry(TestPage.agent).gfn.rawValue == TestPage.context.rawValue)
    }
}
