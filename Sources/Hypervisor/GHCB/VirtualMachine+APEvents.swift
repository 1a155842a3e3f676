// Events by which one virtual CPU starts and stops others: AP creation, the jump table, and INIT and SIPI by the x2APIC.

internal import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// The virtual CPU with an APIC identifier.
    func virtualCPU(_ apicID: UInt32) -> VirtualCPU? {
        nested.lock.withLock { virtualCPUs.first { $0.id == apicID } }
    }

    /// SNP AP creation. A refusal leaves the target as it is.
    ///
    /// - Spec: GHCB 56421, "SNP AP creation"
    /// - Returns: invalid input as `createAP` says
    func answerAPCreation(_ request: GHCBRequest) -> GHCBAnswer {
        let input = APCreationInput(exitInfo1: request.info1, exitInfo2: request.info2)
        var vmsa = input.vmsa
        if let hostile = request.hostile, input.kind != .destroy {
            if hostile.strikes(.loseProcessor) { return .reply(.done) }
            vmsa = hostile.vmsa(for: vmsa)
        }
        // KVM reads the VMPL as part of the request, which is then unknown.
        let isDone = createAP(
            UInt32(truncatingIfNeeded: request.info1), apicID: input.apicID, vmsa: vmsa,
            features: request.page.value(.rax))
        return isDone ? .reply(.done) : .malformed(.invalidInput)
    }

    /// AP jump table: one address for the machine, which means nothing to the host.
    ///
    /// - Spec: GHCB 56421, "AP jump table"
    /// - Returns: invalid input for anything but set (0) and get (1)
    func answerJumpTable(_ request: GHCBRequest) -> GHCBAnswer {
        switch request.info1 {
        case 0:
            ghcb.change { $0.apJumpTable = request.info2 }
            return .reply(.done)
        case 1: return .reply(GHCBReply(info2: ghcb.current.apJumpTable))
        default: return .malformed(.invalidInput)
        }
    }

    /// Sends what the x2APIC interrupt command register says: INIT and SIPI.
    ///
    /// - Spec: APM2 16.5, "Interprocessor interrupts"
    /// - Deviates: without an interrupt controller other interrupts are dropped, as is an INIT that only deasserts;
    ///   destinations are physical
    func sendInterrupt(_ command: UInt64, from sender: VirtualCPU) {
        let targets = nested.lock.withLock { virtualCPUs }.filter { cpu in
            switch command >> 18 & 3 {
            case 0: UInt64(cpu.id) == command >> 32 || command >> 32 == 0xffff_ffff
            case 1: cpu === sender
            case 2: true
            default: cpu !== sender
            }
        }
        for target in targets {
            switch command >> 8 & 7 {
            case 5 where command.hasBit(14): target.deliverInit()
            case 6: target.deliverSIPI()
            default: break
            }
        }
    }
}
