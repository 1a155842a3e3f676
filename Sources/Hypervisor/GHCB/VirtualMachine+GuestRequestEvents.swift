// A guest's sealed message on its way to firmware and back. The host copies the request, so that the guest cannot change it
// under the firmware, and the answer comes in a page that only firmware can write.

internal import SNPArchitecture
internal import Scheduling

extension VirtualMachine {
    /// SNP guest request.
    ///
    /// - Spec: GHCB 56421, "SNP guest request"; Linux: `snp_handle_guest_req()`
    /// - Returns: in check order: invalid input (an address not page aligned, both the same), what `unreadableMessage` says,
    ///   then firmware's answer
    func answerGuestRequest(_ session: GHCBSession) -> GHCBAnswer {
        guard let addresses = MessageAddresses(session.request) else { return .malformed(.invalidInput) }
        guard let message = try? readShared(addresses.request, count: 4096) else { return unreadable(session.request) }
        return forward(message, addresses, session.request)
    }

    /// SNP extended guest request: as the plain one, but a request for a report also wants certificates.
    ///
    /// - Spec: GHCB 56421, "SNP extended guest request"; Linux: `snp_handle_ext_guest_req()`; KVMAPI, KVM_EXIT_SNP_REQ_CERTS
    /// - Returns: in check order: as the plain request, then for a report: invalid input (RAX or RBX not valid, RAX not page
    ///   aligned), then user space's certificates or an empty table, then firmware's answer
    func answerExtendedGuestRequest(_ session: GHCBSession) -> GHCBAnswer {
        let request = session.request
        guard let addresses = MessageAddresses(request) else { return .malformed(.invalidInput) }
        guard let message = try? readShared(addresses.request, count: 4096) else { return unreadable(request) }
        let header = GuestMessageHeader(decoding: message)
        guard header.type == .reportRequest else { return forward(message, addresses, request) }
        guard let buffer = request.page.value(.rax), let pageCount = request.page.value(.rbx),
            GPA(buffer).pageOffset == 0
        else { return .malformed(.invalidInput) }
        guard ghcb.current.asksForCertificates else {
            // An empty table: one entry of zeros.
            if pageCount > 0, (try? writeShared([UInt8](repeating: 0, count: 24), at: GPA(buffer))) == nil {
                return unreadable(request)
            }
            return forward(message, addresses, request)
        }
        return .exit(.certificates(at: GPA(buffer).frame, pageCount: pageCount)) { _, machine, reply in
            machine.forward(message, addresses, request, after: CertificateReply(reply, pageCount))
        }
    }

    /// Goes on once user space has answered.
    private func forward(
        _ message: [UInt8], _ addresses: MessageAddresses, _ request: GHCBRequest, after reply: CertificateReply
    ) -> GHCBAnswer {
        switch reply {
        case .done: forward(message, addresses, request)
        case .tooSmall(let needed):
            .reply(GHCBReply(info2: GuestRequestResult(vmm: .invalidLength).rawValue, registers: [.rbx: needed]))
        case .busy: .reply(GHCBReply(info2: GuestRequestResult(vmm: .busy).rawValue))
        case .failed: .reply(GHCBReply(info2: GuestRequestResult(vmm: .generic).rawValue))
        case .undefined: .end(.failed(.invalidArgument))
        }
    }

    /// Sends a copied message to firmware and copies the answer back, even after an error.
    private func forward(_ message: [UInt8], _ addresses: MessageAddresses, _ request: GHCBRequest) -> GHCBAnswer {
        guard let outcome = try? exchange(message) else { return .end(.failed(.ioError)) }
        let answer = request.hostile?.answer(outcome.answer) ?? outcome.answer
        guard (try? writeShared(answer, at: addresses.response)) != nil else { return unreadable(request) }
        return .reply(GHCBReply(info2: GuestRequestResult(firmware: outcome.status).rawValue))
    }

    private func unreadable(_ request: GHCBRequest) -> GHCBAnswer {
        request.personality.unreadableMessage == .guest ? .malformed(.invalidInput) : .end(.failed(.ioError))
    }
}

/// Where a guest's message and the answer lie: two different pages.
private struct MessageAddresses {
    let request: GPA
    let response: GPA

    init?(_ request: GHCBRequest) {
        guard GPA(request.info1).pageOffset == 0, GPA(request.info2).pageOffset == 0 else { return nil }
        guard request.info1 != request.info2 else { return nil }
        self.request = GPA(request.info1)
        response = GPA(request.info2)
    }
}

/// How user space answered KVM_EXIT_SNP_REQ_CERTS: positive error numbers.
private enum CertificateReply {
    /// 0: the certificates are there.
    case done
    /// ENOSPC: so many pages are needed.
    case tooSmall(UInt64)
    /// EAGAIN.
    case busy
    /// EIO.
    case failed
    /// Anything else.
    case undefined

    /// - Parameter pageCount: what the guest had room for, which user space may leave as it is
    init(_ reply: UserReply, _ pageCount: UInt64) {
        switch reply {
        case .certificates(let error, let needed): self.init(error, needed)
        case .result(0), .none, .data: self = .done
        case .result(let value): self.init(Errno(rawValue: Int32(clamping: value)), pageCount)
        }
    }

    private init(_ error: Errno?, _ needed: UInt64) {
        switch error {
        case nil: self = .done
        case Errno.noSpace: self = .tooSmall(needed)
        case Errno.again: self = .busy
        case Errno.ioError: self = .failed
        default: self = .undefined
        }
    }
}
