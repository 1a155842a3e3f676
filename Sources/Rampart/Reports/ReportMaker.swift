// Makes a report as a guest gets it on hardware: a launch, a sealed request, an answer; and the chain that the
// manufacturer of the emulated chip issues for the key that signed it.

public import Attestation
internal import Hypervisor
internal import Machine
internal import Monitor
public import SNPArchitecture
internal import ScriptedGuest
internal import SecureProcessor

/// A report to make.
public struct ReportMakeRequest: Sendable {
    /// The product.
    public var product = ProductName.genoa
    /// The report's version: 2, 3 or 5.
    public var version = AttestationReportVersion.v2
    /// The firmware image; nil for the bundled one.
    public var imagePath: String?
    /// REPORT_DATA, up to 64 bytes.
    public var reportData: [UInt8] = []
    /// The VMPL that the report names.
    public var vmpl: UInt32 = 0
    /// The guest asks for the VCEK's signature even if a VLEK is loaded.
    public var asksForVCEK = false
    /// The key that seals the guest's request, 0 to 3.
    public var vmpck = 0
    /// What the guest's owner asks of firmware.
    public var owner = OwnerRequest()
    /// Seeds the machine, its keys and its chip.
    public var seed: UInt64 = 0
    /// The service provider whose VLEK the host loads; nil for none.
    public var serviceProvider: String?
    /// The host has CHIP_ID masked.
    public var masksChipID = false
    /// The host has the chip's key masked, so that it signs nothing.
    public var masksChipKey = false
    /// A change that makes the report or its chain bad.
    public var tamper: ReportTamper?

    /// Makes a request for a report of version 2 on Genoa.
    public init() {}

    var message: ReportRequestMessage {
        ReportRequestMessage(
            reportData: reportData, vmpl: vmpl, keySelection: asksForVCEK ? .vcek : .vlekOrVCEK)
    }
}

/// A report that was made.
public struct ReportMakeResult: Sendable {
    /// The request.
    public var request: ReportMakeRequest
    /// The report and its chain, after the tampering.
    public var artifacts: ReportArtifacts
    /// The guest's launch digest.
    public var digest: [UInt8]
    /// Why a verifier with the default policy must refuse; nil if it must not.
    public var refusal: AttestationError?
}

/// Makes a report.
///
/// - Throws: in check order: `InputError` for the version, the image and the plan; `LaunchFailure` for the host;
///   `GuestRequestFailure`; `InputError` for the service provider's name and a tampering that does not fit
public func makeReport(
    _ request: ReportMakeRequest, at date: CertificateTime = .now, progress: (String) -> Void = { _ in }
) throws -> ReportMakeResult {
    let plan = try plan(request)
    progress("launching a guest")
    let host = try makeHost(request, for: plan)
    let guest = try AttestedGuest(plan, owner: request.owner, on: host)
    progress("asking firmware for a report")
    let report = try guest.report(request.message, vmpck: request.vmpck)
    progress("issuing certificates")
    let signer = ReportSigner(host.secureProcessor, request)
    var artifacts = try signer.artifacts(report)
    var refusal: AttestationError?
    if let tamper = request.tamper {
        refusal = try tamper.apply(to: &artifacts, signer: signer, at: date)
    } else if let found = try? AttestationReport(decoding: report) {
        refusal = judge(found, artifacts, at: date)
    }
    return ReportMakeResult(request: request, artifacts: artifacts, digest: guest.guest.digest, refusal: refusal)
}

private func plan(_ request: ReportMakeRequest) throws(InputError) -> LaunchPlan {
    guard request.version != .v4 else { throw InputError("no firmware makes reports of version 4. Use 2, 3 or 5.") }
    let name = request.imagePath ?? "the bundled image"
    let image: OVMFImage
    do {
        image = try request.imagePath.map { try OVMFImage.load($0) } ?? BundledImage.image
    } catch let error as FileError { throw InputError(error.description) } catch {
        throw InputError("\(name): \(error)")
    }
    let signature = CPUSignature(rawValue: request.product.machineProduct.signature)
    do throws(LaunchPlanError) {
        return try LaunchPlan(image: image, configuration: LaunchConfiguration(signature: signature))
    } catch { throw InputError("\(name): \(error)") }
}

/// The host, with the firmware that makes reports of the version asked for.
private func makeHost(_ request: ReportMakeRequest, for plan: LaunchPlan) throws(LaunchFailure) -> EmulatedHost {
    let (minor, build, version): (UInt8, UInt8, ReportVersion) =
        switch request.version {
        case .v2: (55, 21, .version2)
        case .v3, .v4: (56, 1, .version3)
        case .v5: (58, 1, .version5)
        }
    let firmware = FirmwareConfiguration(
        version: FirmwareVersion(major: 1, minor: minor, build: build), chipSeed: request.seed, reportVersion: version)
    let emulated: EmulatedHost
    do throws(EmulatedHostError) {
        emulated = try EmulatedHost(
            MachineConfiguration(
                product: request.product.machineProduct,
                dramByteCount: EmulatedHost.dram(forGuestsOf: LaunchedGuest.neededByteCount(plan)),
                seed: request.seed),
            firmware: firmware)
    } catch { throw .host(error) }
    do throws(FirmwareError) {
        if request.masksChipID || request.masksChipKey {
            try emulated.host.firmware.send(
                ConfigBuffer(
                    reportedTCB: TCBVersion(rawValue: 0), maskChipID: request.masksChipID,
                    maskChipKey: request.masksChipKey))
        }
        if request.serviceProvider != nil { try loadVLEK(emulated, seed: request.seed) }
    } catch { throw .host(.firmware(error)) }
    return emulated
}

private func loadVLEK(_ emulated: EmulatedHost, seed: UInt64) throws(FirmwareError) {
    let host = emulated.host
    guard let page = host.allocator.allocate(order: 0)?.pfn else { throw .noMemory }
    defer { host.allocator.free(page, order: 0) }
    do throws(Errno) { try host.write(emulated.secureProcessor.wrappedVLEK(seed: seed), at: page.address) } catch {
        throw .noMemory
    }
    try host.firmware.send(VLEKLoadBuffer(wrapped: page.address))
}

/// What a verifier with the default policy says of a report and its chain.
func judge(_ report: AttestationReport, _ artifacts: ReportArtifacts, at date: CertificateTime) -> AttestationError? {
    do throws(AttestationError) {
        let chain = try artifacts.bundle.chain(for: report, trust: .given, at: date)
        try chain.verify(report: artifacts.report, policy: ReportPolicy())
        return nil
    } catch { return error }
}
