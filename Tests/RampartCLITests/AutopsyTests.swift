// What a run says when its guest dies: the documents quote four of these explanations, and they must be true.

import Foundation
import Monitor
import Rampart
import Testing

@testable import RampartCLI

@Suite("Explanations of a guest's death")
struct AutopsyTests {
    private func death(_ name: String, personality: String = "strict") -> String {
        RampartCommand.execute(["run", "--guest", "misbehave", "--append", name, "--personality", personality]).output
    }

    @Test("an access that the host cannot serve is followed through every table, and its page's last change named")
    func memoryFault() {
        let text = death("shared-write-to-private")
        for part in [
            "to the host it is private", "guest tables, CR3 0x", "level 1 at GPA 0x", ", no C-bit",
            "nested tables, root 0x", "RMP entry of frame 0x", "validated",
            "REFUSED by the RMP: a shared access, and the page is assigned",
            "who changed the page's state, the last first",
            "the guest, vCPU 0, at RIP 0x", "PVALIDATE of GPA 0x", "last instructions, the newest last", "  > 0x",
        ] { #expect(text.contains(part), "\(part): \(text)") }
    }

    @Test("a triple fault is told from its first exception on")
    func tripleFault() {
        let text = death("triple-fault")
        for part in ["a triple fault.", "First: #", "was delivered: ", "last exceptions"] {
            #expect(text.contains(part), "\(part): \(text)")
        }
    }

    @Test("an exception that the guest does not expect is named with its instruction")
    func unexpectedException() {
        let text = death("undefined-instruction")
        for part in ["reason set 1, code 0x10", "instructions before: #UD at 0x", "The instruction there: "] {
            #expect(text.contains(part), "\(part): \(text)")
        }
    }

    @Test("a page that is no VMSA is told from one")
    func badVMSA() {
        let text = death("bad-vmsa")
        for part in ["VMRUN of vCPU 1 refuses the VMSA", "VMSA bit is 0", "the VMSA of vCPU 1, at GPA 0x"] {
            #expect(text.contains(part), "\(part): \(text)")
        }
    }

    @Test("a halt for ever says what could wake it")
    func halt() {
        #expect(death("halt").contains("executed HLT with RFLAGS.IF = 0: no interrupt could wake it"))
    }

    @Test(
        "the last instructions end where the guest stands, and each is one",
        arguments: ["terminate", "triple-fault", "halt"])
    func lastInstructions(_ name: String) throws {
        let lines = death(name).split(separator: "\n").map(String.init)
        let start = try #require(lines.firstIndex { $0.contains("last instructions") })
        let code = lines[(start + 1)...].prefix { line in
            ["    0x", "      -> ", "  > "].contains { line.hasPrefix($0) }
        }
        #expect(code.count >= 10)
        #expect(code.last?.hasPrefix("  > ") == true)
        for line in code where !line.contains("-> ") {
            #expect(line.contains(": "))
            #expect(!line.contains("(undefined)") || line.hasPrefix("  > "))
        }
        if name == "halt" {
            // HLT is complete: the guest stands behind it.
            #expect(code.dropLast().last?.hasSuffix("hlt") == true)
        }
    }

    @Test("the same death is told in the same words, whether the run is recorded or not")
    func determinism() throws {
        func autopsy(_ isTraced: Bool) throws -> String? {
            try runGuest(
                RunRequest(
                    program: .bundled(.misbehave), memory: try ByteSize(parsing: "64M"), vcpuCount: 2,
                    commandLine: "private-read-of-shared", personality: .strict, isTraced: isTraced)
            ).autopsy
        }
        let first = try #require(try autopsy(false))
        #expect(first == (try autopsy(false)))
        #expect(first == (try autopsy(true)))
    }

    @Test("a guest that lives is not explained")
    func alive() {
        #expect(!RampartCommand.execute(["run"]).output.contains("\nwhy\n"))
    }

    @Test("the explanations that the documents quote are what the command prints")
    func documents() throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/explanations.md")
        let document = try String(contentsOf: path, encoding: .utf8)
        let parts = document.components(separatedBy: "```\n$ rampart run --")
        #expect(parts.count == 5)
        for part in parts.dropFirst() {
            let body = part.components(separatedBy: "\n```")[0]
            let lines = body.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            let words = lines[0].split(separator: " ").map(String.init)
            let output = RampartCommand.execute(["run", "--" + words[0]] + words.dropFirst()).output
            let printed = output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            // "..." stands for lines that are left out; the rest is there, in order.
            var place = printed.startIndex
            for line in lines.dropFirst() where line != "..." {
                guard let found = printed[place...].firstIndex(of: line) else {
                    Issue.record("\(words): not printed: \(line)\n\(output)")
                    break
                }
                place = found + 1
            }
        }
    }
}
