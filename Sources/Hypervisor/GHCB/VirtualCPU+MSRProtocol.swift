// The GHCB MSR protocol: requests that fit in one register. What a request means is decided first, then done.

internal import SNPArchitecture
internal import Scheduling

/// What becomes of a request of the MSR protocol.
enum MSRProtocolAnswer: Hashable {
    /// The guest finds this in the MSR.
    case respond(GHCBMSRResponse)
    /// The frame is registered, or none, and the guest finds this.
    case register(GFN, GHCBMSRResponse)
    /// The guest finds the MSR as it left it: nobody has answered.
    case leave
    /// User space converts the page; then the guest hears of it.
    case convert(MapRangeCall)
    /// The virtual CPU waits for a SIPI.
    case hold
    /// The machine ends.
    case terminate
    /// The request is in the page.
    case page(GPA)
}

/// What a host tells of itself by the MSR protocol.
enum MSRProtocolHost {
    /// The protocol versions that the host speaks.
    static let versions: ClosedRange<UInt16> = 1...2
    /// The position of the C-bit.
    static let cBit: UInt8 = 51
}

extension VirtualCPU {
    /// Decides what becomes of a request, and does nothing yet.
    ///
    /// - Spec: GHCB 56421, "GHCB MSR protocol"; Linux: `sev_handle_vmgexit_msr_protocol()`
    /// - Deviates: Run VMPL is an unknown request, as on every host with one VMPL
    private func decide(
        _ raw: UInt64, of machine: VirtualMachine, _ settings: GHCBSettings.State
    ) -> MSRProtocolAnswer {
        let isSNP = machine.kind == .snp
        switch GHCBMSRRequest(rawValue: raw) {
        case .page(let gpa): return .page(gpa)
        case .sevInformation:
            return .respond(
                .sevInformation(
                    maximum: MSRProtocolHost.versions.upperBound, minimum: MSRProtocolHost.versions.lowerBound,
                    cBit: MSRProtocolHost.cBit))
        case .cpuid(let function, let register):
            let result = ghcbState.cpuid.result(function, 0, xcr0: ghcbState.xcr0, xss: ghcbState.xss, apicID: id)
            return .respond(.cpuid(result[register], register))
        case .apResetHold: return .hold
        // KVM: requests of SNP guests end any other machine.
        case .preferredGHCB: return isSNP ? .respond(.preferredGHCB(nil)) : .terminate
        case .registerGHCB(let gfn): return isSNP ? register(gfn, of: machine, settings) : .terminate
        case .pageStateChange(let gfn, let operation):
            return isSNP ? convert(gfn, operation, raw, settings) : .terminate
        case .hypervisorFeatures: return .respond(.hypervisorFeatures(.kvm))
        case .terminate: return .terminate
        case .runVMPL, .unknown: return .leave
        }
    }

    /// KVM registers anything; frame 0 takes the registration back.
    private func register(
        _ gfn: GFN, of machine: VirtualMachine, _ settings: GHCBSettings.State
    ) -> MSRProtocolAnswer {
        guard !settings.personality.checksRegistration || gfn == GFN(0) || machine.mapShared(gfn) != nil else {
            return .respond(.registerGHCB(nil))
        }
        return .register(gfn, .registerGHCB(gfn))
    }

    private func convert(
        _ gfn: GFN, _ operation: PageStateOperation, _ raw: UInt64, _ settings: GHCBSettings.State
    ) -> MSRProtocolAnswer {
        let refusal = GHCBMSRResponse.pageStateChange(error: GHCBMSRResponse.genericPageStateChangeError)
        guard operation == .makePrivate || operation == .makeShared else { return .respond(refusal) }
        guard !settings.personality.checksReservedBits || raw >> 56 == 0 else { return .respond(refusal) }
        guard settings.convertsOnRequest else { return .respond(refusal) }
        return .convert(
            MapRangeCall(
                gpa: gfn.address, pageCount: 1, pageSize: .size4K,
                attribute: operation == .makePrivate ? .private : .shared))
    }

    /// Handles a request of either protocol.
    ///
    /// - Spec: GHCB 56421; Linux: `sev_handle_vmgexit()`
    func handleGHCB(of machine: VirtualMachine) -> ExitDisposition {
        let settings = machine.ghcb.current
        if let hostile = settings.hostile, hostile.act(on: machine, before: self) { return .resume }
        switch decide(ghcb, of: machine, settings) {
        case .page(let gpa): return handlePageProtocol(gpa, of: machine, settings)
        case .respond(let response): ghcb = settings.hostile?.answer(response) ?? response.rawValue
        case .register(let gfn, let response):
            ghcbState.registered = gfn == GFN(0) ? nil : gfn
            ghcb = settings.hostile?.answer(response) ?? response.rawValue
        case .leave: break
        case .hold:
            ghcb = GHCBMSRResponse.apResetHold(woken: false).rawValue
            holdUntilSIPI { cpu, woken in cpu.ghcb = GHCBMSRResponse.apResetHold(woken: woken).rawValue }
        case .terminate: return .exit(.terminated(ghcb: ghcb))
        case .convert(let call):
            let (personality, hostile) = (settings.personality, settings.hostile)
            if let hostile, hostile.strikes(.claimConversion) {
                ghcb = GHCBMSRResponse.pageStateChange(error: 0).rawValue
                return .resume
            }
            completion = { cpu, reply in
                switch HypercallResult(reply, personality) {
                case .done where hostile?.strikes(.denyConversion) != true:
                    cpu.ghcb = GHCBMSRResponse.pageStateChange(error: 0).rawValue
                case .done, .failed:
                    cpu.ghcb =
                        GHCBMSRResponse.pageStateChange(error: GHCBMSRResponse.genericPageStateChangeError).rawValue
                case .undefined: return .exit(.failed(.invalidArgument))
                }
                return .resume
            }
            return .exit(.mapRange(call))
        }
        return .resume
    }
}

/// How user space answered a hypercall.
enum HypercallResult {
    /// 0, or nothing: the reply is preset to 0.
    case done
    /// An error for the guest.
    case failed
    /// A value that user space may not give; the run fails.
    case undefined

    init(_ reply: UserReply, _ personality: GHCBPersonality) {
        guard case .result(let value) = reply, value != 0 else {
            self = .done
            return
        }
        let isDefined = value == UInt64(Errno.invalidArgument.rawValue) || value == UInt64(Errno.again.rawValue)
        self = isDefined || !personality.checksHypercallResult ? .failed : .undefined
    }
}
