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
        try slotsLock.withLock { () throws(SEVCommandError) in
            guard let context = launch.context, launch.isFinished else { throw SEVCommandError(.invalidArgument) }
            guard request.pageOffset == 0, response.pageOffset == 0, request != response else {
                throw SEVCommandError(.invalidArgument)
            }
            let message = try sharedPage(request)
            guard let input = host.allocator.allocate(order: 0)?.pfn else { throw SEVCommandError(.noMemory) }
            defer { host.allocator.free(input, order: 0) }
            do throws(Errno) { try host.write(message, at: input.address) } catch { throw SEVCommandError(error) }
            let answer = try answerPage(context, input)
            try storeShared(answer, at: response)
        }
    }

    /// Sends the command with a page of its own for the answer; returns the page's bytes.
    private func answerPage(_ context: PFN, _ input: PFN) throws(SEVCommandError) -> [UInt8] {
        let output: PFN
        do throws(FirmwareError) { output = try host.firmware.allocatePage() } catch { throw SEVCommandError(error) }
        var refusal: FirmwareError?
        do throws(FirmwareError) {
            try host.firmware.send(
                GuestRequestBuffer(context: context.address, request: input.address, response: output.address))
        } catch { refusal = error }
        do throws(FirmwareError) { try host.firmware.reclaimPage(output) } catch {
            host.leaked.leak(output..<(output + 1), reason: "the answer's page of a guest request: \(error)")
            throw SEVCommandError(refusal ?? error)
        }
        defer { host.firmware.giveBack(output) }
        if let refusal { throw SEVCommandError(refusal) }
        do throws(Errno) { return try host.read(output.address, count: 4096) } catch { throw SEVCommandError(error) }
    }

    private func sharedPage(_ gpa: GPA) throws(SEVCommandError) -> [UInt8] {
        guard let slot = slot(containing: gpa.frame) else { throw SEVCommandError(.ioError) }
        do throws(Errno) {
            return try slot.userMemory.read(at: slot.userIndex(of: gpa.frame) << 12, count: 4096)
        } catch { throw SEVCommandError(.ioError) }
    }

    private func storeShared(_ bytes: [UInt8], at gpa: GPA) throws(SEVCommandError) {
        guard let slot = slot(containing: gpa.frame) else { throw SEVCommandError(.ioError) }
        do throws(Errno) {
            try slot.userMemory.write(bytes, at: slot.userIndex(of: gpa.frame) << 12)
        } catch { throw SEVCommandError(.ioError) }
    }
}
