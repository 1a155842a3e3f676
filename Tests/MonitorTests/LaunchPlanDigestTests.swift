import Hypervisor
import Monitor
import Rampart
import SNPArchitecture
import Testing

/// A digest that sev-snp-measure 0.0.13 gives for the bundled image.
struct KnownDigest: Sendable, CustomTestStringConvertible {
    enum Boot: Sendable { case none, kernel, kernelInitrdAppend }
    let vmm: VMMType, vcpuCount: Int, model: String, boot: Boot, digest: String
    init(_ vmm: VMMType, _ vcpuCount: Int, _ model: String, _ boot: Boot, _ digest: String) {
        (self.vmm, self.vcpuCount, self.model, self.boot, self.digest) = (vmm, vcpuCount, model, boot, digest)
    }
    var testDescription: String { "\(vmm.name) \(vcpuCount) \(model) \(boot)" }

    static let all: [KnownDigest] = [
        KnownDigest(
            .qemu, 1, "EPYC-Milan", .none,
            "3da80165d8797e6063cf6b41042c131e732ab78f595f9e2286baa7e7e2ce4ac4a3865d42a80c5f165c2beee455069cb0"),
        KnownDigest(
            .qemu, 1, "EPYC-Milan", .kernelInitrdAppend,
            "a2badc6b4fa4d7bc25e6e542b4ed3efc9f2c4c9fd66ce68f96df33c5c77caebb30ba05f0bde288f3e3e093e5bb8d076f"),
        KnownDigest(
            .qemu, 4, "EPYC-v4", .none,
            "ed85cc45c7c1508f515fa643eab2bf280247066db1d4c8d39d6fba9bbb622cb20956cba7c663d136d4ca3a113cce4edc"),
        KnownDigest(
            .qemu, 4, "EPYC-v4", .kernelInitrdAppend,
            "90eccf1ebdaabbea5b6adcb266ba4410c700016d7b93efe6ab30ee34500fdf3487a71ce4f76e1d0d36112fb86ab3c898"),
        KnownDigest(
            .qemu, 4, "EPYC-Milan", .none,
            "c90022721cb26fd486e536b12586a8d9061f723a498d2ee1871496f36be8aa1d3e6baa8ec109c36fcea467509fb972fb"),
        KnownDigest(
            .qemu, 4, "EPYC-Milan", .kernelInitrdAppend,
            "44968ddf6c853eb02f16bdc794d9e6d83aad2ab4ab80cda211720fa8085836965319508cb18af1cbefb8679c46f98c8d"),
        KnownDigest(
            .qemu, 4, "EPYC-Milan", .kernel,
            "c0328015b4266b8e6287ba397e0530a3fc6e8046c38875906053c3948b96856a9bc8fd111f728c1a117cf7888d047ae5"),
        KnownDigest(
            .qemu, 4, "EPYC-Genoa", .none,
            "197dc5acb196789c049dc14578824107b7555c155cc6aa88e63b416720041ce548606b50b40cb7b311fcb53f8d5cde41"),
        KnownDigest(
            .qemu, 4, "EPYC-Genoa", .kernelInitrdAppend,
            "3f773d0f4ce545dfa912d5987281fa39d5f581e6a98c9d24ffbfcf7097ad66792b54fbe47ab0058bae5c9b0f7a86a409"),
        KnownDigest(
            .qemu, 4, "EPYC-Turin", .none,
            "b4df039d4bb3228cad4e5b2ffff4d3b86ac9908a047b79d3d625feb8ffd1b8896f6a212b32e437a7be25547747652a4b"),
        KnownDigest(
            .qemu, 4, "EPYC-Turin", .kernelInitrdAppend,
            "c10a3157c448dc2e87d8a39de08809adaa600d4bba8248eb7c1181ab96d3943b1c0207c30c27435fb1ac31e3df365c7e"),
        KnownDigest(
            .qemu, 64, "EPYC-Milan", .none,
            "74f80f5b7c36060cf2246bd94b3395b740498171794457da3409c005f5cb2169d6a02d7230f4996b45592a44945e5d82"),
        KnownDigest(
            .qemu, 64, "EPYC-Milan", .kernelInitrdAppend,
            "0dce1c3bc8f0210975b725847b397f6c7c29b354fff44fa476f5a151e3febda6eab2ca4020dd6b4607c591a2e9e02301"),
        KnownDigest(
            .ec2, 1, "EPYC-Milan", .none,
            "5993ddd4fa5c113ced46d5317698013374303bdf9a40dddedbb5aa38c1c3863637d8742ecfaa4fa6083abb9ad7e780c2"),
        KnownDigest(
            .ec2, 1, "EPYC-Milan", .kernelInitrdAppend,
            "ef30c64cd98d260c62233f7600cc315cd1f0ef8a248f84e9a7a0ad8687cd1f3c2cdc81bd072facb3948e9be7ba4d2ea9"),
        KnownDigest(
            .ec2, 4, "EPYC-Milan", .none,
            "df0f00549dbff2a73c501875b16fa0c8f92444e8ef42da1fe7dbef61b083d080e70c663c91f1ae7585254435422972ba"),
        KnownDigest(
            .ec2, 4, "EPYC-Milan", .kernelInitrdAppend,
            "724eb7395e2ff5c9b84bddae7837fdcffc02b600e94c319b3a72cea3f32032d2bcfe1271cd72571bf57e71a44e9de43a"),
        KnownDigest(
            .ec2, 64, "EPYC-Milan", .none,
            "eb759191c0e82ed39b38b6fb5ebe1b5db45ceeafba1749f1d87b741a6d6a60a493e24d1254354fe407a1e528fd92531d"),
        KnownDigest(
            .ec2, 64, "EPYC-Milan", .kernelInitrdAppend,
            "d40dc0c64a4471187ebd48eb0d0cddf12e07cb6d7637f8f8fc63208a5f820014c4abe116768c14ed55fcd4346e5b61a7"),
        KnownDigest(
            .gce, 1, "EPYC-Milan", .none,
            "9287eec860ad5ee72516a94234f5b0c6bb08b37e424d7f3d50ab2e01abe44b02094b1a04b9b608e0b447008e17def0a4"),
        KnownDigest(
            .gce, 1, "EPYC-Milan", .kernelInitrdAppend,
            "06d7b71e9535c59ac11cec9445335b05fb3382f644517edd89b963f9b53ea8dc5fecca9082a4754a9c6a05277d201696"),
        KnownDigest(
            .gce, 4, "EPYC-Milan", .none,
            "bf3853909a5014ba2eb4ecf28bab82dd9b23f00868696c3ac8ddbff5271bee94b3c21048c7a090756f6999805ae00bb0"),
        KnownDigest(
            .gce, 4, "EPYC-Milan", .kernelInitrdAppend,
            "2688f3f37754718a813a35206f4f428641c73a4e60eca9f161bcba4f1a0baad24a87ea260ec89c582e57f798e406c2ac"),
        KnownDigest(
            .gce, 64, "EPYC-Milan", .none,
            "02dc275446753dfb90d3fb9d4acff6fec1052dd2991ca6bc2c2c49fc0c3f86e436e344a5fc530a35a84331e7a3df0719"),
        KnownDigest(
            .gce, 64, "EPYC-Milan", .kernelInitrdAppend,
            "7d0e53006f011cc347997677e8dfb32e1e5159d91e1ef3bf072009e58b61b5fb6692ea629ff959746a795c1aa172485f"),
    ]
}

