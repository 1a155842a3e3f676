import Monitor
import Rampart
import SNPArchitecture
import Testing

@testable import RampartCLI

@Suite("rampart firmware")
struct FirmwareCommandTests {
    private func run(_ arguments: String...) -> CommandOutcome { RampartCommand.execute(["firmware"] + arguments) }

    /// Lines that start with a word, without it and the spaces.
    private func value(_ name: String, _ outcome: CommandOutcome) -> String? {
        outcome.output.split(separator: "\n").first { $0.hasPrefix(name + "  ") }.map { line in
            String(line.dropFirst(name.count).drop { $0 == " " })
        }
    }

    @Test("a platform is made, configured, updated and committed, and the file keeps each step")
    func life() throws {
        try withFile([]) { path in
            let made = run("create", "--platform", path, "--product", "turin", "--chip-seed", "7")
            #expect(made.status == .good && value("product", made) == "turin" && value("state", made) == "UNINIT")
            #expect(value("firmware", made) == "1.55.21")
            let levels = "0x4800000017000901 (fmc 1, bootloader 9, tee 0, snp 23, microcode 72)"
            #expect(value("TCB", made) == levels && value("reported TCB", made) == levels)
            let chip = value("chip identifier", made)
            #expect(chip?.count == 128)

            let lower = run(
                "config", "--platform", path, "--reported-tcb", "0x4800000016000901", "--mask-chip-id", "yes")
            #expect(lower.status == .good && value("chip identifier masked", lower) == "yes")
            #expect(value("chip key masked", lower) == "no")
            let masked = run("config", "--platform", path, "--mask-chip-key", "yes")
            #expect(value("chip key masked", masked) == "yes" && value("chip identifier masked", masked) == "yes")
            #expect(value("reported TCB", masked)?.hasPrefix("0x4800000016000901 ") == true, "what is not given stays")

            try withFile([]) { image in
                #expect(
                    run("make-image", "--product", "turin", "--version", "1.58.3", "--svn", "25", "--out", image).status
                        == .good)
                let updated = run("download", "--platform", path, image)
                #expect(updated.status == .good && value("firmware", updated) == "1.58.3")
                #expect(value("committed firmware", updated) == "1.55.21")
                #expect(value("TCB", updated)?.contains("snp 25") == true)
                let committed = run("commit", "--platform", path)
                #expect(value("committed firmware", committed) == "1.58.3")
                #expect(value("reported TCB", committed)?.contains("snp 25") == true)
                #expect(
                    run("make-image", "--product", "turin", "--version", "1.57.0", "--svn", "25", "--out", image).status
                        == .good)
                let old = run("download", "--platform", path, image)
                #expect(old.status == .violation)
                #expect(old.diagnostics == "Error: SNP_DOWNLOAD_FIRMWARE_EX is refused: BAD_VERSION (0x22).\n")
            }
            let keyed = run("load-vlek", "--platform", path, "--seed", "9")
            #expect(value("VLEK loaded", keyed) == "yes")
            let end = run("status", "--platform", path)
            #expect(end == keyed && value("chip identifier", end) == chip, "a power cycle changes nothing")
        }
    }

    @Test("what firmware refuses ends with status 1, its name and its number, and the file stays as it was")
    func refusal() throws {
        try withFile([]) { path in
            _ = run("create", "--platform", path)
            let before = try readFile(path, limit: 4096)
            let outcome = run(
                "config", "--platform", path, "--reported-tcb", "0x4917000000000009", "--mask-chip-id", "yes")
            #expect(
                outcome
                    == CommandOutcome(
                        diagnostics: "Error: SNP_CONFIG is refused: INVALID_PARAM (0x16).\n", status: .violation))
            #expect(try readFile(path, limit: 4096) == before)
            try withFile([1, 2, 3]) { image in
                let download = run("download", "--platform", path, image)
                #expect(download.diagnostics.contains("INVALID_LENGTH (0x04)") && download.status == .violation)
            }
        }
    }

    @Test("features follow the version of the firmware")
    func features() throws {
        try withFile([]) { path in
            _ = run("create", "--platform", path, "--product", "turin", "--version", "1.58.0")
            let new = run("features", "--platform", path)
            #expect(value("CIPHERTEXT_HIDING", new) == "yes" && value("VERIFY_MITIGATION", new) == "yes")
            #expect(value("guest messages", new)?.split(separator: " ").count == 9)
            _ = run("create", "--platform", path)
            let old = run("features", "--platform", path)
            #expect(value("CIPHERTEXT_HIDING", old) == "no" && value("VLEK", old) == "yes")
            #expect(run("features", "--platform", path, "--json").output.contains("\"VERIFY_MITIGATION\": false"))
            #expect(run("status", "--platform", path, "--json").output.contains("\"firmware\": \"1.55.21\""))
        }
    }

    static let good = (try? SavedPlatform(product: .siena, chipSeed: 3, version: nil).text) ?? ""
    static let badFiles: [(String, String)] = [
        ("", "product is missing"), (good + "colour red\n", ":12: 'colour' is no property"),
        (good + "vlek none\n", ":12: vlek is given twice"),
        (good.replacing("siena", with: "rome"), ":2: product: no such"),
        (good.replacing("1.55.21", with: "1.55"), "no version"), (good.replacing("0x3\n", with: "3\n"), "no number"),
        (good.replacing("0x3\n", with: "0x12345678901234567\n"), "no number"),
        (good.replacing(" no\n", with: " maybe\n"), "yes or no"),
        (good.replacing("vlek none", with: "vlek 0x1"), "a seed and a TCB"),
        (good.replacing("siena", with: ""), "0 values"),
        (good.replacing("0x3\n", with: "0x+3\n"), "no number"),
    ]

    @Test("a file that is no platform is refused with its line", arguments: badFiles)
    func badFile(_ text: String, _ message: String) throws {
        try withFile(Array(text.utf8)) { path in
            let outcome = run("status", "--platform", path)
            #expect(outcome.status == .usage && outcome.diagnostics.contains(message), "\(outcome.diagnostics)")
        }
    }

    @Test("hostile numbers in a file boot, and are what the status shows")
    func hostileFile() throws {
        let text = Self.good.replacing("0x4817000000000009", with: "0xffffffffffffffff").replacing(
            "1.55.21", with: "255.255.255")
        try withFile(Array(text.utf8)) { path in
            let outcome = run("status", "--platform", path)
            #expect(outcome.status == .good && value("firmware", outcome) == "255.255.255")
            #expect(run("commit", "--platform", path).status == .good)
        }
        try withFile([0xff, 0xfe]) { path in
            #expect(run("status", "--platform", path).diagnostics.contains(":1: not UTF-8"))
        }
        #expect(run("status", "--platform", "/nonexistent").status == .usage)
        #expect(run("create", "--platform", "/nonexistent/x").status == .usage)
        #expect(run("create", "--platform", "x", "--product", "rome").status == .usage)
    }

    @Test("the text of a platform is read back as it was")
    func roundTrip() throws {
        let platform = try SavedPlatform(product: .bergamo, chipSeed: .max, version: "1.2.3")
        #expect(try SavedPlatform(parsing: Array(platform.text.utf8), path: "x") == platform)
        let full = Self.good.replacing("committed\n", with: "0x16\n").replacing("none", with: "0x5 0xff")
            .replacing(" no\n", with: " yes\n")
        let read = try SavedPlatform(parsing: Array(full.utf8), path: "x")
        #expect(read.text == full && read.maskChipID && read.maskChipKey && read.reportedTCB?.rawValue == 0x16)
        #expect(full != Self.good)
    }
}
