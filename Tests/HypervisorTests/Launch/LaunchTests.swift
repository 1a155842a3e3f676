// Launch calls: what each refuses, what a launched page is, and that everything comes back.

import Machine
import Rampart
import SNPArchitecture
import Testing

@testable import Hypervisor

@Suite("Launch calls")
struct LaunchTests {
    private func guest(_ policy: any ConversionPolicy = EagerPolicy(), launching: Bool = true) throws -> TestGuest {
        let guest = try TestGuest(pages: 1024, policy: policy)
        try guest.allocate(0..<1024)
        guard launching else { return guest }
        try guest.vm.snpLaunchStart(policy: .standard)
        try guest.convert(0..<600, to: .private)
        return guest
    }

    private func update(
        _ guest: TestGuest, _ page: UInt64, _ source: [UInt8]?, count: UInt64 = 1, type: PageType = .normal
    ) -> (request: LaunchUpdateRequest, error: SEVCommandError?) {
        var request = LaunchUpdateRequest(
            gfn: guest.base + page, source: source.map { $0[...] }, byteCount: count << 12, type: type)
        do throws(SEVCommandError) {
            try guest.vm.snpLaunchUpdate(&request)
            return (request, nil)
        } catch { return (request, error) }
    }

    static func pattern(_ count: Int) -> [UInt8] {
        (0..<count * 4096).map { UInt8(truncatingIfNeeded: $0 / 4096 &+ $0 &* 7) }
    }

    @Test(
        "A launched page is the guest's, validated, and holds what was given; the host sees ciphertext",
        arguments: [true, false])
    func contents(isEager: Bool) throws {
        let guest = try guest(isEager ? EagerPolicy() : LazyPolicy())
        let bytes = Self.pattern(3)
        let (request, error) = update(guest, 10, bytes, count: 3)
        #expect(error == nil && request.byteCount == 0 && request.gfn == guest.base + 13 && request.source == [])
        for page in 10..<13 as Range<UInt64> {
            let entry = guest.entry(page)
            #expect(entry.state == .guestValid && entry.gfn == guest.base + page && entry.pageSize == .size4K)
            #expect(guest.level(page) == .level4K)
        }
        #expect(guest.entry(9).state == (isEager ? .guestInvalid : .hypervisor))
        let access = try #require(guest.vm.makeGuestAccess())
        let gpa = (guest.base + 10).address
        let read = try guest.run(10) { try access.bytes(gpa, count: bytes.count, .private) }
        #expect(read == bytes)
        #expect(try guest.host.access.bytes(guest.pfn(10).address, count: 4096) != Array(bytes[..<4096]))
        #expect(guest.violations == [])
    }