@Suite("Launch plan, digests")
struct LaunchPlanDigestTests {
    static let kernel = (0..<40).flatMap { _ in (0...255).map { UInt8($0) } }
    static let initrd = (0..<1000).flatMap { _ in Array("initrd ".utf8) }

    static func hashes(_ boot: KnownDigest.Boot) -> KernelHashes? {
        switch boot {
        case .none: nil
        case .kernel: KernelHashes(kernel: kernel)
        case .kernelInitrdAppend: KernelHashes(kernel: kernel, initrd: initrd, commandLine: "console=ttyS0 ro")
        }
    }

    @Test("the plan's pages give the digest that another implementation gives", arguments: KnownDigest.all)
    func knownDigest(_ known: KnownDigest) throws {
        let configuration = LaunchConfiguration(
            vmm: known.vmm, vcpuCount: known.vcpuCount,
            signature: try #require(CPUModel(named: known.model)).signature, kernelHashes: Self.hashes(known.boot))
        let plan = try LaunchPlan(image: BundledImage.image, configuration: configuration)
        #expect(hexadecimal(digestChain(plan)) == known.digest)
    }

    @Test("an image alone, and a launch that starts from its digest")
    func imageDigest() throws {
        let image = digestChain(LaunchPlan(imageOnly: BundledImage.image))
        #expect(
            hexadecimal(image)
                == "78caf10466fcac641b298bf4c616baa83ad4ed51dbabb526a22335e591955c95410c0839a7735a8e7f3aa62ab566aa12")
        let configuration = LaunchConfiguration(
            vcpuCount: 2, signature: CPUSignature(rawValue: 0xa0_0f11), features: [.snpActive, .debugSwap],
            imageDigest: image)
        let plan = try LaunchPlan(image: BundledImage.image, configuration: configuration)
        #expect(
            hexadecimal(digestChain(plan))
                == "6f165665a7479fa42a66b2228925e9a63d0e5c3a571d1dd0078fc5fb7c4ffd04a2447f27bcda1938df1940aedc79905f")
        #expect(plan.initialDigest == image)
        #expect(plan.steps.count == BundledImage.sections.count)
    }
}

