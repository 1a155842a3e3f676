// Every way to tamper: the reason that make announces is the one for which verify refuses.

import Monitor
import Rampart
import Testing

@testable import RampartCLI

@Suite("rampart report make --tamper")
struct ReportTamperTests {
    @Test("there are at least 40 ways, each with a name of its own; the list has a line for each")
    func list() {
        let names = ReportTamper.all.map(\.name)
        #expect(names.count >= 40 && Set(names).count == names.count)
        let list = RampartCommand.execute(["report", "make", "--tamper", "list"])
        #expect(list.status == .good && list.output.split(separator: "\n").count == names.count)
        for name in [
            "measurement", "signature-r", "cert-chip-id", "cert-expired", "ask-swapped", "ask-revoked", "version-6",
            "trailing-bytes", "product",
        ] {
            #expect(names.contains(name), "\(name)")
        }
    }

    /// Each way, on a report that it fits: by a VCEK, and by a VLEK where that has no other meaning.
    static let cases: [(String, [String])] = ReportTamper.all.flatMap { way -> [(String, [String])] in
        let vcek: [String] =
            switch way.name {
            case "cert-fmc": ["--product", "turin"]
            case "product": ["--report-version", "3"]
            default: []
            }
        let isOfVCEK = ["cert-chip-id", "cert-no-chip-id", "product"].contains(way.name)
        return [(way.name, vcek)] + (isOfVCEK ? [] : [(way.name, vcek + ["--report-version", "5", "--vlek"])])
    }

    @Test("verify refuses for the cause that make announces", arguments: cases)
    func announced(name: String, options: [String]) throws {
        try withFolder { folder in
            let made = RampartCommand.execute(["report", "make", "--tamper", name, "--out", folder] + options)
            #expect(made.status == .good, "\(made.diagnostics)")
            let marker = "rampart report verify must refuse it: "
            let line = try #require(made.output.split(separator: "\n").first { $0.hasPrefix(marker) })
            let cause = String(line.dropFirst(marker.count))
            #expect(cause.count > 12 && cause != "refused")
            let verdict = RampartCommand.execute(["report", "verify", "\(folder)/report.bin", "--certs", folder])
            #expect(verdict.status == .violation)
            #expect(verdict.output.hasPrefix("REFUSED"))
            #expect(verdict.output.contains("cause     \(cause)\n"), "\(verdict.output)")
        }
    }
}
