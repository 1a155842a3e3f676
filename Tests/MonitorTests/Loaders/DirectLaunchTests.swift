import Rampart
import SNPArchitecture
import Testing

@testable import Monitor

@Suite("Launch without firmware")
struct DirectLaunchTests {
    static let signature = CPUSignature(rawValue: 0xa1_0f10)

    func plan(
        _ image: GuestImage? = nil, memory: UInt64 = 16 << 20, _ change: (inout DirectConfiguration) -> Void = { _ in }
    ) throws -> LaunchPlan {
        var configuration = DirectConfiguration(memoryByteCount: memory, signature: Self.signature)
        change(&configuration)
        return try LaunchPlan.direct(
            image: image ?? GuestImage(elf: ELFBuilder().build()), configuration: configuration)
    }

    func quadword(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }

    @Test("the boot information is what Guests/README.md says")
    func bootInformation() throws {
        let plan = try plan {
            $0.vcpuCount = 3
            $0.commandLine = Array("one two".utf8)
        }
        let page = try #require(plan.page(0, of: plan.steps[0]))
        #expect(plan.steps[0].gfn == GFN(8))
        #expect(Array(page[..<8]) == Array("RAMPART1".utf8))
        let expected: [(Int, UInt64)] = [
            (0x08, 0x68 | 3 << 32), (0x10, 16 << 20), (0x18, 0x9000), (0x20, 0xa000), (0x28, 0x10_1000),
            (0x30, 51 | 1 << 32), (0x38, 0x1_0000), (0x40, 16 << 20), (0x48, 0x8100), (0x50, 7), (0x58, 0x10_0000),
            (0x60, 0x10_1000),
        ]
        for (offset, value) in expected { #expect(quadword(page, offset) == value, "offset \(offset)") }
        #expect(Array(page[0x100..<0x108]) == Array("one two\0".utf8))
    }

    @Test("the page tables map all memory, and nothing more, with the C-bit", arguments: [1, 3, 16, 1024, 1026, 8192])
    func pageTables(mebibytes: UInt64) throws {
        let builder = ELFBuilder(entry: 0x2_0000, headers: [.init(address: 0x2_0000, contents: [0xf4])])
        let plan = try plan(GuestImage(elf: builder.build()), memory: mebibytes << 20)
        let step = plan.steps[1]
        let pages = try (0..<step.pageCount).map { try #require(plan.page($0, of: step)) }
        let cBit: UInt64 = 1 << 51
        #expect(quadword(pages[0], 0) == 0x1_1003 | cBit)
        #expect(pages[0][8...].allSatisfy { $0 == 0 })
        let mapped = (min(mebibytes, 3072) + 1) / 2
        #expect(step.pageCount == 2 + (mapped + 511) / 512)
        for index in 0..<512 * 3 as Range<UInt64> {
            let directory = quadword(pages[1], Int(index / 512) * 8)
            guard index < mapped else {
                if Int(index / 512) + 2 < pages.count {
                    #expect(quadword(pages[Int(index / 512) + 2], Int(index % 512) * 8) == 0)
                }
                continue
            }
            #expect(directory == (0x1_2003 + (index / 512) << 12) | cBit)
            #expect(quadword(pages[Int(index / 512) + 2], Int(index % 512) * 8) == index << 21 | 0x83 | cBit)
        }
    }

    @Test("pages with bytes are measured, pages of zeros too, and firmware makes two")
    func steps() throws {
        var builder = ELFBuilder()
        builder.headers[0].memoryByteCount = 0x3000
        let plan = try plan(GuestImage(elf: builder.build()))
        #expect(plan.steps.map(\.kind) == [.normal, .normal, .normal, .zero, .secrets, .cpuid])
        #expect(plan.steps.map(\.gfn) == [8, 0x10, 0x100, 0x101, 9, 0xa].map { GFN($0) })
        #expect(plan.steps.map(\.pageCount) == [1, 3, 1, 2, 1, 1])
        #expect(plan.image == nil)
        #expect(plan.lowMemoryEnd == GPA(0x10_3000))
    }

    @Test("a 64-bit image starts with the registers of the boot ABI, and VMRUN's rules hold of them")
    func registers64() throws {
        let plan = try plan { $0.vcpuCount = 2 }
        let vmsa = plan.vmsa(0)
        #expect([vmsa.rip, vmsa.rdi, vmsa.rsi, vmsa.rsp, vmsa.rdx] == [0x10_0000, 0x8000, 0, 0, 0])
        #expect([vmsa.cr0, vmsa.cr3, vmsa.cr4, vmsa.efer] == [0x8001_0033, 0x1_0000 | 1 << 51, 0x660, 0x1d00])
        #expect(vmsa.cs == SegmentRegister(selector: 8, attributes: 0xa9b, limit: .max))
        #expect(vmsa.ss == SegmentRegister(selector: 0x10, attributes: 0xc93, limit: .max))
        #expect(vmsa.rflags == 2)
        #expect(vmsa.sevFeatures == .snpActive)
        #expect(plan.vmsa(1).rsi == 1)
        #expect(plan.vmsa(1).rip == vmsa.rip)
    }

    @Test("a Multiboot kernel starts in protected mode with its magic and its information")
    func registers32() throws {
        let file = MultibootImageTests.file(
            at: 0, flags: 0x1_0000, addresses: [0x10_0000, 0x10_0000, 0, 0, 0x10_0010])
        let plan = try plan(GuestImage(multiboot: file))
        let vmsa = plan.vmsa(0)
        #expect([vmsa.rax, vmsa.rbx, vmsa.rip, vmsa.cr0] == [0x2bad_b002, 0x8000, 0x10_0010, 0x31])
        #expect(vmsa.cs.attributes == 0xc9b)
        #expect(vmsa.efer == 0x1000)
        let page = try #require(plan.page(0, of: plan.steps[0]))
        #expect(page[0] == 0x45)
    }

    @Test("a real-mode image starts with its segment at the entry's 64 KiB")
    func registers16() throws {
        let low = try plan(GuestImage(raw: [0xf4], at: GPA(0x7c00), mode: .real16)).vmsa(0)
        #expect([low.cs.base, low.rip, low.cr0] == [0, 0x7c00, 0x10])
        let high = try plan(GuestImage(raw: [0xf4], at: GPA(0x8_1234), mode: .real16)).vmsa(0)
        #expect([high.cs.base, high.rip, UInt64(high.cs.selector)] == [0x8_0000, 0x1234, 0x8000])
    }

    @Test("a launch that cannot be is refused for its first fault")
    func refusals() throws {
        #expect(throws: DirectLaunchError.vcpuCount(0)) {
            try plan(memory: 1) { $0.vcpuCount = 0 }
        }
        #expect(throws: DirectLaunchError.vcpuCount(4097)) { try plan { $0.vcpuCount = 4097 } }
        #expect(throws: DirectLaunchError.memory(0x10_0001)) {
            try plan(memory: 0x10_0001) { $0.commandLine = [0] }
        }
        #expect(throws: DirectLaunchError.memory(0xff000)) { try plan(memory: 0xff000) }
        #expect(throws: DirectLaunchError.commandLine(byteCount: 1)) { try plan { $0.commandLine = [0] } }
        let long = [UInt8](repeating: 0x61, count: 0xf00)
        #expect(throws: DirectLaunchError.commandLine(byteCount: 0xf00)) { try plan { $0.commandLine = long } }
        #expect(try plan { $0.commandLine = Array(long.dropLast()) }.vcpuCount == 1)
        for (address, isFine) in [(0x7ffe, true), (0x7fff, false), (0x1_4fff, false), (0x1_5000, true)] {
            let image = try GuestImage(raw: [1, 2], at: GPA(UInt64(address)), mode: .long64)
            if isFine {
                #expect(try plan(image).vcpuCount == 1)
            } else {
                #expect(throws: DirectLaunchError.overlap(image.entry)) { try plan(image) }
            }
        }
        let top = try GuestImage(raw: [1, 2], at: GPA(0xff_ffff), mode: .long64)
        #expect(throws: DirectLaunchError.imageEnd(GPA(0x100_0001), limit: GPA(0x100_0000))) { try plan(top) }
        let above = try GuestImage(raw: [1, 2], at: GPA(3 << 30), mode: .long64)
        #expect(throws: DirectLaunchError.imageEnd(GPA(3 << 30 + 2), limit: GPA(3 << 30))) {
            try plan(above, memory: 8 << 30)
        }
    }

    @Test("what is bundled is what Guests/bin holds", arguments: BundledGuest.allCases)
    func bundledBytes(guest: BundledGuest) throws {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(4).joined(separator: "/")
        #expect(try readFile("\(root)/Guests/bin/\(guest.rawValue).elf", limit: 1 << 20) == guest.bytes)
    }

    @Test(
        "every bundled guest is an image that launches, with a digest that its bytes decide",
        arguments: BundledGuest.allCases)
    func bundled(guest: BundledGuest) throws {
        #expect(guest.bytes.prefix(4) == [0x7f, 0x45, 0x4c, 0x46])
        #expect(guest.bytes.count < 65536)
        let image = guest.image
        #expect(image.entry == GPA(0x10_0000))
        let plan = try plan(image) { $0.vcpuCount = 2 }
        let launched = try LaunchedGuest(plan, memoryByteCount: 16 << 20)
        #expect(launched.digest.count == 48)
        #expect(launched.digest == digestChain(plan))
    }
}
