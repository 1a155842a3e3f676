// The check of the CPUID page: which values pass, what the others are corrected to.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("CPUID page")
struct CPUIDPageTests {
    /// One entry and what it must be corrected to; nil if it must pass as it is.
    struct Case: Sendable, CustomTestStringConvertible {
        var given: CPUIDFunction
        var corrected: CPUIDFunction?
        var testDescription: String
        init(_ rule: String, _ given: CPUIDFunction, _ change: ((inout CPUIDFunction) -> Void)? = nil) {
            self.given = given
            testDescription = rule
            corrected = change.map { change in
                var result = given
                change(&result)
                return result
            }
        }
    }

    static let cases: [Case] = [
        Case("leaf 0: up to 0x10", CPUIDFunction(eaxIn: 0, eax: 0x10, ebx: 1, ecx: 2, edx: 3)),
        Case("leaf 0: clamped to 0x10", CPUIDFunction(eaxIn: 0, eax: 0x20)) { $0.eax = 0x10 },
        Case("leaf 1: an older part", CPUIDFunction(eaxIn: 1, eax: 0x0080_0f12, ebx: 0x0010_0800)),
        Case("leaf 1: a newer part", CPUIDFunction(eaxIn: 1, eax: 0x00b0_0f21, ebx: 0x800)) { $0.eax = 0x00a1_0f11 },
        Case("leaf 1: CLFLUSH size", CPUIDFunction(eaxIn: 1, eax: 0x00a1_0f11, ebx: 0x1234_1005)) {
            $0.ebx = 0x1234_0800
        },
        Case("leaf 1: OSXSAVE and hypervisor", CPUIDFunction(eaxIn: 1, eax: 0, ebx: 0x800, ecx: 0x8800_0000)),
        Case("leaf 1: MONITOR, VME bit", CPUIDFunction(eaxIn: 1, eax: 0, ebx: 0x800, ecx: 0x8, edx: 0xffff_ffff)) {
            $0.ecx = 0x8
            $0.edx = 0x178b_fbff
        },
        Case("leaf 1: ecx subset", CPUIDFunction(eaxIn: 1, eax: 0, ebx: 0x800, ecx: 0xffff_ffff)) {
            $0.ecx = 0xfefa_320b
        },
        Case("leaf 1: reserved eax", CPUIDFunction(eaxIn: 1, eax: 0x1000_1f11, ebx: 0x800)) { $0.eax = 0xf11 },
        Case("leaf 1 with a subleaf is unknown", CPUIDFunction(eaxIn: 1, ecxIn: 1, eax: 1)) { $0.eax = 0 },
        Case("leaf 0x1f is unknown", CPUIDFunction(eaxIn: 0x1f, eax: 1, ebx: 2, ecx: 3, edx: 4)) {
            ($0.eax, $0.ebx, $0.ecx, $0.edx) = (0, 0, 0, 0)
        },
        Case("leaf 0x1f of zeros passes", CPUIDFunction(eaxIn: 0x1f)),
        Case("the hypervisor's leaves pass", CPUIDFunction(eaxIn: 0x4000_0000, eax: 0xffff_ffff, ebx: 1)),
        Case("leaf 0x10000 is not looked at", CPUIDFunction(eaxIn: 0x1_0000, eax: 5)),
        Case("leaf 6", CPUIDFunction(eaxIn: 6, eax: 0xff, ebx: 1, ecx: 3, edx: 9)) {
            ($0.eax, $0.ebx, $0.ecx, $0.edx) = (4, 0, 1, 0)
        },
        Case("leaf 7: OSPKE is free", CPUIDFunction(eaxIn: 7, eax: 1, ecx: 0x10, edx: 0x10)),
        Case("leaf 7: any wrong bit clears edx", CPUIDFunction(eaxIn: 7, eax: 2, ebx: 0xffff_ffff, edx: 0x11)) {
            ($0.eax, $0.ebx, $0.edx) = (1, 0xf1bf_97a9, 0)
        },
        Case("leaf 0xb: reserved", CPUIDFunction(eaxIn: 0xb, ecxIn: 1, eax: 0xff, ebx: 0x1_0001)) {
            ($0.eax, $0.ebx) = (0x1f, 1)
        },
        Case("leaf 0xd: x87 and SSE are in XCR0", CPUIDFunction(eaxIn: 0xd, xcr0In: 7, eax: 7, ebx: 0x340, ecx: 9)),
        Case("leaf 0xd: size by XCR0", CPUIDFunction(eaxIn: 0xd, xcr0In: 0x207, eax: 4, ebx: 1, edx: 1)) {
            ($0.eax, $0.ebx, $0.edx) = (7, 0x988, 0)
        },
        Case("leaf 0xd: size of x87 and SSE", CPUIDFunction(eaxIn: 0xd, xcr0In: 1, eax: 3, ebx: 0x240)),
        Case(
            "leaf 0xd.1: sum of the parts",
            CPUIDFunction(eaxIn: 0xd, ecxIn: 1, xcr0In: 0x2e7, xssIn: 0x1800, eax: 0xf, ebx: 0x9b0, ecx: 0x1800)),
        Case("leaf 0xd.1: wrong", CPUIDFunction(eaxIn: 0xd, ecxIn: 1, xcr0In: 7, eax: 0x1f, ecx: 1, edx: 1)) {
            ($0.eax, $0.ebx, $0.ecx, $0.edx) = (0xf, 0x340, 0, 0)
        },
        Case("leaf 0xd.2", CPUIDFunction(eaxIn: 0xd, ecxIn: 2, eax: 0x100, ebx: 0x240)),
        Case("leaf 0xd.5", CPUIDFunction(eaxIn: 0xd, ecxIn: 5)) { ($0.eax, $0.ebx) = (0x40, 0x340) },
        Case("leaf 0xd.3 is unknown", CPUIDFunction(eaxIn: 0xd, ecxIn: 3, eax: 1)) { $0.eax = 0 },
        Case("80000008: address sizes", CPUIDFunction(eaxIn: 0x8000_0008, eax: 0x0140_4040, edx: 0x0203_0009)) {
            ($0.eax, $0.edx) = (0x0040_3934, 0x0201_0007)
        },
        Case(
            "8000001f: C-bit position", CPUIDFunction(eaxIn: 0x8000_001f, eax: 0xffff_ffff, ebx: 0x51ef, ecx: 5, edx: 6)
        ) {
            ($0.eax, $0.ebx) = (0x030f_ffff, 0x41f3)
        },
        Case("80000022: counters", CPUIDFunction(eaxIn: 0x8000_0022, eax: 0xf, ebx: 0xffff_ffff, edx: 1)) {
            ($0.eax, $0.ebx, $0.edx) = (7, 0xffff_fd06, 0)
        },
        Case("80000024", CPUIDFunction(eaxIn: 0x8000_0024, eax: 2, ebx: 3, ecx: 7, edx: 1)) {
            ($0.eax, $0.ebx, $0.ecx, $0.edx) = (1, 1, 3, 0)
        },
        Case("8000001e: edx is reserved", CPUIDFunction(eaxIn: 0x8000_001e, eax: 9, edx: 1)) { $0.edx = 0 },
        Case("80010000 is not looked at", CPUIDFunction(eaxIn: 0x8001_0000, eax: 9)),
    ]

