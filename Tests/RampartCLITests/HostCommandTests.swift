import ArgumentParser
import Monitor
import Rampart
import SNPArchitecture
import Testing

@testable import RampartCLI

@Suite("rampart launch and rampart convert, arguments")
struct HostCommandTests {
    @Test("launch without arguments is the bundled image with 512M and one vCPU")
    func launchDefaults() throws {
        let request = try LaunchCommand.parse([]).request()
        #expect(request.imagePath == nil)
        #expect(request.memory.byteCount == 512 << 20)
        #expect(request.vcpuCount == 1)
        #expect(request.policy == .eager)
    }

    @Test("convert without arguments is 1G on 2M pages")
    func convertDefaults() throws {
        let request = try ConvertCommand.parse([]).request()
        #expect(request.memory.byteCount == 1 << 30)
        #expect(request.pageSize == .size2M)
        #expect(request.policy == .eager)
        #expect(request.list == nil)
    }

    @Test("every flag reaches the request")
    func flags() throws {
        let launch = try LaunchCommand.parse(["--ovmf", "f", "--memory", "2G", "--vcpus", "8", "--policy", "asPosted"])
            .request()
        #expect(launch.imagePath == "f")
        #expect(launch.memory.byteCount == 2 << 30)
        #expect(launch.vcpuCount == 8)
        #expect(launch.policy == .asPosted)
        try withFile(Array("private 0 2M\nshared 4K 4K\n".utf8)) { path in
            let convert = try ConvertCommand.parse(
                ["--memory", "1T", "--page-size", "4K", "--policy", "lazy", "--plan", path]
            ).request()
            #expect(convert.memory.byteCount == 1 << 40)
            #expect(convert.pageSize == .size4K)
            #expect(convert.policy == .lazy)
            #expect(
                convert.list?.steps == [
                    ConversionStep(.private, GFN(0)..<GFN(512)), ConversionStep(.shared, GFN(1)..<GFN(2)),
                ])
        }
    }

    @Test("convert with the RMP in segments: the size is checked, said, and the invariants hold")
    func segments() throws {
        for size in ["512M", "2T", "3G", "0"] {
            #expect(throws: CommandFailure.self) {
                try ConvertCommand.parse(["--rmp-segment-size", size]).request()
            }
        }
        let command = try ConvertCommand.parse(["--memory", "3G", "--rmp-segment-size", "1G"])
        let report = try convert(command.request())
        #expect(report.isGood)
        #expect(command.outcome(report).output.contains("RMP segments of 1G"))
    }

    static let refusals: [([String], String)] = [
        (["--memory", "0"], "--memory is 0"), (["--memory", "3"], "not a multiple of 2M"),
        (["--memory", "4K"], "not a multiple of 2M"), (["--memory", "17T"], "at most 16T"),
        (["--memory", "99999T"], "more than 4P"), (["--memory", "much"], "not a size"),
        (["--memory=-1"], "not a size"), (["--page-size", "1G"], "Use 4K or 2M"),
        (["--policy", "Eager"], "eager, lazy or asPosted"), (["--plan", "/nonexistent"], "/nonexistent: cannot open"),
        (["--plan", "/"], "is a directory"),
    ]

    @Test("what no guest can have is refused with a remedy", arguments: refusals)
    func refusal(arguments: [String], message: String) {
        do {
            _ = try ConvertCommand.parse(arguments).request()
            Issue.record("accepted")
        } catch let failure as CommandFailure {
            #expect(failure.status == .usage)
            #expect(failure.description.contains(message))
        } catch let error as InputError {
            #expect(error.description.contains(message))
        } catch {
            #expect(
                ConvertCommand.fullMessage(for: error).contains(message), "\(ConvertCommand.fullMessage(for: error))")
        }
        #expect(throws: CommandFailure.self) { try LaunchCommand.parse(["--vcpus", "0"]).request() }
        #expect(throws: CommandFailure.self) { try LaunchCommand.parse(["--memory", "4097"]).request() }
    }

    static let counts: OperationCounts = {
        var counts = OperationCounts()
        (counts.rmpUpdates, counts.psmashes, counts.splits, counts.zaps, counts.tlbFlushes) = (1, 2, 3, 4, 5)
        return counts
    }()

    @Test("a violation is printed and gives status 1")
    func launchReport() throws {
        let command = try LaunchCommand.parse([])
        var report = LaunchReport(
            request: try command.request(), digest: [0xab, 0xcd], asid: ASID(3), pages: [PageTally("guest", 42)],
            counts: Self.counts, firmwareCommandCount: 6, duration: .microseconds(1234), violations: [])
        let good = command.outcome(report)
        #expect(good.status == .good)
        #expect(good.output.contains("launch digest  abcd\n") && good.output.contains("42"))
        #expect(good.output.contains("1 RMPUPDATE, 2 PSMASH, 3 direct-map splits, 4 zaps, 5 TLB flushes, 6 firmware"))
        #expect(good.output.contains("1234 us") && good.output.contains("invariants hold"))
        report.violations = ["two owners"]
        let bad = command.outcome(report)
        #expect(bad.status == .violation)
        #expect(bad.output.contains("VIOLATION: two owners") && !bad.output.contains("invariants hold"))
        let json = try LaunchCommand.parse(["--json"]).outcome(report)
        #expect(json.status == .violation)
        #expect(json.output.contains("\"two owners\"") && json.output.contains("\"nanoseconds\": 1234000"))
    }

    @Test("a failed step, a leaked page or a violation gives status 1")
    func convertReport() throws {
        let command = try ConvertCommand.parse(["--memory", "4M"])
        let step = ConvertStepReport(
            step: ConversionStep(.private, GFN(0)..<GFN(1024)), convertedPageCount: 1024, failure: nil,
            counts: Self.counts, duration: .nanoseconds(999))
        let report = ConvertReport(
            request: try command.request(), before: [PageTally("hypervisor", 1024)],
            after: [PageTally("guest-invalid", 1024)], steps: [step], violations: [], leakedPageCount: 0)
        let good = command.outcome(report)
        #expect(good.status == .good)
        #expect(good.output.contains("private 0x0..<0x400000: 1024 pages in 999 ns"))
        #expect(good.output.contains("hypervisor                  1024               0"))
        #expect(good.output.contains("guest-invalid                  0            1024"))
        for change in [
            { $0.violations = ["x"] }, { $0.leakedPageCount = 1 }, { $0.steps[0].failure = "FAIL_INUSE" },
        ] as [(inout ConvertReport) -> Void] {
            var bad = report
            change(&bad)
            #expect(command.outcome(bad).status == .violation)
            #expect(command.outcome(bad).output != good.output)
        }
        let json = try ConvertCommand.parse(["--json"]).outcome(report).output
        #expect(json.contains("\"target\": \"private\"") && json.contains("\"guest-invalid\": 1024"))
    }
}