    @Test("Zero pages need no source and read as zero, also over old contents")
    func zero() throws {
        let guest = try guest()
        #expect(update(guest, 5, Self.pattern(2), count: 2, type: .zero).error == nil)
        let access = try #require(guest.vm.makeGuestAccess())
        #expect(
            try guest.run(5) { try access.bytes((guest.base + 5).address, count: 8192, .private) }.allSatisfy {
                $0 == 0
            })
        #expect(update(guest, 7, nil, type: .zero).error == nil)
        #expect(update(guest, 8, [1, 2, 3], count: 2, type: .zero).error == nil, "ignored, short or not")
        #expect(guest.violations == [])
    }

    @Test(
        "LAUNCH_UPDATE refuses with EINVAL: no context, flags, length, type, source, no slot, a shared page; nothing changes"
    )
    func updateRefusals() throws {
        let early = try guest(launching: false)
        #expect(update(early, 0, Self.pattern(1)).error == SEVCommandError(.invalidArgument))
        let guest = try guest()
        let before = guest.state
        let page = Self.pattern(1)
        var flagged = LaunchUpdateRequest(gfn: guest.base, source: page[...], byteCount: 4096, type: .normal)
        flagged.flags = 1
        #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.snpLaunchUpdate(&flagged) }
        for byteCount in [0, 1, 4097] as [UInt64] {
            var request = LaunchUpdateRequest(gfn: guest.base, source: page[...], byteCount: byteCount, type: .normal)
            #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.snpLaunchUpdate(&request) }
        }
        for type in [PageType.vmsa, PageType(rawValue: 0), PageType(rawValue: 7)] {
            #expect(update(guest, 0, page, type: type).error == SEVCommandError(.invalidArgument))
        }
        #expect(update(guest, 0, nil).error == SEVCommandError(.invalidArgument))
        #expect(update(guest, 0, page, count: 2).error == SEVCommandError(.invalidArgument), "a source of another size")
        #expect(update(guest, 1024, page).error == SEVCommandError(.invalidArgument), "no slot")
        #expect(update(guest, 1 << 40, page).error == SEVCommandError(.invalidArgument))
        #expect(update(guest, 600, page).error == SEVCommandError(.invalidArgument), "the page is shared")
        #expect(guest.state == before)
        #expect(guest.violations == [])
    }

    @Test(
        "A page that is launched already: EIO; what came before it in the same call stays launched and the request moves on"
    )
    func twice() throws {
        let guest = try guest()
        #expect(update(guest, 22, Self.pattern(1)).error == nil)
        #expect(update(guest, 22, Self.pattern(1)).error == SEVCommandError(.ioError))
        let (request, error) = update(guest, 20, Self.pattern(4), count: 4)
        #expect(error == nil && request.gfn == guest.base + 22 && request.byteCount == 2 << 12)
        #expect(request.source.map { Array($0) } == Array(Self.pattern(4)[8192...]))
        #expect(guest.entry(21).state == .guestValid && guest.entry(23).state == .guestInvalid)
        #expect(guest.violations == [])
    }

    @Test(
        "A page that firmware refuses goes back to the host and can be launched again; a CPUID page comes back corrected"
    )
    func refusedByFirmware() throws {
        let guest = try guest()
        // A count of entries that is too large.
        var page = [UInt8](repeating: 0, count: 4096)
        page[0] = 0xff
        let (_, error) = update(guest, 30, page, type: .cpuid)
        #expect(error == SEVCommandError(.ioError, .invalidParam))
        #expect(!guest.entry(30).assigned)
        #expect(guest.vm.causeOfDeath == nil)
        #expect(guest.violations == [])
        #expect(update(guest, 30, Self.pattern(1)).error == nil)
        #expect(guest.entry(30).state == .guestValid)
    }

    @Test("Converting launched pages to shared and back takes their measured content away")
    func convertedAfterLaunch() throws {
        let guest = try guest()
        #expect(update(guest, 0, Self.pattern(1)).error == nil)
        try guest.convert(0..<1, to: .shared)
        try guest.convert(0..<1, to: .private)
        #expect(guest.entry(0).state == .guestInvalid)
        #expect(update(guest, 0, Self.pattern(1)).error == nil, "it may be launched again")
        #expect(guest.violations == [])
    }

    @Test(
        "LAUNCH_START: EINVAL for a second context, flags, reserved policy bits or bit 17 clear; EIO with firmware's word"
    )
    func start() throws {
        let guest = try guest(launching: false)
        #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.snpLaunchStart(policy: .standard, flags: 1) }
        #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.snpLaunchStart(policy: .smtAllowed) }
        #expect(throws: SEVCommandError(.invalidArgument)) {
            try guest.vm.snpLaunchStart(policy: GuestPolicy(rawValue: 1 << 40 | 3 << 16))
        }
        let frames = guest.host.allocator.freeFrameCount
        var newer = GuestPolicy.standard
        newer.abiMajor = 200
        #expect(throws: SEVCommandError(.ioError, .policyFailure)) { try guest.vm.snpLaunchStart(policy: newer) }
        #expect(
            guest.vm.contextPage == nil && guest.host.allocator.freeFrameCount == frames, "the context page comes back")
        try guest.vm.snpLaunchStart(policy: .standard)
        #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.snpLaunchStart(policy: .standard) }
        #expect(guest.rmp.state(of: try #require(guest.vm.contextPage)) == .context)
        let plain = try VirtualMachine(host: guest.host)
        #expect(throws: SEVCommandError(.notSupportedCall)) { try plain.snpLaunchStart(policy: .standard) }
    }

    @Test(
        "Pages that became the guest's before LAUNCH_START: firmware does not activate an ASID that owns pages; nothing is lost"
    )
    func convertedBeforeStart() throws {
        let guest = try guest(launching: false)
        try guest.convert(0..<1, to: .private)
        let free = guest.host.allocator.freeFrameCount
        #expect(throws: SEVCommandError(.ioError, .invalidConfig)) { try guest.vm.snpLaunchStart(policy: .standard) }
        #expect(guest.host.allocator.freeFrameCount == free && guest.host.leaked.count == 0)
        try guest.convert(0..<1, to: .shared)
        try guest.vm.snpLaunchStart(policy: .standard)
    }

    @Test(
        "LAUNCH_FINISH launches each virtual CPU's state into a page of its own, never a 2 MiB aligned one; then all is closed"
    )
    func finish() throws {
        let guest = try guest()
        for id in 0..<3 as Range<UInt32> { try guest.vm.createVirtualCPU(id: id, initialState: VMSA()) }
        #expect(throws: Errno.exists) { try guest.vm.createVirtualCPU(id: 1, initialState: VMSA()) }
        var bad = LaunchFinishRequest()
        bad.flags = 1
        #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.snpLaunchFinish(bad) }
        bad = LaunchFinishRequest()
        bad.idBlock = [UInt8](repeating: 0, count: 96)
        #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.snpLaunchFinish(bad) }
        bad.idAuthentication = [UInt8](repeating: 0, count: 4095)
        #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.snpLaunchFinish(bad) }
        let free = guest.host.allocator.freeFrameCount
        bad.idAuthentication = [UInt8](repeating: 0, count: 4096)
        #expect(throws: SEVCommandError(.ioError, .badMeasurement)) { try guest.vm.snpLaunchFinish(bad) }
        #expect(free - guest.host.allocator.freeFrameCount <= 4, "the block's pages come back; VMSAs stay")
        try guest.vm.snpLaunchFinish()
        #expect(guest.vm.isLaunched)
        for cpu in guest.vm.virtualCPUs {
            let pfn = try #require(cpu.vmsaFrame)
            let entry = try #require(guest.rmp.effectiveEntry(pfn))
            #expect(
                !pfn.isAligned(to: .size2M) && entry.state == .guestValid && entry.vmsa
                    && entry.gfn == VirtualMachine.vmsaGFN)
        }
        #expect(throws: SEVCommandError(.invalidArgument)) { try guest.vm.snpLaunchFinish() }
        #expect(update(guest, 0, Self.pattern(1)).error == SEVCommandError(.invalidArgument))
        #expect(throws: Errno.invalidArgument) { try guest.vm.createVirtualCPU(id: 9, initialState: VMSA()) }
        #expect(try guest.vm.preFault(guest.base.address, byteCount: 600 << 12) == 600)
        #expect(guest.violations == [])
    }

    @Test("SEV_INIT2 refuses in the order: not an SNP machine, virtual CPUs, flags, the SNP bit, GHCB version, twice")
    func initialise() throws {
        let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 16 << 20))
        let plain = try VirtualMachine(host: emulated.host, kind: .standard)
        #expect(throws: SEVCommandError(.notSupportedCall)) { try plain.sevInit2(flags: 1) }
        let vm = try VirtualMachine(host: emulated.host)
        #expect(throws: SEVCommandError(.invalidArgument)) { try vm.sevInit2(flags: 1) }
        #expect(throws: SEVCommandError(.invalidArgument)) { try vm.sevInit2(vmsaFeatures: 1) }
        #expect(throws: SEVCommandError(.invalidArgument)) { try vm.sevInit2(ghcbVersion: 1) }
        #expect(throws: SEVCommandError(.invalidArgument)) { try vm.sevInit2(ghcbVersion: 3) }
        #expect(vm.asid == nil)
        try vm.sevInit2(ghcbVersion: 2)
        #expect(throws: SEVCommandError(.invalidArgument)) { try vm.sevInit2() }
        let late = try VirtualMachine(host: emulated.host)
        try late.createVirtualCPU(id: 0, initialState: VMSA())
        #expect(throws: SEVCommandError(.invalidArgument)) { try late.sevInit2() }
    }

    @Test("A launched guest that is destroyed gives back pages, VMSAs, context and ASID", arguments: [true, false])
    func destroy(isFinished: Bool) throws {
        let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 32 << 20))
        let free = emulated.host.allocator.freeFrameCount
        for _ in 0..<2 {
            let guest = try TestGuest(pages: 1024, on: emulated)
            try guest.allocate(0..<1024)
            try guest.vm.snpLaunchStart(policy: .standard)
            try guest.convert(0..<1024, to: .private)
            try guest.vm.createVirtualCPU(id: 0, initialState: VMSA())
            #expect(update(guest, 3, Self.pattern(4), count: 4).error == nil)
            if isFinished { try guest.vm.snpLaunchFinish() }
            #expect(guest.violations == [])
            guest.vm.destroy()
            #expect(emulated.host.checkInvariants(of: []) == [])
            #expect(emulated.host.leaked.count == 0)
        }
        #expect(emulated.host.allocator.freeFrameCount == free)
    }
}
