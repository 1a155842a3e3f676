// `rampart measure`: the launch digest of a guest, with sev-snp-measure's flags.

import ArgumentParser
import Monitor
import Rampart
import SNPArchitecture

struct MeasureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure",
        abstract: "Print the launch digest of a guest, by running its launch.",
        discussion: """
            The flags are those of sev-snp-measure; the digest is all there is on standard output. With --explain it is
            followed by what it is made of: a line for each page, with the hash of its content. With --diff FILE the launch is
            compared with one that was explained before, page by page; the exit status is 1 if they differ.

              rampart measure --mode snp --vcpus 4 --vcpu-type EPYC-Milan --ovmf OVMF.fd
              rampart measure --mode snp --vcpus 1 --vmm-type ec2 --ovmf ovmf_img.fd
              rampart measure --mode snp:ovmf-hash --ovmf OVMF.fd
              rampart measure --mode snp --vcpus 4 --vcpu-type EPYC-Milan --ovmf old.fd --explain > old.txt
              rampart measure --mode snp --vcpus 4 --vcpu-type EPYC-Milan --ovmf new.fd --diff old.txt
            """)

    @Option(help: "Guest mode (snp, snp:ovmf-hash).", transform: MeasureMode.init(argument:))
    var mode: MeasureMode

    @Option(help: ArgumentHelp("Number of guest vcpus, 1 to 4096.", valueName: "n"))
    var vcpus: Int?

    @Option(
        help: ArgumentHelp("Type of guest vcpu, for example EPYC-Milan.", valueName: "cputype"),
        transform: CPUModel.init(argument:))
    var vcpuType: CPUModel?

    @Option(
        help: ArgumentHelp("Guest vcpu signature value, for example 0xa00f11.", valueName: "value"),
        transform: CPUSignature.init(argument:))
    var vcpuSig: CPUSignature?

    @Option(help: ArgumentHelp("Guest vcpu family.", valueName: "family"))
    var vcpuFamily: Int?

    @Option(help: ArgumentHelp("Guest vcpu model.", valueName: "model"))
    var vcpuModel: Int?

    @Option(help: ArgumentHelp("Guest vcpu stepping.", valueName: "stepping"))
    var vcpuStepping: Int?

    @Option(
        help: ArgumentHelp("Type of guest VMM (QEMU, ec2, gce).", valueName: "vmmtype"),
        transform: VMMType.init(argument:))
    var vmmType = VMMType.qemu

    @Option(help: ArgumentHelp("OVMF file to calculate the digest from.", valueName: "path"))
    var ovmf: String

    @Option(help: ArgumentHelp("Kernel file to calculate the hash from.", valueName: "path"))
    var kernel: String?

    @Option(help: ArgumentHelp("Initrd file to calculate the hash from (use with --kernel).", valueName: "path"))
    var initrd: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Kernel command line to calculate the hash from (use with --kernel).", valueName: "cmdline"))
    var append: String?

    @Option(
        help: ArgumentHelp("SEV_FEATURES of the guest (default: 0x1).", valueName: "value"),
        transform: SEVFeatures.init(argument:))
    var guestFeatures: SEVFeatures = .snpActive

    @Option(help: "Output format of the digest (hex, base64).", transform: DigestFormat.init(argument:))
    var outputFormat = DigestFormat.hex

    @Option(
        help: ArgumentHelp("Digest of the OVMF file's pages, used instead of its contents.", valueName: "hash"),
        transform: ImageDigest.init(argument:))
    var snpOvmfHash: ImageDigest?

    @Flag(help: "Write the measured VMSAs to vmsa<N>.bin in the current directory.")
    var dumpVmsa = false

    @Flag(help: "Say what the digest is made of, page by page.")
    var explain = false

    @Option(
        help: ArgumentHelp(
            "Say in which pages this launch differs from the one that --explain wrote to a file.", valueName: "path"))
    var diff: String?

    @Flag(name: .shortAndLong, help: "Say what the digest is.")
    var verbose = false

    @Flag(help: "Print JSON.")
    var json = false
}

extension MeasureCommand {
    /// What the arguments ask for.
    ///
    /// - Throws: `CommandFailure`, in check order: unsupported mode; `--initrd` or `--append` without `--kernel`;
    ///   no `--vcpus`; `--vcpus` out of range; the processor's signature
    func request() throws -> MeasureRequest {
        guard mode.isSupported else {
            throw CommandFailure.unsupported(
                "--mode \(mode.rawValue) is not modelled. Use snp or snp:ovmf-hash, or sev-snp-measure for this mode.")
        }
        if mode == .imageHash {
            let configuration = LaunchConfiguration(signature: CPUSignature(rawValue: 0))
            return MeasureRequest(scope: .imageOnly, imagePath: ovmf, configuration: configuration)
        }
        // An empty text counts as not given, as with the tool whose flags these are.
        let kernel = kernel.nonEmpty, initrd = initrd.nonEmpty, append = append.nonEmpty
        guard initrd == nil || kernel != nil else { throw CommandFailure.usage("--initrd needs --kernel. Give both.") }
        guard append == nil || kernel != nil else { throw CommandFailure.usage("--append needs --kernel. Give both.") }
        guard let vcpus else {
            throw CommandFailure.usage("--mode snp needs --vcpus. Give the guest's number of vCPUs.")
        }
        guard (1...LaunchConfiguration.maximumVCPUCount).contains(vcpus) else {
            throw CommandFailure.usage(LaunchPlanError.vcpuCount(vcpus).description)
        }
        let configuration = LaunchConfiguration(
            vmm: vmmType, vcpuCount: vcpus, signature: try signature(), features: guestFeatures,
            imageDigest: snpOvmfHash?.bytes)
        return MeasureRequest(
            imagePath: ovmf, kernelPath: kernel, initrdPath: initrd, commandLine: append, configuration: configuration)
    }

    /// The processor's signature: from the family, else the number, else the name. Only QEMU's guests need one.
    private func signature() throws -> CPUSignature {
        if let family = vcpuFamily, family != 0 {
            guard let model = vcpuModel, let stepping = vcpuStepping else {
                throw CommandFailure.usage("--vcpu-family needs --vcpu-model and --vcpu-stepping. Give all three.")
            }
            guard let signature = CPUSignature(family: family, model: model, stepping: stepping) else {
                throw CommandFailure.usage(
                    "family \(family), model \(model), stepping \(stepping) do not fit a signature. "
                        + "Use at most \(CPUSignature.maximumFamily), \(CPUSignature.maximumModel), "
                        + "\(CPUSignature.maximumStepping).")
            }
            return signature
        }
        if let vcpuSig, vcpuSig.rawValue != 0 { return vcpuSig }
        if let vcpuType { return vcpuType.signature }
        guard vmmType != .qemu else {
            throw CommandFailure.usage(
                "--mode snp needs the processor. Give --vcpu-type, --vcpu-sig, or --vcpu-family with model and stepping."
            )
        }
        return CPUSignature(rawValue: 0)
    }
}

extension String? {
    /// The text, unless it is empty.
    var nonEmpty: String? { self?.isEmpty == false ? self : nil }
}

extension MeasureCommand: OutcomeCommand {
    func perform() throws -> CommandOutcome {
        do {
            return try outcome(measure(request(), explains: explain || diff != nil))
        } catch let failure as LaunchFailure {
            throw CommandFailure(failure)
        }
    }
}
