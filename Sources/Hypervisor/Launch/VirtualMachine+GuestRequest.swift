// The host's part of a guest's request to firmware: carry one sealed page there and one back.

internal import Machine
public import SNPArchitecture
internal import Scheduling

/// Pages of the host that stand between a guest and firmware: firmware sees copies of the guest's pages only.
struct GuestRequestPages: Hashable, Sendable {
    /// The copied message, a page of the host.
    var request: PFN
    /// The answer, a page of firmware's.
    var response: PFN
}

extension VirtualMachine {
    /// Takes the pages for guest requests.
    ///
    /// - Spec: Linux: `snp_guest_req_init()`
    /// - Throws: ENOMEM (no page for requests), EIO (no page that firmware could be given)
    func makeRequestPages() throws(SEVCommandError) -> GuestRequestPages {
        guard let request = host.allocator.allocate(order: 0)?.pfn else { throw SEVCommandError(.noMemory) }
        do throws(FirmwareError) {
            return GuestRequestPages(request: request, response: try host.firmware.allocatePage())
        } catch {
            host.allocator.free(request, order: 0)
            throw SEVCommandError(.ioError)
        }
    }

    /// Gives the pages for guest requests back. An answer's page that firmware keeps is leaked.
    func free(_ pages: GuestRequestPages) {
        host.allocator.free(pages.request, order: 0)
        try? host.firmware.freePage(pages.response)
    }

    /// Hands a sealed request to firmware and the sealed answer back to the guest.
    ///
    /// Firmware never sees the guest's own pages: the request is copied to a page of the host, and the answer comes to a
    /// page of firmware's and is copied out.
    ///
    /// - Parameters:
    ///   - request: the guest's shared page with the request
    ///   - response: the guest's shared page for the answer
    /// - Spec: Linux: `snp_handle_guest_req()`; GHCB SNP_GUEST_REQUEST
    /// - Throws: in check order: EIO (dead), EINVAL (not launched; a page that is not aligned; both the same), EIO (the
    ///   request cannot be read), EIO with the firmware's status, EIO (the answer cannot be written)
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

    /// SNP_GUEST_REQUEST by way of the machine's own pages.
    ///
    /// - Returns: the firmware's status, and the answer's page whatever the status is
    /// - Throws: in check order: `.status` of INVALID_GUEST (no context), what the driver says of a command that firmware did
    ///   not answer
    func exchange(_ message: [UInt8]) throws(FirmwareError) -> (status: FirmwareStatus, answer: [UInt8]) {
        try slotsLock.withLock { () throws(FirmwareError) in
            guard let context = launch.context, let pages = launch.requestPages else { throw .status(.invalidGuest) }
            do throws(Errno) { try host.write(message, at: pages.request.address) } catch { throw .noMemory }
            var status = FirmwareStatus.success
            do throws(FirmwareError) {
                let (request, response) = (pages.request.address, pages.response.address)
                try host.firmware.send(
                    GuestRequestBuffer(context: context.address, request: request, response: response))
            } catch {
                guard case .status(let refusal) = error else { throw error }
                status = refusal
            }
            // The host reads any page; whether the answer is firmware's own, its seal tells the guest.
            guard let answer = try? host.read(pages.response.address, count: 4096) else { throw .noMemory }
            return (status, answer)
        }
    }
}
