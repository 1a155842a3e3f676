// The text of scripts: what it says, and what is wrong with it where it says nothing.

import Foundation
import Machine
import SNPArchitecture
import ScriptedGuest
import Testing

@Suite("Scripts as text")
struct ScriptTextTests {
    @Test("Each line means the step that the builder makes")
    func meaning() throws {
        let text = """
            # A comment, and an empty line.

            touch 0x1000 x3 shared write   # behind a step, too
            touch 4096 private execute -> vc:0x404
            read 0x1000 private 00ff
            write 0x1000 shared "hello"
            pvalidate 0x200000 x2 2M rescind -> unchanged
            rmpadjust 0x1000 4K vmpl3 rwush vmsa -> FAIL_INUSE
            rmpquery 0x1000 vmpl1 -> rw 2M vmsa
            rmpquery 0x1000 vmpl1
            msr 0x2 -> 0x1
            msr 2
            ghcb 0x5000
            vmgexit CPUID rax=1 rcx=0 -> rax=5 info1=0
            vmgexit 0x8000fffd usage=1 version=1 info1=none buffer=0102 -> any
            psc 0x200000 x2 2M private -> info1=0 info2=0x100000001
            report 0x1000 0x2000 0x3000 vmpck=1 vmpl=2 data=0a0b -> info1=0 info2=0x1d
            report 0x1000 0x2000 0x3000
            terminate 1 2
            pause
            halt\r
            shutdown
            """
        var built = GuestScript()
        try built.touch(GPA(0x1000), count: 3, .shared, .write)
        try built.touch(GPA(0x1000), .private, .execute, expecting: .exception(.pageNotValidated))
        try built.read(GPA(0x1000), .private, [0, 0xff])
        try built.write(GPA(0x1000), .shared, Array("hello".utf8))
        try built.pvalidate(GPA(0x20_0000), count: 2, .size2M, .rescind, expecting: .unchanged)
        try built.rmpAdjust(
            GPA(0x1000), target: .vmpl3, .defined, vmsa: true, expecting: .status(.failInUse))
        try built.rmpQuery(
            GPA(0x1000), target: .vmpl1, expecting: .outcome(.permissions([.read, .write], vmsa: true, .size2M)))
        try built.rmpQuery(GPA(0x1000), target: .vmpl1, expecting: .anything)
        try built.msr(2, expecting: 1)
        try built.msr(2, expecting: nil)
        try built.useGHCB(GPA(0x5000))
        var call = GHCBCall(.cpuid, [GHCBFieldValue(.rax, 1), GHCBFieldValue(.rcx, 0)])
        call.outputs = [GHCBFieldValue(.rax, 5), GHCBFieldValue(.exitInfo1, 0)]
        try built.vmgexit(call)
        call = GHCBCall(.hypervisorFeatures)
        call.inputs.remove(at: 1)
        call.usage = 1
        call.version = 1
        call.buffer = [1, 2]
        call.outputs = []
        try built.vmgexit(call)
        try built.changePageStates(
            GPA(0x20_0000), count: 2, .size2M, to: .makePrivate, expecting: .response(info1: 0, info2: 1 << 32 | 1))
        var report = ReportStep(secrets: GPA(0x1000), request: GPA(0x2000), response: GPA(0x3000))
        let plain = report
        report.vmpck = 1
        report.vmpl = 2
        report.data = [10, 11]
        try built.report(report, expecting: .response(info1: 0, info2: 0x1d))
        try built.report(plain)
        try built.terminate(set: 1, reason: 2)
        for step in [GuestOperation.pause, .halt, .shutdown] { try built.append(GuestStep(step)) }
        let parsed = try GuestScript(text: text)
        #expect(parsed.steps.count == built.steps.count)
        for (index, step) in parsed.steps.enumerated() {
            #expect(step == built.steps[index], "\(parsed.text(of: step))")
        }
        #expect(parsed == built)
    }

    @Test("start-ap writes a VMSA, marks it and asks for it; stop-ap takes both back")
    func applicationProcessors() throws {
        let script = try GuestScript("start-ap 3 0x7000 vmpl2", "stop-ap 3 0x7000")
        #expect(script.steps.count == 5 && script.bytes.count == 4096)
        #expect(script.bytes[0xca] == 2)
        #expect(script.calls[0].inputs.contains(GHCBFieldValue(.exitInfo1, 3 << 32 | 1)))
        #expect(script.calls[0].inputs.contains(GHCBFieldValue(.rax, 1)))
        #expect(script.calls[1].inputs.contains(GHCBFieldValue(.exitInfo1, 3 << 32 | 2)))
    }

