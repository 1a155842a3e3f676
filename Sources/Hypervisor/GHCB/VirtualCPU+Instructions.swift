// Events that stand for one intercepted instruction and need nobody but the host: CPUID, MSRs, counters, caches, VMMCALL.

internal import Machine
internal import SNPArchitecture

extension VirtualCPU {
    /// Instructions whose result depends on this virtual CPU alone.
    ///
    /// - Spec: GHCB 56421, "NAE events"
    /// - Deviates: performance counters read as zero; KVM's RDTSC and RDTSCP (never intercepted, so never asked for) are
    ///   unconfirmed
    func answerInstruction(_ request: GHCBRequest) -> GHCBAnswer {
        switch request.code {
        case .cpuid: return .reply(answerCPUID(request))
        // The host never changes the guest's cached data, so there is nothing to lose or to write back. MONITOR and MWAIT
        // return at once.
        case .invd, .wbinvd, .monitor, .mwait: return .reply(.done)
        case .nmiComplete:
            interruptState.isNonMaskableBlocked = false
            return .reply(.done)
        case .rdpmc:
            // Six counters at most; without the counters of the north bridge and the L3 there are no others.
            guard request.low(.rcx) < 6 else { return .reply(.generalProtection) }
            return .reply(GHCBReply(registers: [.rax: 0, .rdx: 0]))
        case .readDR7, .writeDR7, .rdtsc, .rdtscp: return answerRareInstruction(request)
        default: return .malformed(.invalidEvent)
        }
    }

    /// What hosts in use leave out, as guests do not ask for it.
    private func answerRareInstruction(_ request: GHCBRequest) -> GHCBAnswer {
        let emulates = request.personality.emulatesRareEvents
        let time = interruptController?.timeStamp ?? ghcbState.msrs.timeStamp
        switch request.code {
        case .readDR7: return .reply(emulates ? GHCBReply(registers: [.rax: ghcbState.dr7]) : .done)
        case .writeDR7:
            if emulates { ghcbState.dr7 = request.register(.rax) & 0xffff_ffff | 0x400 }
            return .reply(.done)
        case .rdtsc where !emulates: return .end(.unexpectedExit(request.code))
        case .rdtscp where !emulates:
            eventInjection = EventInjection(.exception, vector: 6)
            return .reply(.done)
        default:
            var reply = GHCBReply(registers: [.rax: time & 0xffff_ffff, .rdx: time >> 32])
            if request.code == .rdtscp { reply.registers[.rcx] = 0 }
            return .reply(reply)
        }
    }

    private func answerCPUID(_ request: GHCBRequest) -> GHCBReply {
        if let xcr0 = request.page.value(.xcr0) { ghcbState.xcr0 = xcr0 }
        if let xss = request.page.value(.xss) { ghcbState.xss = xss }
        let result = ghcbState.cpuid.result(
            request.low(.rax), request.low(.rcx), xcr0: ghcbState.xcr0, xss: ghcbState.xss, apicID: id)
        return GHCBReply(registers: [
            .rax: UInt64(result.eax), .rbx: UInt64(result.ebx), .rcx: UInt64(result.ecx), .rdx: UInt64(result.edx),
        ])
    }

    /// RDMSR and WRMSR. What the host does not know is #GP.
    ///
    /// - Spec: GHCB 56421, "MSR access"; APM3 RDMSR, WRMSR
    /// - Deviates: user space has no filter and no say
    func answerMSR(_ request: GHCBRequest, of machine: VirtualMachine) -> GHCBAnswer {
        let index = request.low(.rcx)
        guard request.info1 != 0 else {
            guard let value = readRegister(index) else { return .reply(.generalProtection) }
            return .reply(GHCBReply(registers: [.rax: value & 0xffff_ffff, .rdx: value >> 32]))
        }
        let value = UInt64(request.low(.rdx)) << 32 | UInt64(request.low(.rax))
        if let controller = interruptController, GuestMSRs.isInterruptController(index) {
            return .reply(controller.writeRegister(index, value) ? .done : .generalProtection)
        }
        guard ghcbState.msrs.write(index, value, apicID: id) else { return .reply(.generalProtection) }
        if index == GuestMSRs.x2APICCommand { machine.sendInterrupt(value, from: self) }
        return .reply(.done)
    }

    private func readRegister(_ index: UInt32) -> UInt64? {
        guard let controller = interruptController else { return ghcbState.msrs.read(index, apicID: id) }
        if index == GuestMSRs.tsc { return controller.timeStamp }
        return GuestMSRs.isInterruptController(index)
            ? controller.readRegister(index) : ghcbState.msrs.read(index, apicID: id)
    }

    /// VMMCALL: a call to KVM.
    ///
    /// - Spec: GHCB 56421, "VMMCALL"; Linux: Documentation/virt/kvm/x86/hypercalls.rst
    /// - Returns: RAX, in check order: -EPERM (CPL not 0), -ENOSYS of KVM (a call that is unknown, or that user space does not
    ///   take), -EINVAL (range unaligned, empty or wrapping), then user space's answer
    /// - Deviates: KVM_HC_CLOCK_PAIRING and KVM_HC_SEND_IPI are unknown calls
    func answerHypercall(_ request: GHCBRequest, of machine: VirtualMachine) -> GHCBAnswer {
        guard request.register(.cpl) == 0 else { return .hypercallResult(-1) }
        switch GuestHypercall(rawValue: request.register(.rax)) {
        case .pollInterrupts, .yield: return .hypercallResult(0)
        case .kick:
            machine.virtualCPU(UInt32(truncatingIfNeeded: request.register(.rcx)))?.interrupt.raise()
            return .hypercallResult(0)
        case .mapRange where machine.convertsOnRequest: return answerMapRange(request)
        default: return .hypercallResult(-1000)
        }
    }

    private func answerMapRange(_ request: GHCBRequest) -> GHCBAnswer {
        let gpa = GPA(request.register(.rbx))
        let count = request.register(.rcx)
        let flags = request.register(.rdx)
        guard gpa.pageOffset == 0, count > 0, count <= UInt64.max >> 12, gpa.advanced(checked: count << 12) != nil
        else { return .hypercallResult(-22) }
        let call = MapRangeCall(
            gpa: gpa, pageCount: count, pageSize: flags & 0xf == 0 ? .size4K : .size2M,
            attribute: flags.hasBit(4) ? .private : .shared)
        return .exit(.mapRange(call)) { _, _, reply in
            guard case .result(let value) = reply else { return .hypercallResult(0) }
            return .hypercallResult(Int64(bitPattern: value))
        }
    }
}

extension GHCBAnswer {
    fileprivate static func hypercallResult(_ value: Int64) -> GHCBAnswer {
        .reply(GHCBReply(registers: [.rax: UInt64(bitPattern: value)]))
    }
}
