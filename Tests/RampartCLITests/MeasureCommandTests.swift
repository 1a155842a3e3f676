import ArgumentParser
import Crypto
import Monitor
import Rampart
import SNPArchitecture
import Testing

@testable import RampartCLI

@Suite("rampart measure, arguments")
struct MeasureCommandTests {
    func request(_ arguments: String...) throws -> MeasureRequest {
        try MeasureCommand.parse(["--ovmf", "OVMF.fd"] + arguments).request()
    }

    @Test("the processor's signature comes from the family, else the number, else the name")
    func signature() throws {
        func signature(_ arguments: String...) throws -> UInt32 {
            try MeasureCommand.parse(["--ovmf", "f", "--mode", "snp", "--vcpus", "1"] + arguments)
                .request().configuration.signature.rawValue
        }
        let family = ["--vcpu-family", "25", "--vcpu-model", "17", "--vcpu-stepping", "0"]
        #expect(try signature(family[0], family[1], family[2], family[3], family[4], family[5]) == 0xa1_0f10)
        #expect(try signature("--vcpu-sig", "0xa00f11") == 0xa0_0f11)
        #expect(try signature("--vcpu-sig", "10489617", "--vcpu-type", "EPYC") == 0xa0_0f11)
        #expect(try signature("--vcpu-type", "EPYC-Turin") == 0xb0_0f00)
        #expect(try signature("--vcpu-sig", "0", "--vcpu-type", "EPYC-Rome") == 0x83_0f10)
        #expect(
            try signature("--vcpu-family", "23", "--vcpu-model", "1", "--vcpu-stepping", "2", "--vcpu-sig", "1")
                == 0x80_0f12)
        #expect(try signature("--vmm-type", "ec2") == 0)
    }

    @Test("every flag reaches the request")
    func flags() throws {
        let request = try request(
            "--mode", "snp", "--vcpus", "4", "--vcpu-type", "EPYC-Milan", "--vmm-type", "gce", "--kernel", "k",
            "--initrd", "i", "--append", "-v console=ttyS0", "--guest-features", "0x21",
            "--snp-ovmf-hash", String(repeating: "aB", count: 48))
        #expect(request.scope == .guest)
        #expect(
            [request.imagePath, request.kernelPath, request.initrdPath, request.commandLine]
                == ["OVMF.fd", "k", "i", "-v console=ttyS0"])
        let configuration = request.configuration
        #expect(configuration.vmm == .gce)
        #expect(configuration.vcpuCount == 4)
        #expect(configuration.features == [.snpActive, .debugSwap])
        #expect(configuration.imageDigest == [UInt8](repeating: 0xab, count: 48))
        #expect(try self.request("--mode", "snp:ovmf-hash").scope == .imageOnly)
        let defaults = try self.request("--mode", "snp", "--vcpus", "1", "--vcpu-type", "EPYC", "--kernel", "")
        #expect(defaults.configuration.vmm == .qemu)
        #expect(defaults.configuration.features == .snpActive)
        #expect(defaults.configuration.imageDigest == nil)
        #expect(defaults.kernelPath == nil)
    }

    /// Arguments beside `--ovmf`, the status, and a part of the message.
    static let refusals: [([String], CommandStatus, String)] = [
        ([], .usage, "--mode"),
        (["--mode", "tdx"], .usage, "Use snp or snp:ovmf-hash"),
        (["--mode", "sev"], .unsupported, "not modelled"),
        (["--mode", "seves", "--vcpus", "0"], .unsupported, "not modelled"),
        (["--mode", "snp:svsm"], .unsupported, "sev-snp-measure"),
        (["--mode", "snp", "--initrd", "i"], .usage, "--initrd needs --kernel"),
        (["--mode", "snp", "--append", "a"], .usage, "--append needs --kernel"),
        (["--mode", "snp"], .usage, "needs --vcpus"),
        (["--mode", "snp", "--vcpus", "0"], .usage, "Use 1 to 4096"),
        (["--mode", "snp", "--vcpus=-1"], .usage, "Use 1 to 4096"),
        (["--mode", "snp", "--vcpus", "4097"], .usage, "Use 1 to 4096"),
        (["--mode", "snp", "--vcpus", "99999999999999999999"], .usage, "--vcpus"),
        (["--mode", "snp", "--vcpus", "two"], .usage, "--vcpus"),
        (["--mode", "snp", "--vcpus", "1"], .usage, "needs the processor"),
        (["--mode", "snp", "--vcpus", "1", "--vcpu-sig", "0"], .usage, "needs the processor"),
        (["--mode", "snp", "--vcpus", "1", "--vcpu-type", "epyc"], .usage, "EPYC-Milan"),
        (["--mode", "snp", "--vcpus", "1", "--vcpu-sig", "0x1ffffffff"], .usage, "32-bit"),
        (["--mode", "snp", "--vcpus", "1", "--vcpu-sig", "-1"], .usage, "--vcpu-sig"),
        (["--mode", "snp", "--vcpus", "1", "--vcpu-family", "25"], .usage, "Give all three"),
        (
            ["--mode", "snp", "--vcpus", "1", "--vcpu-family", "25", "--vcpu-model", "256", "--vcpu-stepping", "0"],
            .usage, "do not fit"
        ),
        (["--mode", "snp", "--vmm-type", "xen"], .usage, "QEMU, ec2 or gce"),
        (["--mode", "snp", "--guest-features", "0x1ffffffffffffffff"], .usage, "64-bit"),
        (["--mode", "snp", "--guest-features", ""], .usage, "64-bit"),
        (["--mode", "snp", "--snp-ovmf-hash", "abc"], .usage, "96 hexadecimal digits"),
        (["--mode", "snp", "--output-format", "octal"], .usage, "hex or base64"),
        (["--mode", "snp", "extra"], .usage, "extra"),
        (["--mode", "snp", "--no-such-flag"], .usage, "--no-such-flag"),
    ]

    @Test("what cannot be measured is refused with its status and a remedy", arguments: refusals)
    func refusal(arguments: [String], status: CommandStatus, message: String) {
        do {
            _ = try MeasureCommand.parse(["--ovmf", "f"] + arguments).request()
            Issue.record("accepted")
        } catch let failure as CommandFailure {
            #expect(failure.status == status)
            #expect(failure.description.contains(message))
        } catch {
            // The parser's own errors: all are usage.
            #expect(status == .usage)
            #expect(!MeasureCommand.exitCode(for: error).isSuccess)
            #expect(
                MeasureCommand.fullMessage(for: error).contains(message), "\(MeasureCommand.fullMessage(for: error))")
        }
    }

    @Test("files that cannot be used are named with what is wrong")
    func files() throws {
        func message(_ image: String, _ arguments: String...) throws -> String {
            let command = ["--mode", "snp", "--vcpus", "1", "--vcpu-type", "EPYC", "--ovmf", image] + arguments
            let request = try MeasureCommand.parse(command).request()
            let error = #expect(throws: InputError.self) { _ = try request.plan() }
            return error?.description ?? ""
        }
        #expect(try message("/nonexistent").hasPrefix("/nonexistent: cannot open: No such file or directory."))
        #expect(try message("/").hasPrefix("/: is a directory."))
        #expect(try message("/dev/null").hasPrefix("/dev/null: at file offset 0x0: the image is empty."))
        try withBundledImage { path in
            let noKernel = try message(path, "--kernel", "/nonexistent")
            #expect(noKernel.hasPrefix("/nonexistent: cannot open"))
            let directory = try message(path, "--kernel", path, "--initrd", "/")
            #expect(directory.hasPrefix("/: is a directory"))
        }
    }

    @Test("the digest is all there is on standard output")
    func rendering() throws {
        let digest = (0..<48).map { UInt8($0) }
        let hex = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let plan = try LaunchPlan(
            image: BundledImage.image,
            configuration: LaunchConfiguration(vcpuCount: 2, signature: CPUSignature(rawValue: 1)))
        func output(_ arguments: String...) throws -> String {
            try MeasureCommand.parse(["--ovmf", "f", "--mode", "snp"] + arguments)
                .outcome(MeasureResult(digest: digest, plan: plan)).output
        }
        #expect(try output() == hex + "\n")
        #expect(
            try output("--output-format", "base64")
                == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\n")
        #expect(try output("-v") == "Calculated SEV_SNP guest measurement: \(hex)\n")
        let json = try output("--json")
        #expect(json.contains("\"digest\": \"\(hex)\""))
        #expect(json.contains("\"normal\": 16") && json.contains("\"vmsa\": 2") && json.contains("\"secrets\": 1"))
        let image = try MeasureCommand.parse([
            "--ovmf", "f", "--mode", "snp:ovmf-hash", "--output-format", "base64", "-v",
        ])
        .outcome(MeasureResult(digest: digest, plan: plan))
        #expect(image.output == hex + "\n")
    }

    @Test("an explanation chains to the digest, and its text reads back")
    func explanation() throws {
        try withBundledImage { path in
            let command = try Self.explaining(path, vcpus: 2)
            let result = try measure(command.request(), explains: true)
            let explanation = try #require(result.explanation)
            // The chain, made again from the pages alone.
            let digest = explanation.pages.reduce(explanation.start) { digest, page in
                let info = PageInfo(
                    currentDigest: digest, contents: page.contents, pageType: page.type, permissions: page.permissions,
                    gpa: page.gpa)
                return Array(SHA384.hash(data: info.encoded))
            }
            #expect(digest == result.digest && explanation.digest == digest)
            #expect(explanation.pages.suffix(2).map(\.type) == [.vmsa, .vmsa])
            #expect(explanation.pages.last?.origin == "vCPU 1")
            #expect(explanation.pages.contains { $0.type == .cpuid && $0.contents.allSatisfy { $0 == 0 } })
            let text = try command.outcome(result).output
            #expect(try explainedPages(reading: text, from: "f") == explanation.pages)
            #expect(text.hasSuffix("digest \(hexadecimal(digest))\n"))
            let silent = try measure(command.request())
            #expect(silent.explanation == nil && silent.digest == digest)
        }
    }

    private static func explaining(_ path: String, vcpus: Int, _ more: String...) throws -> MeasureCommand {
        try MeasureCommand.parse(
            ["--ovmf", path, "--mode", "snp", "--vcpu-type", "EPYC-Milan", "--vcpus", "\(vcpus)", "--explain"] + more)
    }

    @Test("a launch is compared with an explained one, page by page")
    func comparison() throws {
        var changed = BundledImage.bytes
        // The last byte is at the reset vector, in the image's last page.
        changed[changed.count - 1] ^= 1
        try withBundledImage { path in
            let text = try Self.explaining(path, vcpus: 1).perform().output
            try withFile(Array(text.utf8)) { former in
                let same = try Self.explaining(path, vcpus: 1, "--diff", former).perform()
                #expect(same.output == "both launches have the same pages\n" && same.status == .good)
                let more = try Self.explaining(path, vcpus: 2, "--diff", former).perform()
                #expect(more.output == "0xfffffffff000: only in the second launch (vCPU 1)\n")
                #expect(more.status == .violation)
                try withFile(changed) { other in
                    let outcome = try Self.explaining(other, vcpus: 1, "--diff", former).perform()
                    let offset = String(changed.count - 4096, radix: 16)
                    #expect(outcome.output == "0xfffff000: other contents (image offset 0x\(offset))\n")
                    let json = try Self.explaining(other, vcpus: 1, "--diff", former, "--json").perform()
                    #expect(json.output.contains("\"difference\": \"other contents\"") && json.status == .violation)
                }
            }
            let digest = String(repeating: "0", count: 96)
            // The last page of 64 bits and the one behind it, an address inside a page, a digest too short.
            for line in [
                "0xfffffffffffff000 NORMAL 0 \(digest) x\n0x0 NORMAL 0 \(digest) x", "0x1001 NORMAL 0 \(digest) x",
                "0x1000 NORMAL 0 12 x",
            ] {
                try withFile(Array(line.utf8)) { rubbish in
                    let error = #expect(throws: InputError.self) {
                        _ = try Self.explaining(path, vcpus: 1, "--diff", rubbish).perform()
                    }
                    #expect(error?.description.hasPrefix("\(rubbish): line 1 is not a page of a launch") == true)
                }
            }
        }
    }

    @Test("launches differ in types, permissions, order and in pages that only one has")
    func differences() {
        func page(_ number: UInt64, _ type: PageType = .normal, _ byte: UInt8 = 0, vmpl: UInt32 = 0) -> ExplainedPage {
            ExplainedPage(
                gpa: GPA(number << 12), type: type, permissions: VMPLPermissionSet(rawValue: vmpl),
                contents: [UInt8](repeating: byte, count: 48), origin: "page \(number)")
        }
        func lines(_ first: [ExplainedPage], _ second: [ExplainedPage]) -> [String] {
            compareLaunches(first, second).map(\.description)
        }
        let four = [page(1), page(2), page(3), page(9)]
        #expect(lines(four, four) == [])
        #expect(
            lines(four, [page(1, .normal, 1), page(2, .normal, 1), page(3, .normal, 2), page(9)])
                == ["0x1000 and 2 after it: other contents (page 1)"])
        #expect(
            lines(four, [page(1, .zero), page(2, vmpl: 0x100), page(9), page(5)]) == [
                "0x1000: type NORMAL in the first launch, ZERO in the second (page 1)",
                "0x2000: other permissions (page 2)", "0x3000: only in the first launch (page 3)",
                "0x5000: only in the second launch (page 5)",
            ])
        #expect(
            lines(four, [page(1), page(3), page(2), page(9)]) == ["0x2000: from here on in another order (page 2)"])
    }
}

/// Writes the bundled image to a file for the time of the body.
func withBundledImage(_ body: (String) throws -> Void) throws {
    try withFile(BundledImage.bytes, body)
}
