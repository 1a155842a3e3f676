// VMGEXIT: the guest asks the host for something, by the GHCB MSR or by a GHCB page.

internal import SNPArchitecture

extension VirtualCPU {
    /// Handles what the guest asks for. `ghcb` holds the MSR, and goes back to the guest as it is left here.
    func handleVMGEXIT(of machine: VirtualMachine) -> ExitDisposition { handleGHCB(of: machine) }
}
