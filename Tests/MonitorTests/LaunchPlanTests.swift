import Monitor
import SNPArchitecture
import Testing

@Suite("Launch plan")
struct LaunchPlanTests {
    static func builder(_ sections: [SEVMetadataSection]) -> OVMFImageBuilder {
        var builder = OVMFImageBuilder()
        builder.sections = sections
        builder.resetAddress = 0xffff_ffe0
        builder.hashTable = GPA(0x10c00)
        return builder
    }
    static func section(_ gpa: UInt64, _ byteCount: UInt64, _ kind: SEVMetadataSection.Kind) -> SEVMetadataSection {
        SEVMetadataSection(gpa: GPA(gpa), byteCount: byteCount, kind: kind)
    }
    static let signature = CPUSignature(rawValue: 0xa0_0f11)

    func plan(_ builder: OVMFImageBuilder, _ change: (inout LaunchConfiguration) -> Void = { _ in }) throws
        -> LaunchPlan
    {
        var configuration = LaunchConfiguration(signature: Self.signature)
        change(&configuration)
        return try LaunchPlan(image: OVMFImage(builder.build()), configuration: configuration)
    }

    func problem(
        _ builder: OVMFImageBuilder, _ change: (inout LaunchConfiguration) -> Void = { _ in }
    ) throws -> OVMFError.Problem? {
        let error = #expect(throws: LaunchPlanError.self) { _ = try plan(builder, change) }
        guard case .image(let imageError) = error else { return nil }
        #expect(imageError.description.contains("file offset 0x"))
        return imageError.problem
    }

    static let oneOfEach = [
        section(0x1000, 0x2000, .secMemory), section(0x3000, 0x1000, .cpuid), section(0x4000, 0x1000, .secrets),
        section(0x5000, 0x1000, .svsmCAA), section(0x10000, 0x1000, .kernelHashes),
    ]

    @Test("the order and the kinds of pages are those of each VMM")
    func order() throws {
        func kinds(_ vmm: VMMType) throws -> [LaunchPlan.PageKind] {
            try plan(Self.builder(Self.oneOfEach)) { $0.vmm = vmm }.steps.map(\.kind)
        }
        #expect(try kinds(.qemu) == [.normal, .zero, .cpuid, .secrets, .zero, .zero])
        #expect(try kinds(.ec2) == [.normal, .zero, .secrets, .zero, .zero, .cpuid])
        #expect(try kinds(.gce) == [.normal, .unmeasured, .cpuid, .secrets, .zero, .zero])
    }

    @Test("the image ends at 4 GiB and sections stand where the metadata says")
    func places() throws {
        let plan = try plan(Self.builder(Self.oneOfEach))
        #expect(plan.steps.map(\.gfn) == [0xfffff, 1, 3, 4, 5, 16].map { GFN($0) })
        #expect(plan.steps.map(\.pageCount) == [1, 2, 1, 1, 1, 1])
        #expect(plan.lowMemoryEnd == GPA(0x11000))
        #expect(plan.page(0, of: plan.steps[0]) == plan.image?.bytes)
        #expect(plan.page(0, of: plan.steps[1]) == nil)
    }

    @Test("the first virtual CPU starts at the reset vector, the others where the reset block says")
    func vmsas() throws {
        let plan = try plan(Self.builder([])) { $0.vcpuCount = 3 }
        #expect([plan.vmsa(0).rip, plan.vmsa(1).rip, plan.vmsa(2).rip] == [0xfff0, 0xffe0, 0xffe0])
        #expect(plan.vmsa(0).rdx == 0xa0_0f11)
    }

    @Test("the kernel's hashes stand in their page at the offset of the hash table")
    func kernelHashes() throws {
        let hashes = KernelHashes(kernel: [1, 2, 3])
        let plan = try plan(Self.builder(Self.oneOfEach)) { $0.kernelHashes = hashes }
        let step = try #require(plan.steps.last)
        let page = try #require(plan.page(0, of: step))
        #expect(step.kind == .normal)
        #expect(page.count == 4096)
        #expect(Array(page[0xc00..<(0xc00 + 176)]) == hashes.table)
        #expect(page[..<0xc00].allSatisfy { $0 == 0 })
        #expect(page[(0xc00 + 176)...].allSatisfy { $0 == 0 })
        // SHA-256 of no bytes, and of one NUL.
        #expect(hexadecimal(hashes.initrd) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(hexadecimal(hashes.commandLine) == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")
        #expect(Array(hashes.table[..<18]) == GUID.kernelHashes.bytes + [168, 0])
        #expect(Array(hashes.table[68..<84]) == GUID.initrdHash.bytes)
        #expect(Array(hashes.table[168...]) == [UInt8](repeating: 0, count: 8))
    }

