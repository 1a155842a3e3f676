// The launch digest against digests that other implementations computed.

import Crypto
import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Launch digest")
struct LaunchDigestTests {
    static let known: [(type: PageType, gpa: UInt64, digest: String)] = [
        (
            .normal, 0xffff_f000,
            "79d7e453f7b541d04f7f51cccc6f4acca624b7a97430595dd7c98bd8c7a897656a91c611473f137680bd00e9e72e47c4"
        ),
        (
            .zero, 0x80_1000,
            "d784b669471dd077929a207513a4a458243032f4025a5fb3a6ad0a9f7841b875a275fd31fd89f66a01eba1abefb952d6"
        ),
        (
            .unmeasured, 0x80_2000,
            "fd2e553a7746803454af1fd00e665188d996d953e6f6560425aa2f399007d31f5ff3c008ccfce8ad90780c8cb0e4bab0"
        ),
        (
            .secrets, 0x80_d000,
            "de826d44ec0acc0c0473246ffd523b2d2300868f67463003bb04e08832ecc01db9b902daee4884ceadce5a54070aa225"
        ),
        (
            .cpuid, 0x80_e000,
            "100910f252d9d2300729e8f35eeea7fcf5f0548bc13e62ed152faf86ef0299c936cf662624238c67c630fee5d2f80c3e"
        ),
        (
            .vmsa, 0xffff_ffff_f000,
            "20c0bbb369c474e8618f30ec72d296ea8505fab58e5e9f75775f6889f754e5ec2fd29a8baf37894c035e0d835031125a"
        ),
    ]

    /// QEMU's reset state of the bootstrap processor of an EPYC-v4.
    static let vmsa = VMSA.reset(
        vmm: .qemu, eip: VMSA.bootstrapEIP, cpuSignature: CPUSignature(rawValue: 0x0080_0f12), features: .snpActive
    ).bytes

