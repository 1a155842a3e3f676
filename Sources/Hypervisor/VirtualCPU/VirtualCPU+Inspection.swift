// What an explanation asks a virtual CPU that stands still.

public import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// The frame of the private page behind a guest frame, mapped or not; nil if there is none.
    public func privateFrame(of gfn: GFN) -> PFN? {
        backing.withLock {
            let slot = nested.lock.withLock { self.slot(containing: gfn) }
            guard let slot, let file = slot.guestMemory else { return nil }
            return file.folios.frame(at: slot.guestIndex(of: gfn))
        }
    }
}

extension VirtualCPU {
    /// The frame of the VMSA that the guest has given it; nil for the launch's, or for none. Not while it runs.
    public var guestVMSA: GFN? {
        guard case .guest(let gfn) = vmsaSource else { return nil }
        return gfn
    }
}
