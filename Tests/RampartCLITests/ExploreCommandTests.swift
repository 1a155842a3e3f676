// `rampart explore`, `replay`, `scenarios` and `known-bugs`: what they print, and how they end.

import Rampart
import Testing

@testable import RampartCLI

@Suite("rampart explore and its kin")
struct ExploreCommandTests {
    @Test("scenarios lists at least 30, one a line")
    func scenarios() {
        let outcome = RampartCommand.execute(["scenarios"])
        #expect(outcome.status == .good)
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count >= 30)
        #expect(lines.allSatisfy { $0.contains("  ") && $0.count < 140 })
    }

    @Test("A bug that is switched on is found with status 1, and its token replays with the same words")
    func foundAndReplayed() throws {
        let found = RampartCommand.execute([
            "explore", "fault-convert-eager", "--bug", "staleFaultMaps", "--budget", "300",
        ])
        #expect(found.status == .violation)
        #expect(found.output.contains("FOUND in schedule"))
        let line = try #require(found.output.split(separator: "\n").first { $0.contains("rampart replay ") })
        let token = String(line.split(separator: " ").last ?? "")
        let problem = try #require(
            found.output.split(separator: "\n").first { $0.contains("FOUND") }?.split(separator: ":", maxSplits: 1).last
        )
        for _ in 0..<2 {
            let replay = RampartCommand.execute(["replay", token])
            #expect(replay.status == .violation)
            #expect(replay.output.contains("FAILS:\(problem)"))
            #expect(replay.output.contains("wrote it last"))
        }
        // Without the bug the same schedule is fine.
        let fixed = token.replacing("staleFaultMaps", with: "none")
        let good = RampartCommand.execute(["replay", fixed])
        #expect(good.status == .good)
        #expect(good.output.contains("Nothing goes wrong"))
    }

    @Test("The code as it is ends with status 0, also as JSON")
    func nothing() {
        let outcome = RampartCommand.execute(["explore", "fault-convert-eager", "--budget", "60", "--json"])
        #expect(outcome.status == .good)
        #expect(outcome.output.contains("\"failure\": null"))
        #expect(outcome.output.contains("\"schedules\": 60"))
    }

    @Test("A state folder is gone on with, and merge joins the shards")
    func stateAndMerge() throws {
        // A name that no folder has: the command makes it.
        var folder = ""
        try withFile([]) { folder = $0 + "-state" }
        let arguments = ["explore", "firmware-pages", "--strategy", "random", "--budget", "40", "--state", folder]
        for shard in ["0/2", "1/2"] {
            for _ in 0..<2 { #expect(RampartCommand.execute(arguments + ["--shard", shard]).status == .good) }
        }
        let merged = RampartCommand.execute(["explore", "merge", folder])
        #expect(merged.status == .good)
        #expect(merged.output.contains("160 schedules"))
        #expect(merged.output.contains("2 shards"))
    }

    @Test("merge joins the sets of states: what two shards have both seen counts once")
    func mergedStates() throws {
        var folder = ""
        try withFile([]) { folder = $0 + "-join" }
        /// The number of joined states after shards have worked in a folder of their own.
        func count(_ name: String, _ shards: [String]) throws -> Int {
            for shard in shards {
                _ = RampartCommand.execute([
                    "explore", "fault-toggle-eager", "--strategy", "random", "--budget", "40", "--shard", shard,
                    "--state",
                    folder + name,
                ])
            }
            let line = RampartCommand.execute(["explore", "merge", folder + name]).output
            let part = try #require(line.split(separator: ",").first { $0.contains(" states (digest ") })
            return try #require(Int(part.split(separator: " ")[0]))
        }
        let (first, second) = (try count("-0", ["0/2"]), try count("-1", ["1/2"]))
        let joined = try count("-both", ["0/2", "1/2"])
        #expect(joined >= max(first, second) && joined < first + second)
        #expect(first > 10 && second > 10)
    }

    @Test("Threads keep their shards apart in a state folder, and print the digest that one thread prints")
    func threads() throws {
        var folder = ""
        try withFile([]) { folder = $0 + "-threads" }
        let arguments = ["explore", "two-converters", "--strategy", "dfs", "--preemptions", "1", "--json"]
        /// The line with the digest of the states.
        func digest(_ more: [String]) throws -> Substring {
            let outcome = RampartCommand.execute(arguments + more)
            #expect(outcome.status == .good)
            return try #require(outcome.output.split(separator: "\n").first { $0.contains("\"digest\"") })
        }
        #expect(try digest([]) == digest(["--threads", "2", "--state", folder]))
        let merged = RampartCommand.execute(["explore", "merge", folder]).output
        #expect(merged.contains("2 shards") && merged.contains("every schedule of the bound"))
    }

    @Test(
        "What cannot be used is refused with status 2 and a hint",
        arguments: [
            (["explore"], "--all"), (["explore", "nonsense"], "rampart scenarios"),
            (["explore", "fault-convert"], "Did you mean"), (["explore", "init", "--budget", "0"], "budget"),
            (["explore", "init", "--shard", "2/2"], "shard"), (["explore", "init", "--threads", "0"], "1 to 64"),
            (["explore", "init", "--strategy", "luck"], "Use random"),
            (["explore", "init", "--bug", "99"], "known-bugs --list"), (["explore", "init", "--all"], "--all"),
            (["explore", "merge", "/nonexistent"], "cannot be read"), (["replay", "rubbish"], "no replay token"),
            (["replay", "r1.nothing.1.none."], "no scenario"), (["replay", "r1.init.99.none."], "has changed"),
            (["replay", "r1.init.1.nobug."], "no defect"), (["known-bugs", "0"], "known-bugs --list"),
        ] as [([String], String)])
    func refused(arguments: [String], hint: String) {
        let outcome = RampartCommand.execute(arguments)
        #expect(outcome.status == .usage)
        #expect(outcome.diagnostics.contains(hint), "\(outcome.diagnostics)")
    }

    @Test("known-bugs finds a bug by its number, and lists all with their numbers")
    func knownBugs() {
        let list = RampartCommand.execute(["known-bugs", "--list"])
        #expect(list.output.split(separator: "\n").count >= 20)
        #expect(list.output.contains("psmashNotRetried"))
    }
}
