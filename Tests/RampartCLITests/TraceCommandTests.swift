// `rampart run --trace` and `rampart trace`: what is recorded, that it repeats, and what is made of it.

import Foundation
import Monitor
import Rampart
import Testing

@testable import RampartCLI

@Suite("rampart trace")
struct TraceCommandTests {
    private static func record(
        _ guest: BundledGuest, _ personality: PersonalityName = .kvm2026, _ policy: PolicyName = .eager,
        _ commandLine: String = ""
    ) throws -> String {
        try runGuest(
            RunRequest(
                program: .bundled(guest), memory: try ByteSize(parsing: "64M"), vcpuCount: 3, commandLine: commandLine,
                personality: personality, policy: policy, isTraced: true)
        ).trace + "\n"
    }

    /// One recorded run for all tests that only read.
    private static let hello = try? record(.hello)

    private func execute(_ arguments: String...) -> CommandOutcome { RampartCommand.execute(["trace"] + arguments) }

    @Test(
        "two runs give byte-identical traces that can be read: each guest but ticks under each host, eager and lazy in turn",
        arguments: [BundledGuest.hello, .convert, .smp, .misbehave], PersonalityName.allCases)
    func determinism(_ guest: BundledGuest, _ personality: PersonalityName) throws {
        let places = [
            BundledGuest.allCases.firstIndex(of: guest), PersonalityName.allCases.firstIndex(of: personality),
        ]
        let policy = places.compactMap(\.self).reduce(0, +).isMultiple(of: 2) ? PolicyName.eager : .lazy
        let first = try Self.record(guest, personality, policy)
        #expect(first == (try Self.record(guest, personality, policy)))
        let trace = try TraceFile(Array(first.utf8), name: "trace")
        #expect(trace.events.count > 100)
        // Every event survives its line.
        for event in trace.events { #expect(TraceEvent(line: event.line[...]) == event) }
    }

    @Test("a trace has each kind of event, and the run's own counts agree with it")
    func events() throws {
        let text = try #require(Self.hello)
        let trace = try TraceFile(Array(text.utf8), name: "hello")
        let names = Set(trace.events.map(\.name))
        for name in [
            "run", "entry", "exit", "vmgexit", "reply", "fault", "attributes", "converted", "rmpupdate", "pvalidate",
            "rmp_firmware", "firmware", "user_exit", "end",
        ] { #expect(names.contains(name), "\(name)") }
        let entries = trace.events.filter { $0.name == "entry" }.count
        #expect(entries == trace.events.filter { $0.name == "exit" }.count)
        let requests = trace.events.filter { $0.name == "exit" && $0["reason"] == "VMGEXIT" }.count
        #expect(requests == trace.events.filter { $0.name == "vmgexit" }.count)
        #expect(trace.events.contains { $0.name == "vmgexit" && $0["code"] == "SNP_PSC" })
        let report = try runGuest(
            RunRequest(program: .bundled(.hello), memory: try ByteSize(parsing: "64M"), vcpuCount: 3, isTraced: true))
        let updates = trace.events.filter { $0.name == "rmpupdate" && $0["status"] == "SUCCESS" }.count
        #expect(report.trace + "\n" == text)
        #expect(updates > 0)
        // What the pages come to in the end is what the run's report counts.
        let pages = try #require(trace.pages(at: 1).last?.pages)
        #expect(pages.validated == report.pages.first { $0.state == "Guest-Valid" }?.pageCount)
    }

    @Test("tracing changes nothing that the guest does")
    func unobtrusive() throws {
        var request = RunRequest(program: .bundled(.smp), memory: try ByteSize(parsing: "64M"), vcpuCount: 3)
        let plain = try runGuest(request)
        request.isTraced = true
        let traced = try runGuest(request)
        #expect(plain.processors == traced.processors)
        #expect(plain.exits == traced.exits)
        #expect(plain.console == traced.console)
        #expect(plain.trace.isEmpty)
    }

    @Test("--trace and trace go together, in every format")
    func formats() throws {
        try withFolder { folder in
            let path = folder + "/hello.trace"
            #expect(RampartCommand.execute(["run", "--json", "--trace", path]).status == .good)
            let summary = execute(path)
            #expect(summary.status == .good)
            for text in ["events by kind", "VMGEXIT", "firmware commands", "pages of the guest over the run", "#"] {
                #expect(summary.output.contains(text), "\(text)")
            }
            let ftrace = execute(path, "--format", "ftrace", "--filter", "vcpu=0").output
            #expect(ftrace.hasPrefix("# tracer: nop\n"))
            let lines = ftrace.split(separator: "\n").filter { !$0.hasPrefix("#") }
            #expect(lines.count > 50)
            for line in lines {
                #expect(line.contains("vcpu0-1000 [000] ..... "), "\(line)")
            }
            #expect(ftrace.contains(": kvm_entry: vcpu 0, rip 0x"))
            #expect(ftrace.contains(": kvm_exit: vcpu 0 reason VMGEXIT rip 0x"))
            #expect(ftrace.contains(": kvm_vmgexit_enter: vcpu 0, exit_reason "))
            #expect(execute(path, "--format", "perfetto", "--out", folder + "/hello.json").status == .good)
            let written = try readFile(folder + "/hello.json", limit: 1 << 28)
            #expect(String(decoding: written, as: UTF8.self) == execute(path, "--json").output)
        }
    }

    @Test("Perfetto's JSON is JSON with the members that the format asks for")
    func perfetto() throws {
        let text = try #require(Self.hello)
        let trace = try TraceFile(Array(text.utf8), name: "hello")
        let root = try #require(
            JSONSerialization.jsonObject(with: Data(trace.perfetto().utf8)) as? [String: Any])
        let events = try #require(root["traceEvents"] as? [[String: Any]])
        var kinds: [String: Int] = [:]
        var ends: [Int: Int] = [:]
        for event in events {
            let kind = try #require(event["ph"] as? String)
            kinds[kind, default: 0] += 1
            #expect(event["name"] is String)
            #expect(event["pid"] is Int)
            if kind != "M" { #expect((event["ts"] as? Int).map { $0 >= 0 } == true) }
            guard kind == "X", let track = event["tid"] as? Int, let start = event["ts"] as? Int,
                let duration = event["dur"] as? Int
            else { continue }
            // Slices of a track do not overlap.
            #expect(duration > 0)
            #expect(start >= ends[track, default: 0])
            ends[track] = start + duration
        }
        #expect(Set(kinds.keys) == ["M", "X", "i", "C"])
        #expect(kinds["X"] == trace.events.filter { $0.name == "entry" || $0.name == "exit" }.count)
    }

    @Test("filters pick events")
    func filters() throws {
        let text = try #require(Self.hello)
        let trace = try TraceFile(Array(text.utf8), name: "hello")
        func count(_ conditions: String...) throws -> Int {
            var filter = TraceFilter()
            for condition in conditions { try filter.add(condition) }
            return trace.events.filter(filter.allows).count
        }
        #expect(try count() == trace.events.count)
        #expect(try count("event=exit") == trace.events.filter { $0.name == "exit" }.count)
        #expect(try count("event=exit", "vcpu=77") == 0)
        let gpa = try #require(trace.events.first { $0.name == "pvalidate" }?["gpa"])
        #expect(try count("gpa=\(gpa)", "event=pvalidate") >= 1)
        #expect(try count("gpa=0xfffffffffffff000-0xffffffffffffffff") == 0)
        for wrong in ["", "vcpu", "vcpu=x", "gpa=2-1", "gpa=", "time=1-2-3", "color=red"] {
            var filter = TraceFilter()
            #expect(throws: InputError.self) { try filter.add(wrong) }
        }
    }

    @Test("files that are no whole trace are refused with what is wrong")
    func hostileFiles() throws {
        let text = try #require(Self.hello)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let good = Array(text.utf8)
        var bad: [[UInt8]] = [
            [], Array("hello\n".utf8), Array("rampart-trace 1\n".utf8), Array("rampart-trace 2\n".utf8),
            Array(good.prefix(good.count / 2)), Array(lines.dropLast(2).joined(separator: "\n").utf8),
            Array((lines[..<5] + lines[6...]).joined(separator: "\n").utf8), good + Array("1 - x\n".utf8),
            Array(text.replacingOccurrences(of: " entry ", with: " ent=ry ").utf8), Array((text + "\0").utf8),
            Array("rampart-trace 1\n5 - run\n4 - end events=1\n".utf8), [0xff, 0xfe, 0x00],
            Array("rampart-trace 1\n0 - run a=\"\n0 - end events=1\n".utf8),
            Array("rampart-trace 1\n99999999999999999999 - run\n0 - end events=1\n".utf8),
            Array("rampart-trace 1\n0 - run\n0 - end events=18446744073709551616\n".utf8),
        ]
        for cut in stride(from: 1, to: 400, by: 7) { bad.append(Array(good.dropLast(cut + 1))) }
        for (index, bytes) in bad.enumerated() {
            try withFile(bytes) { path in
                let outcome = execute(path)
                #expect(outcome.status == .usage, "\(index): \(outcome.output)")
                #expect(outcome.diagnostics.hasPrefix("Error: "), "\(index)")
            }
        }
        #expect(execute("/nonexistent").status == .usage)
        #expect(execute("--format", "pictures", "/nonexistent").status == .usage)
    }

    @Test("numbers at their limits stop nothing")
    func limits() throws {
        let huge = UInt64.max
        let text = """
            rampart-trace 1
            0 - run x="a \\"b\\" \\\\ c"
            \(huge) 4294967295 rmpupdate spa=\(huge) gpa=\(huge) size=2M asid=1 assigned=1 status=SUCCESS
            \(huge) 4294967295 psmash spa=\(huge) status=SUCCESS
            \(huge) 4294967295 pvalidate spa=\(huge) bytes=\(huge) gpa=\(huge) validate=1 status=SUCCESS
            \(huge) 4294967295 entry
            \(huge) 4294967295 exit
            \(huge) - end events=6

            """
        try withFile(Array(text.utf8)) { path in
            for format in ["summary", "ftrace", "perfetto", "events"] {
                #expect(execute(path, "--format", format, "--filter", "gpa=0-\(huge)").status == .good)
                #expect(execute(path, "--format", format).status == .good)
            }
        }
    }
}
