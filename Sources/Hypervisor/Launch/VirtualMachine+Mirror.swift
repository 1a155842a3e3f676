// KVM_CAP_VM_COPY_ENC_CONTEXT_FROM and KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM: one machine takes another's keys. Not with SNP, where a
// page belongs to one guest context and an ASID to one machine.

internal import Scheduling

extension VirtualMachine {
    /// KVM_CAP_VM_COPY_ENC_CONTEXT_FROM: makes this machine a mirror of another, with its ASID.
    ///
    /// - Spec: Linux: `sev_vm_copy_enc_context_from()`
    /// - Throws: in check order: EIO (dead), EINVAL (the source is this machine or has no ASID; this one has an ASID or virtual
    ///   CPUs; the source is an SNP machine, and no others have ASIDs here)
    /// - Deviates: Linux mirrors SEV and SEV-ES machines and allows a mirror four commands; there are none here, so that nothing
    ///   is ever mirrored. The source is a machine and no file descriptor: there is no EBADF
    public func copyEncryptionContext(from source: VirtualMachine) throws(Errno) {
        try checkAlive()
        guard source !== self else { throw .invalidArgument }
        // One lock after the other: they have one rank.
        guard let asid = source.slotsLock.withLock({ source.launch.asid }) else { throw .invalidArgument }
        try slotsLock.withLock { () throws(Errno) in
            guard launch.asid == nil, virtualCPUs.isEmpty else { throw .invalidArgument }
            guard host.has(.mirrorsAllowed) else { throw .invalidArgument }
            noteChange()
            launch.asid = asid
        }
    }

    /// KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM: takes another machine's ASID and memory over, for migration within a host.
    ///
    /// - Spec: Linux: `sev_vm_move_enc_context_from()`
    /// - Throws: EIO (dead), then always EINVAL: the source is no encrypted machine, or an SNP machine
    /// - Deviates: Linux moves SEV and SEV-ES machines, whose source is dead from then on; there are none here, so that nothing
    ///   is ever moved. The source is a machine and no file descriptor: there is no EBADF
    public func moveEncryptionContext(from source: VirtualMachine) throws(Errno) {
        try checkAlive()
        throw .invalidArgument
    }
}