    @Test(
        "the table of hashes fits up to the page's last 176 bytes",
        arguments: [(3920, true), (3921, false), (-1, false)])
    func tableFits(offset: Int, fits: Bool) {
        #expect((KernelHashes(kernel: []).page(offset: offset) != nil) == fits)
    }

    @Test("a kernel is refused when the image cannot check it, in order of the checks")
    func kernelRefused() throws {
        let kernel = { (configuration: inout LaunchConfiguration) in
            configuration.kernelHashes = KernelHashes(kernel: [1])
        }
        #expect(try problem(Self.builder([]), kernel) == .noKernelHashesSection)
        let hashes = Self.section(0x10000, 0x1000, .kernelHashes)
        var builder = Self.builder([hashes])
        builder.hashTable = nil
        #expect(try problem(builder, kernel) == .noHashTable)
        builder.hashTable = GPA(0)
        #expect(try problem(builder, kernel) == .noHashTable)
        builder.hashTable = GPA(0x10fff)
        #expect(try problem(builder, kernel) == .hashTableDoesNotFit(GPA(0x10fff)))
        #expect(try plan(builder).steps.last?.kind == .zero)
        builder = Self.builder([Self.section(0x10000, 0x2000, .kernelHashes)])
        #expect(try problem(builder, kernel) == .sectionLength(.kernelHashes, 0x2000))
        #expect(try plan(builder).steps.last?.pageCount == 2)
    }

    @Test("a configuration that no guest can have is refused")
    func configuration() throws {
        for count in [0, -1, 4097, Int.max] {
            #expect(throws: LaunchPlanError.vcpuCount(count)) { try plan(Self.builder([])) { $0.vcpuCount = count } }
        }
        #expect(try plan(Self.builder([])) { $0.vcpuCount = 4096 }.vcpuCount == 4096)
        #expect(throws: LaunchPlanError.imageDigest(byteCount: 47)) {
            try plan(Self.builder([])) { $0.imageDigest = [UInt8](repeating: 0, count: 47) }
        }
    }

    @Test("the reset block is needed; address 0 will do for one virtual CPU only")
    func resetBlock() throws {
        var builder = Self.builder([])
        builder.resetAddress = nil
        #expect(try problem(builder) == .noResetBlock)
        builder.resetAddress = 0
        #expect(try plan(builder).vcpuCount == 1)
        #expect(try problem(builder) { $0.vcpuCount = 2 } == .zeroResetAddress)
        #expect(throws: LaunchPlanError.image(OVMFError(.noTable, at: 4096 - 50))) {
            try LaunchPlan(
                image: OVMFImage([UInt8](repeating: 0, count: 4096)),
                configuration: LaunchConfiguration(signature: Self.signature))
        }
    }

    @Test("sections that no launch can carry out are refused")
    func sections() throws {
        func one(_ gpa: UInt64, _ byteCount: UInt64, _ kind: SEVMetadataSection.Kind) throws -> OVMFError.Problem? {
            try problem(Self.builder([Self.section(gpa, byteCount, kind)]))
        }
        let unknown = SEVMetadataSection.Kind(rawValue: 9)
        #expect(try one(1, 1, unknown) == .sectionKind(unknown))
        #expect(try one(0x1001, 0x1001, .secMemory) == .sectionUnaligned(.secMemory, GPA(0x1001)))
        #expect(try one(0x1000, 0x1001, .secMemory) == .sectionLength(.secMemory, 0x1001))
        #expect(try one(0x1000, 0x2000, .secrets) == .sectionLength(.secrets, 0x2000))
        #expect(try one(0x1000, 0, .cpuid) == .sectionLength(.cpuid, 0))
        #expect(try one(0xffff_f000, 0x1000, .secMemory) == .sectionOverlap(.secMemory, GPA(0xffff_f000)))
        #expect(try one(0x1000, 0xffff_f000, .secMemory) == .sectionOverlap(.secMemory, GPA(0x1000)))
        let overlapping = [Self.section(0x3000, 0x1000, .secrets), Self.section(0x1000, 0x3000, .secMemory)]
        #expect(try problem(Self.builder(overlapping)) == .sectionOverlap(.secrets, GPA(0x3000)))
        #expect(try plan(Self.builder([Self.section(0x1000, 0, .secMemory)])).steps.last?.pageCount == 0)
    }
}
