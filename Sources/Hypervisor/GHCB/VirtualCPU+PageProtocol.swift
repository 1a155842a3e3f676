// The GHCB page protocol: one copy of the page, the checks in their order, then the event's handler.

internal import SNPArchitecture
internal import Scheduling

extension VirtualCPU {
    /// Handles the request in a GHCB page.
    ///
    /// The page is copied once. The guest sees its valid bits cleared from then on, until an answer sets those of its own.
    ///
    /// - Spec: GHCB 56421, "GHCB page protocol"; Linux: `sev_handle_vmgexit()`
    /// - Returns: in check order: what `missingPage` says (address 0 or in no slot), what `unregisteredPage` says, malformed
    ///   input as `GHCBRequest.refusal` says, then what the event's handler decides
    func handlePageProtocol(_ gpa: GPA, of machine: VirtualMachine, _ settings: GHCBSettings.State) -> ExitDisposition {
        let personality = settings.personality
        schedulePoint(.hostAccess)
        // KVM: address 0 and memory that is not there are nothing; the guest goes on.
        guard gpa != GPA(0), let page = machine.mapShared(gpa.frame), let bytes = try? page.read(),
            let copy = GHCBPage(bytes)
        else { return personality.missingPage == .run ? .exit(.failed(.invalidArgument)) : .resume }
        let request = GHCBRequest(gpa: gpa, page: copy, personality: personality, hostile: settings.hostile)
        let session = GHCBSession(request: request, page: page)
        // GHCB and KVM: an SNP guest uses only the page that it has registered.
        guard machine.kind != .snp || ghcbState.registered == gpa.frame else {
            guard personality.unregisteredPage == .guest else { return .exit(.failed(.invalidArgument)) }
            return carryOut(.malformed(.notRegistered), session)
        }
        if let reason = request.refusal(isSNP: machine.kind == .snp) {
            return carryOut(.malformed(reason), session)
        }
        page.store([UInt8](repeating: 0, count: 16), at: GHCBPage.validBitmapOffset)
        schedulePoint(.hostAccess)
        let isReadTwice = machine.host.has(.requestReadTwice)
        return carryOut(answer(isReadTwice ? session.readAgain() : session, of: machine), session)
    }

    /// The handler of each event.
    ///
    /// - Spec: GHCB 56421, "NAE events"
    private func answer(_ session: GHCBSession, of machine: VirtualMachine) -> GHCBAnswer {
        let request = session.request
        switch request.code {
        case .readDR7, .writeDR7, .rdtsc, .rdtscp, .rdpmc, .cpuid, .invd, .wbinvd, .monitor, .mwait, .nmiComplete:
            return answerInstruction(request)
        case .msr: return answerMSR(request, of: machine)
        case .vmmcall: return answerHypercall(request, of: machine)
        case .ioio: return answerIO(session, of: machine)
        case .mmioRead, .mmioWrite: return answerDeviceMemory(session, of: machine)
        case .apResetHold: return .hold
        case .apJumpTable: return machine.answerJumpTable(request)
        case .pageStateChange: return machine.answerPageStateChange(session)
        case .guestRequest: return machine.answerGuestRequest(session)
        case .extendedGuestRequest: return machine.answerExtendedGuestRequest(session)
        case .apCreation: return machine.answerAPCreation(request)
        case .hypervisorFeatures: return .reply(GHCBReply(info2: HypervisorFeatures.kvm.rawValue))
        // KVM: the reason in SW_EXITINFO1 is lost; user space is told where the page was.
        case .terminate: return .end(.terminated(ghcb: ghcb))
        // KVM: the guest saw a #VC that it does not know, and the host knows no more.
        case .unsupportedEvent: return .end(.failed(.invalidArgument))
        default: return .malformed(.invalidEvent)
        }
    }
}
