// A look at a virtual CPU's encrypted state, for a machine whose policy allows debugging.

internal import Machine
public import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// The state of a virtual CPU, decrypted by firmware into a Firmware page, which is reclaimed afterwards.
    ///
    /// - Spec: patch 52 of the series; Linux: `sev_decrypt_vmsa()`
    /// - Throws: in check order: EIO (dead), EINVAL (no such virtual CPU), EINVAL (no context, no policy that allows
    ///   debugging, or no encrypted state), ENOMEM, EIO (a page; then it has leaked), EIO with the firmware's status
    /// - Deviates: a VMSA that the guest made itself is not read
    public func decryptVMSA(of id: UInt32) throws(SEVCommandError) -> VMSA {
        try checkAliveForSEV()
        return try slotsLock.withLock { () throws(SEVCommandError) in
            guard let cpu = virtualCPUs.first(where: { $0.id == id }) else { throw SEVCommandError(.invalidArgument) }
            guard let context = launch.context, launch.policy.contains(.debugAllowed), let source = cpu.vmsaFrame else {
                throw SEVCommandError(.invalidArgument)
            }
            let bytes: [UInt8]
            do throws(FirmwareError) { bytes = try decrypt(source, context) } catch { throw SEVCommandError(error) }
            guard let state = VMSA(bytes: bytes) else { throw SEVCommandError(.ioError) }
            return state
        }
    }

    private func decrypt(_ source: PFN, _ context: PFN) throws(FirmwareError) -> [UInt8] {
        let target = try host.firmware.allocatePage()
        var failure: FirmwareError?
        do throws(FirmwareError) {
            try host.firmware.send(
                DebugDecryptBuffer(context: context.address, source: source.address, destination: target.address))
        } catch { failure = error }
        let bytes = try? host.read(target.address, count: 4096)
        do throws(FirmwareError) { try host.firmware.freePage(target) } catch { throw failure ?? error }
        if let failure { throw failure }
        guard let bytes else { throw .noMemory }
        return bytes
    }
}
