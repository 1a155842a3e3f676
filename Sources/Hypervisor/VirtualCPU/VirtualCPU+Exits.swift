// From a #VMEXIT to what the kernel does about it. VMGEXIT, by which the guest asks for something, has a place of its own.

internal import Machine
internal import SNPArchitecture
internal import Scheduling

extension VirtualCPU {
    /// Handles an automatic exit of an SNP guest.
    ///
    /// - Spec: Linux: `svm_handle_exit()`, `sev_handle_vmgexit()`; APM2 15.35.5 lists the automatic exits
    func handle(_ vmcb: VMCB, of machine: VirtualMachine) -> ExitDisposition {
        switch vmcb.exitCode {
        case .nestedPageFault: handleNestedPageFault(vmcb, of: machine)
        case .vmgexit: handleVMGEXIT(of: machine)
        // The host's own interrupts have been served; requests and the budget are the loop's.
        case .interrupt, .nmi, .smi, .initSignal, .virtualInterrupt, .machineCheck: .resume
        case .pause, .busLock: .resume
        // The processor has moved on past the instruction.
        case .halt, .idleHalt: halt()
        case .eferWriteTrap: .resume
        case _ where 0x90...0x9f ~= vmcb.exitCode.rawValue: .resume
        case .shutdown: .exit(.shutdown)
        case .invalid: .exit(.failEntry(.invalid))
        case _: .exit(.unexpectedExit(vmcb.exitCode))
        }
    }

    private func handleNestedPageFault(_ vmcb: VMCB, of machine: VirtualMachine) -> ExitDisposition {
        let error = PageFaultError(rawValue: vmcb.exitInfo1)
        switch machine.handleNestedPageFault(GPA(vmcb.exitInfo2), error) {
        case .resume: return .resume
        case .memoryFault(let gpa, let byteCount, let isPrivate, let errno):
            return .exit(.memoryFault(gpa: gpa, byteCount: byteCount, isPrivate: isPrivate, errno: errno))
        case .mmio(let gpa):
            do throws(Errno) {
                try machine.markDevicePage(gpa.frame)
                return .resume
            } catch { return .exit(.failed(error)) }
        case .failed(let errno): return .exit(.failed(errno))
        }
    }
}

extension VirtualMachine {
    /// Marks a frame without a slot as a device's, unless it has one by now. The guest tries again and gets #VC.
    ///
    /// - Throws: as `NestedTables.markDevice`
    func markDevicePage(_ gfn: GFN) throws(Errno) {
        try nested.lock.withLock { () throws(Errno) in
            guard slot(containing: gfn) == nil else { return }
            try nested.markDevice(gfn)
        }
    }
}
