// The host's part of a guest's request to firmware: carry one sealed page there and one back.

internal import Machine
public import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// Hands a sealed request to firmware and the sealed answer back to the guest.
    ///
    /// Firmware never sees the guest's own pages: the request is copied to a page of the host, and the answer is
    /// written to a page that is made firmware's for the time of the command, reclaimed and copied out.
    ///
    /// - Parameters:
    ///   - request: the guest's shared page with the request
    ///   - response: the guest's shared page for the answer
    /// - Spec: Linux: `snp_handle_guest_req()`; GHCB SNP_GUEST_REQUEST
    /// - Throws: in check order: EIO (dead), EINVAL (not launched; a page that is not aligned; both the same), EIO (the
    ///   request cannot be read), ENOMEM, EIO with the firmware's status, EIO (the answer's page does not come back: it
    ///   is leaked), EIO (the answer cannot be written)
    public func snpGuestRequest(_ request: GPA, response: GPA) throws(SEVCommandError) {
        try checkAliveForSEV()
        guard isLaunched else { throw SEVCommandError(.invalidArgument) }
        guard request.pageOffset == 0, response.pageOffset == 0, request != response else {
            throw SEVCommandError(.invalidArgument)
        }
        guard let message = try? readShared(request, count: 4096) else { throw SEVCommandError(.ioError) }
        let outcome: (status: FirmwareStatus, answer: [UInt8])
        do throws(FirmwareError) { outcome = try exchange(message) } catch { throw SEVCommandError(error) }
        guard outcome.status == .success else { throw SEVCommandError(.ioError, outcome.status) }
        guard (try? writeShared(outcome.answer, at: response)) != nil else { throw SEVCommandError(.ioError) }
    }

    /// SNP_GUEST_REQUEST with a host page for the copied message and a Firmware page for the answer.
    ///
    /// - Returns: the firmware's status, and the answer's page whatever the status is
    /// - Throws: in check order: `.status` of INVALID_GUEST (no context), `.noMemory`, `.pageState`, `.dead`, then what the
    ///   firmware or the RMP says when the answer's page does not come back: it is leaked
    /// - Deviates: the pages are taken for each request, where Linux keeps them with the machine
    func exchange(_ message: [UInt8]) throws(FirmwareError) -> (status: FirmwareStatus, answer: [UInt8]) {
        try slotsLock.withLock { () throws(FirmwareError) in
            guard let context = launch.context else { throw .status(.invalidGuest) }
            guard let input = host.allocator.allocate(order: 0)?.pfn else { throw .noMemory }
            defer { host.allocator.free(input, order: 0) }
            do throws(Errno) { try host.write(message, at: input.address) } catch { throw .noMemory }
            let output = try host.firmware.allocatePage()
            var status = FirmwareStatus.success
            var failure: FirmwareError?
            do throws(FirmwareError) {
                try host.firmware.send(
                    GuestRequestBuffer(context: context.address, request: input.address, response: output.address))
            } catch {
                if case .status(let refusal) = error { status = refusal } else { failure = error }
            }
            // The host reads any page; whether the answer is firmware's own, its seal tells the guest.
            let answer = try? host.read(output.address, count: 4096)
            do throws(FirmwareError) { try host.firmware.freePage(output) } catch { throw failure ?? error }
            if let failure { throw failure }
            guard let answer else { throw .noMemory }
            return (status, answer)
        }
    }
}
