// VMGEXIT: the guest asks the host for something, by the GHCB MSR or by a GHCB page.

internal import SNPArchitecture

extension VirtualCPU {
    /// Handles what the guest asks for. `ghcb` holds the MSR, and goes back to the guest as it is left here.
    ///
    /// An unknown request leaves the MSR as it is and lets the guest go on: it sees that nothing has answered.
    ///
    /// - Deviates: no request is known
    func handleVMGEXIT(of machine: VirtualMachine) -> ExitDisposition { .resume }
}