    @Test("an entry passes, or is refused and corrected in place, in plain", arguments: cases)
    func entries(_ entry: Case) throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        let given = CPUIDPage([CPUIDFunction(eaxIn: 0x8000_0002, eax: 0x41), entry.given])
        let status = try platform.load(.cpuid, given.encoded, at: GPA(0x1000))
        let state = platform.machine.rmp.entry(TestPage.page).state
        if let corrected = entry.corrected, corrected != entry.given {
            #expect(status == .invalidParam && state == .preGuest)
            let bytes = platform.machine.memory.bytes(TestPage.page.address, count: 4096)
            #expect(CPUIDPage(decoding: bytes).functions == [given.functions[0], corrected])
            #expect(platform.guest?.launchDigest == [UInt8](repeating: 0, count: 48))
            // The host tries again with what firmware left, and is accepted.
            let again = platform.run(
                LaunchUpdateBuffer(context: TestPage.context.address, page: TestPage.page.address, type: .cpuid))
            #expect(again == .success)
        } else {
            #expect(status == .success && state == .guestValid)
            let key = try #require(platform.machine.encryption.key(for: ASID(5)))
            let bytes = platform.machine.memory.bytes(TestPage.page.address, count: 4096, key: key)
            #expect(bytes == given.encoded)
        }
    }

    @Test("a bad header is refused without a change to the page", arguments: [(0, UInt8(65)), (4, 1), (15, 1)])
    func header(_ offset: Int, _ value: UInt8) throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        var bytes = CPUIDPage([CPUIDFunction(eaxIn: 0, eax: 0xffff)]).encoded
        bytes[offset] = value
        #expect(try platform.load(.cpuid, bytes, at: GPA(0x1000)) == .invalidParam)
        #expect(platform.machine.memory.bytes(TestPage.page.address, count: 4096) == bytes)
    }

    @Test("an entry with a reserved field is refused and not corrected; the others are")
    func reservedField() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        let bad = CPUIDFunction(eaxIn: 0, eax: 0xffff, reserved: 1)
        let page = CPUIDPage([bad, CPUIDFunction(eaxIn: 0, eax: 0xffff)])
        #expect(try platform.load(.cpuid, page.encoded, at: GPA(0x1000)) == .invalidParam)
        let after = CPUIDPage(decoding: platform.machine.memory.bytes(TestPage.page.address, count: 4096))
        #expect(after.functions == [bad, CPUIDFunction(eaxIn: 0, eax: 0x10)])
    }

    @Test("64 entries are allowed, and what follows them is kept")
    func full() throws {
        let platform = try TestPlatform()
        try platform.makeGuest()
        var bytes = CPUIDPage([CPUIDFunction](repeating: CPUIDFunction(eaxIn: 2, eax: 7), count: 64)).encoded
        bytes[0xfff] = 0x99
        #expect(try platform.load(.cpuid, bytes, at: GPA(0x1000)) == .success)
    }
}
