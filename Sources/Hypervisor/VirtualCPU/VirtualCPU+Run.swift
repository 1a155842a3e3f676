// KVM_RUN: enters the guest again and again until user space has something to do.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension VirtualCPU {
    /// KVM_RUN: completes the last exit with user space's reply, then runs the guest until the next. Any thread may call it;
    /// a second caller waits.
    ///
    /// - Parameter budget: how many instructions may run before `.interrupted`, for virtual CPUs that take turns; an entry that
    ///   completes none counts as one, so that a fault which repeats for ever ends a turn too
    /// - Returns: in check order: `.failed` with EIO (dead machine) or EINVAL (no processor), `.interrupted` when that was asked
    ///   for, `.halted` unless it is runnable, then what the completion says, `.halted` in HLT, `.failed` with EINVAL without a VMSA, and then
    ///   what the guest does
    /// - Spec: KVMAPI, KVM_RUN
    /// - Deviates: a virtual CPU that cannot run returns `.halted` at once, where KVM with its own APIC would block
    public func run(budget: UInt64 = .max) -> UserExit {
        guard let machine else { return .failed(.ioError) }
        return lock.withLock { hand(run(machine, budget)) }
    }

    private func run(_ machine: VirtualMachine, _ budget: UInt64) -> UserExit {
        var budget = budget
        while true {
            guard machine.isAlive else { return .failed(.ioError) }
            guard let thread else { return .failed(.invalidArgument) }
            if serveRequests(of: machine) { return .interrupted }
            guard state == .runnable else { return .halted }
            if let complete = completion {
                completion = nil
                switch complete(self, takeReply()) {
                case .resume: continue
                case .exit(let exit): return exit
                }
            }
            guard !staysHalted() else { return .halted }
            guard budget > 0 else { return .interrupted }
            guard let asid = machine.asid else { return .failed(.invalidArgument) }
            let vmsa: PFN
            switch enter(machine) {
            case .frame(let pfn): vmsa = pfn
            case .none: return .failed(.invalidArgument)
            case .wait:
                schedulePoint(.yield)
                continue
            }
            var vmcb = VMCB(asid: asid, nestedRoot: machine.nested.table.root, vmsa: vmsa.address)
            vmcb.ghcb = ghcb
            prepareEvents(&vmcb)
            vmcb.tlbControl = tlbControl
            let limit = limit(budget)
            var left = limit
            machine.host.machine.vmrun(&vmcb, on: thread, budget: &left)
            budget -= max(1, limit - left)
            leave(machine)
            ghcb = vmcb.ghcb
            keepEvents(vmcb)
            tlbControl = .none
            switch handle(vmcb, of: machine) {
            case .resume: continue
            case .exit(let exit): return exit
            }
        }
    }
}