    @Test(
        "A line that is no step is named with its number and what is wrong",
        arguments: [
            ("jump 5", "\"jump\" is no step"),
            ("touch", "the guest physical address is missing"),
            ("touch here private read", "the guest physical address is \"here\", which is no number of 64 bits"),
            (
                "touch 0x10000000000000000 private read",
                "the guest physical address is \"0x10000000000000000\", which is no number of 64 bits"
            ),
            ("touch 0x1000 x0 private read", "\"x0\" is no number of pages; write x and a decimal number"),
            (
                "touch 0x1000 x99999999999 private read",
                "\"x99999999999\" is no number of pages; write x and a decimal number"
            ),
            ("touch 0x1000 secret read", "the C-bit is \"secret\"; it is one of private, shared"),
            ("touch 0x1000 private peek", "the access is \"peek\"; it is one of read, write, execute"),
            ("touch 0x1000 private read now", "\"now\" is one word too many"),
            ("touch 0x1000 private read ->", "nothing follows \"->\""),
            ("touch 0x1000 private read -> well", "\"well\" is no outcome"),
            ("touch 0x1000 private read -> ok ok", "\"ok\" is one word too many"),
            (
                "touch 0xffffffffffffffff private read",
                "4096 bytes at 0xffffffffffffffff end past the 52 bits of a guest physical address"
            ),
            (
                "touch 0xffffffffff000 x2 private read",
                "8192 bytes at 0xffffffffff000 end past the 52 bits of a guest physical address"
            ),
            ("read 0x1000 private", "the contents is missing"),
            ("read 0x1000 private 0", "\"0\" is no run of bytes in hexadecimal"),
            ("read 0x1000 private 0g", "\"0g\" is no run of bytes in hexadecimal"),
            ("read 0x1000 private \"open", "\"open has no quote at its end"),
            ("read 0x1000 private \"\"", "the step names no pages"),
            ("pvalidate 0x1000 1G validate", "the page size is \"1G\"; it is one of 4K, 2M"),
            ("rmpadjust 0x1000 4K vmpl4 rw", "the VMPL is \"vmpl4\"; it is one of vmpl0, vmpl1, vmpl2, vmpl3"),
            ("rmpadjust 0x1000 4K vmpl1 rx", "the rights are \"rx\"; write some of r, w, u, s, h, or -"),
            ("rmpquery 0x1000 vmpl1 -> rw 1G", "the page size is \"1G\"; it is one of 4K, 2M"),
            ("rmpquery 0x1000 vmpl1 -> rw 4K busy", "\"busy\" is not \"vmsa\""),
            ("msr", "the request is missing"),
            ("vmgexit NOTHING", "the exit code is \"NOTHING\", which is no number of 64 bits"),
            ("vmgexit CPUID rax", "\"rax\" is not NAME=VALUE"),
            ("vmgexit CPUID eax=1", "\"eax\" is no field of a GHCB"),
            ("psc 0x1000 x0 4K private", "\"x0\" is no number of pages; write x and a decimal number"),
            ("psc 0x1000 4K mine", "the page state is \"mine\"; it is one of private, shared, smash, unsmash"),
            ("psc 0x1000 4K private -> info2=0 info1=0", "a response is info1=N info2=N"),
            ("start-ap 4294967296 0x1000", "the APIC identifier is 4294967296, more than 4294967295"),
            ("report 1 2 3 vmpck=4", "a report has at most 64 bytes of data, and there are VMPCK 0 to 3"),
            ("report 1 2 3 key=4", "\"key\" is none of vmpck, vmpl, data"),
            ("report 1 2", "the guest physical address is missing"),
            ("terminate 0 1 -> ok", "the step takes no \"->\""),
        ])
    func errors(_ line: String, _ message: String) {
        do throws(ScriptError) {
            _ = try GuestScript(text: "# first\n\(line)\npause")
            Issue.record("\(line) was taken")
        } catch { #expect(error == ScriptError(line: 2, message: message)) }
    }

    @Test("A buffer that does not fit in the GHCB is refused")
    func longBuffer() {
        let buffer = String(repeating: "00", count: 2033)
        #expect(throws: ScriptError.self) { try GuestScript(text: "vmgexit SNP_PSC buffer=\(buffer)") }
        #expect(throws: Never.self) { try GuestScript(text: "vmgexit SNP_PSC buffer=\(buffer.dropLast(2))") }
    }

    @Test("Random bytes are a script or an error, never the end of the program")
    func noise() {
        var random = EntropyBytes(seed: 7)
        let words = [
            "touch", "read", "write", "pvalidate", "rmpadjust", "rmpquery", "msr", "ghcb", "vmgexit", "psc", "start-ap",
            "stop-ap", "terminate", "pause", "->", "x5", "4K", "2M", "private", "shared", "0x1000",
            "18446744073709551615",
            "vmpl1", "rw", "vmsa", "rax=1", "buffer=00", "=", "ok", "vc:", "\"", "#", "\n", "validate", "-", "é",
        ]
        var accepted = 0
        for _ in 0..<20_000 {
            let text = (0..<random.next(8)).map { _ in words[random.next(words.count)] }.joined(separator: " ")
            if (try? GuestScript(text: text)) != nil { accepted += 1 }
        }
        #expect(accepted > 100 && accepted < 10_000, "both kinds were met: \(accepted)")
    }

    /// The committed scripts.
    static let files: [URL] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Scripts")
        let found = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return found.filter { $0.pathExtension == "txt" }.sorted { $0.path < $1.path }
    }()

    /// A script NAME.txt is the first virtual CPU's; NAME.ap.txt beside it the second's.
    @Test("The committed scripts run to their end as they say")
    func committed() throws {
        let (second, first) = Self.files.reduce(into: ([URL](), [URL]())) { lists, file in
            if file.path.hasSuffix(".ap.txt") { lists.0.append(file) } else { lists.1.append(file) }
        }
        #expect(first.count >= 6 && second.count >= 1)
        for file in first {
            let other = second.first {
                $0.path == file.deletingPathExtension().appendingPathExtension("ap.txt").path
            }
            let machine = try ScriptedMachine(
                try GuestScript(text: try String(contentsOf: file, encoding: .utf8)),
                try GuestScript(text: other.map { try String(contentsOf: $0, encoding: .utf8) } ?? ""))
            machine.driveAll()
            let name = file.lastPathComponent
            #expect(machine.failures == [], "\(name)")
            let haveEnded = machine.processors.map(\.isFinished)
            #expect(haveEnded == [true, true], "\(name)")
            #expect(machine.violations == [], "\(name)")
        }
    }
}

/// A small generator, the same for the same seed.
struct EntropyBytes {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % limit
    }
}