@Suite("Launched guest")
struct LaunchedGuestTests {
    @Test(
        "the firmware's digest of the launch is the one that another implementation gives", arguments: KnownDigest.all)
    func knownDigest(_ known: KnownDigest) throws {
        let configuration = LaunchConfiguration(
            vmm: known.vmm, vcpuCount: known.vcpuCount,
            signature: try #require(CPUModel(named: known.model)).signature,
            kernelHashes: LaunchPlanDigestTests.hashes(known.boot))
        let guest = try LaunchedGuest(LaunchPlan(image: BundledImage.image, configuration: configuration))
        #expect(hexadecimal(guest.digest) == known.digest)
        #expect(guest.machine.isLaunched)
    }

    @Test("a launch can start from the digest of an image's pages, and features reach the VMSAs")
    func imageDigest() throws {
        let image = try LaunchedGuest(LaunchPlan(imageOnly: BundledImage.image)).digest
        let configuration = LaunchConfiguration(
            vcpuCount: 2, signature: CPUSignature(rawValue: 0xa0_0f11), features: [.snpActive, .debugSwap],
            imageDigest: image)
        let guest = try LaunchedGuest(LaunchPlan(image: BundledImage.image, configuration: configuration))
        #expect(
            hexadecimal(guest.digest)
                == "6f165665a7479fa42a66b2228925e9a63d0e5c3a571d1dd0078fc5fb7c4ffd04a2447f27bcda1938df1940aedc79905f")
    }

    @Test("a processor newer than any host's is launched with the host's CPUID table")
    func newerProcessor() throws {
        let future = try #require(CPUSignature(family: 0x1f, model: 0x10, stepping: 3))
        let plan = try LaunchPlan(
            image: BundledImage.image, configuration: LaunchConfiguration(signature: future))
        #expect(try LaunchedGuest(plan).digest == digestChain(plan))
        let host = CPUSignature(rawValue: 0xb0_0f21)
        #expect(plan.cpuid(host: host).functions.first { $0.eaxIn == 1 }?.eax == host.rawValue)
        #expect(plan.cpuid(host: future).functions.first { $0.eaxIn == 1 }?.eax == future.rawValue)
    }

    @Test("what cannot be launched is refused: features without the SNP bit, too little memory")
    func refusals() throws {
        let none = LaunchConfiguration(signature: CPUSignature(rawValue: 0), features: [])
        #expect(throws: LaunchFailure.features([])) {
            _ = try LaunchedGuest(LaunchPlan(image: BundledImage.image, configuration: none))
        }
        let plan = try LaunchPlan(
            image: BundledImage.image, configuration: LaunchConfiguration(signature: CPUSignature(rawValue: 0)))
        #expect(throws: LaunchFailure.memory(needed: 0x82_0000, given: 0x80_0000)) {
            _ = try LaunchedGuest(plan, memoryByteCount: 0x80_0000)
        }
        #expect(try LaunchedGuest(plan, memoryByteCount: 0x82_0000).digest == LaunchedGuest(plan).digest)
        let large = try LaunchedGuest(plan, memoryByteCount: 5 << 30)
        #expect(large.machine.memorySlots.map(\.frames.count) == [3 << 18, 16, 2 << 18])
    }
}