    @Test("a chain of one page of each type gives the known digests")
    func chain() throws {
        #expect(
            hex(Array(SHA384.hash(data: Self.vmsa)))
                == "77920c4c629ff47e90c0e174fc1ad0eb6fa664f88cd4739488058a8c6cb1a77b3856f55378e9518d0da99452d51c553a")
        let platform = try TestPlatform()
        try platform.makeGuest()
        #expect(platform.guest?.launchDigest == [UInt8](repeating: 0, count: 48))
        for (index, (type, gpa, digest)) in Self.known.enumerated() {
            let bytes: [UInt8]
            switch type {
            case .vmsa: bytes = Self.vmsa
            case .cpuid: bytes = CPUIDPage([]).encoded
            default: bytes = patternPage
            }
            let status = try platform.load(type, bytes, at: GPA(gpa), page: TestPage.page + UInt64(index))
            #expect(status == .success, "\(type)")
            #expect(platform.guest.map { hex($0.launchDigest) } == digest, "\(type)")
        }
        #expect(platform.guest?.imageDigest == [UInt8](repeating: 0, count: 48))
    }

    @Test("a 2M page of zeros is 512 pages of zeros at consecutive addresses")
    func large() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        try platform.assign(TestPage.large, ASID(5), at: GPA(0x20_0000), .size2M)
        let buffer = LaunchUpdateBuffer(
            context: TestPage.context.address, page: TestPage.large.address, size: .size2M, type: .zero)
        #expect(platform.run(buffer) == .success)
        #expect(
            platform.guest.map { hex($0.launchDigest) }
                == "486f227165b308e323ee24622225b050f2478d61d45cfca44fb031f4eabdbe6d8400a1afa6b5dfbcfceb70f317a47856")
        let entry = platform.machine.rmp.entry(TestPage.large)
        #expect(entry.state == .guestValid && entry.pageSize == .size2M)
    }

    @Test("a 2M page of data is measured as its 512 pages of 4K are")
    func largeData() throws {
        var digests: [[UInt8]] = []
        for size in PageSize.allCases {
            let platform = try TestPlatform()
            try platform.makeGuest()
            for index in 0..<512 {
                let bytes = patternPage.map { $0 &+ UInt8(truncatingIfNeeded: index) }
                platform.machine.memory.store(bytes, at: (TestPage.large + UInt64(index)).address)
            }
            for index in 0..<(size == .size2M ? 1 : 512) {
                let page = TestPage.large + UInt64(index)
                try platform.assign(page, ASID(5), at: GPA(0x20_0000 + UInt64(index) << 12), size)
                let status = platform.run(
                    LaunchUpdateBuffer(context: TestPage.context.address, page: page.address, size: size, type: .normal)
                )
                #expect(status == .success)
            }
            digests.append(platform.guest?.launchDigest ?? [])
        }
        #expect(digests[0] == digests[1] && digests[0].count == 48)
    }

    @Test("permissions are measured in the order of firmware 1.55 and written to the RMP")
    func permissions() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        let status = try platform.load(.normal, [UInt8](repeating: 0, count: 4096), at: GPA(0x1000)) {
            $0[.vmpl1] = .read
            $0[.vmpl2] = .write
            $0[.vmpl3] = .executeUser
        }
        #expect(status == .success)
        #expect(
            platform.guest.map { hex($0.launchDigest) }
                == "a2d97453a9aaa697e0880ddb42d5439cc3131613162f1457bca41813643f9226367a100eaca15c28d4abfb45d31ab3b2")
        #expect(platform.machine.rmp.entry(TestPage.page).permissions == VMPLPermissionSet(rawValue: 0x0402_010f))
    }

    @Test("the digest is the SHA-384 of PAGE_INFO as its layout encodes it")
    func pageInfo() {
        var digest = LaunchDigest(patternPage.prefix(48).reversed()) ?? LaunchDigest()
        let contents = [UInt8](100..<148)
        let permissions = VMPLPermissionSet(rawValue: 0x1234_56ff)
        let info = PageInfo(
            currentDigest: digest.bytes, contents: contents, pageType: .unmeasured, isInitialMigrationImagePage: true,
            permissions: permissions, gpa: GPA(0x8765_4321_f000))
        let page = LaunchDigest.Page(
            type: .unmeasured, isInitialMigrationImagePage: true, permissions: permissions, gpa: GPA(0x8765_4321_f000))
        digest.extend(page, contents: LaunchDigest(contents) ?? LaunchDigest())
        #expect(digest.bytes == Array(SHA384.hash(data: info.encoded)))
    }

    @Test("pages of the migration image extend IMD with the same PAGE_INFO over its own current digest")
    func imageDigest() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        #expect(try platform.load(.normal, patternPage, at: GPA(0x1000)) == .success)
        #expect(platform.guest?.imageDigest == [UInt8](repeating: 0, count: 48))
        let second = try platform.load(.normal, patternPage, at: GPA(0x2000), page: TestPage.page + 1) {
            $0.isInitialMigrationImagePage = true
        }
        #expect(second == .success)
        let info = PageInfo(
            currentDigest: [UInt8](repeating: 0, count: 48), contents: Array(SHA384.hash(data: patternPage)),
            pageType: .normal, isInitialMigrationImagePage: true, gpa: GPA(0x2000))
        #expect(platform.guest?.imageDigest == Array(SHA384.hash(data: info.encoded)))
        #expect(platform.guest?.imageDigest != platform.guest?.launchDigest)
    }

    @Test("a VMSA is measured with its TSC fields as zero")
    func vmsaTSC() throws {
        var digests: Set<[UInt8]> = []
        for value: UInt8 in [0, 0x55] {
            let platform = try TestPlatform()
            try platform.makeGuest()
            var bytes = Self.vmsa
            for index in 0x2f0..<0x300 { bytes[index] = value }
            #expect(try platform.load(.vmsa, bytes, at: VMSA.measuredGPA) == .success)
            digests.insert(platform.guest?.launchDigest ?? [])
        }
        #expect(digests.count == 1 && digests.first?.count == 48)
    }

    @Test("a preloaded digest is where the chain goes on from")
    func preload() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        let context = TestPage.context.address
        #expect(platform.firmware.preloadLaunchDigest(bytes(hex: Self.known[0].digest), context: context))
        #expect(try platform.load(.zero, at: GPA(0x80_1000)) == .success)
        #expect(platform.guest.map { hex($0.launchDigest) } == Self.known[1].digest)
        #expect(!platform.firmware.preloadLaunchDigest([1], context: context))
        #expect(!platform.firmware.preloadLaunchDigest([UInt8](repeating: 0, count: 48), context: SPA(0x5000)))
    }
}
