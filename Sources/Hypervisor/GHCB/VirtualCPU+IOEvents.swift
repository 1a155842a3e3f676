// Ports and devices' memory: everything goes to user space, in pieces that its structures can hold.

internal import SNPArchitecture

extension VirtualCPU {
    /// IN, OUT, INS and OUTS.
    ///
    /// - Spec: GHCB 56421, "IOIO protocol"; Linux: `sev_es_string_io()`, `kvm_fast_pio()`
    /// - Returns: in check order: invalid input (size, of strict hosts), nothing (size 0), then for strings: EINVAL for user
    ///   space (count over 2^31 - 1), nothing (count 0), invalid scratch area; then user space
    /// - Deviates: sizes with several bits set go to user space as their sum, unconfirmed
    func answerIO(_ session: GHCBSession, of machine: VirtualMachine) -> GHCBAnswer {
        let info = IOExitInfo(rawValue: session.request.info1)
        guard info.hasDefinedSize || !session.request.personality.checksOperands else {
            return .malformed(.invalidInput)
        }
        guard info.byteCount > 0 else { return .reply(.done) }
        return info.isString ? answerStringIO(info, session, of: machine) : answerPlainIO(info, session.request)
    }

    private func answerPlainIO(_ info: IOExitInfo, _ request: GHCBRequest) -> GHCBAnswer {
        let size = Int(info.byteCount)
        let rax = request.register(.rax)
        guard info.isInput else {
            let data = (0..<size).map { UInt8(truncatingIfNeeded: rax >> UInt64(8 * $0)) }
            return .exit(.io(PortAccess(port: info.port, size: info.byteCount, isWrite: true, data: data))) { _, _, _ in
                .reply(.done)
            }
        }
        return .exit(.io(PortAccess(port: info.port, size: info.byteCount, isWrite: false))) { _, _, reply in
            // Bytes that the port does not give stay as they were, but for a full-size read.
            var value = size < 4 ? rax : 0
            for (index, byte) in reply.bytes(size).enumerated() {
                let shift = UInt64(8 * index)
                value = value & ~(0xff << shift) | UInt64(byte) << shift
            }
            return .reply(GHCBReply(registers: [.rax: value]))
        }
    }

    private func answerStringIO(_ info: IOExitInfo, _ session: GHCBSession, of machine: VirtualMachine) -> GHCBAnswer {
        let count = session.request.info2
        // KVM.
        guard count <= UInt64(Int32.max) else {
            return session.request.personality.checksOperands
                ? .malformed(.invalidInput) : .end(.failed(.invalidArgument))
        }
        let byteCount = count * UInt64(info.byteCount)
        guard byteCount > 0 else { return .reply(.done) }
        guard let area = ScratchArea(session.request, byteCount: byteCount),
            let data = try? session.read(area, of: machine)
        else { return .malformed(.invalidScratchArea) }
        return stringIO(info, area, data, from: 0, session)
    }

    /// One page of a string at a time.
    private func stringIO(
        _ info: IOExitInfo, _ area: ScratchArea, _ data: [UInt8], from done: Int, _ session: GHCBSession
    ) -> GHCBAnswer {
        guard done < area.byteCount else { return .reply(.done) }
        let size = Int(info.byteCount)
        let count = min(4096 / size, (area.byteCount - done) / size)
        let range = done..<done + count * size
        let access = PortAccess(
            port: info.port, size: info.byteCount, count: UInt32(count), isWrite: !info.isInput,
            data: info.isInput ? [] : Array(data[range]))
        return .exit(.io(access)) { cpu, machine, reply in
            if info.isInput { session.store(reply.bytes(range.count), at: done, in: area, of: machine) }
            return cpu.stringIO(info, area, data, from: range.upperBound, session)
        }
    }

    /// Reads and writes of devices' memory.
    ///
    /// - Spec: GHCB 56421, "MMIO access"; Linux: `kvm_sev_es_mmio()`
    /// - Returns: in check order: invalid input (length 0 or end of addresses, of strict hosts), invalid scratch area, nothing
    ///   (length 0); then user space
    func answerDeviceMemory(_ session: GHCBSession, of machine: VirtualMachine) -> GHCBAnswer {
        let request = session.request
        if request.personality.checksOperands {
            guard request.info2 > 0, GPA(request.info1).advanced(checked: request.info2) != nil else {
                return .malformed(.invalidInput)
            }
        }
        guard let area = ScratchArea(request, byteCount: request.info2),
            let data = try? session.read(area, of: machine)
        else { return .malformed(.invalidScratchArea) }
        return deviceMemory(area, data, from: 0, session)
    }

    /// Eight bytes at a time.
    private func deviceMemory(
        _ area: ScratchArea, _ data: [UInt8], from done: Int, _ session: GHCBSession
    ) -> GHCBAnswer {
        guard done < area.byteCount else { return .reply(.done) }
        let isWrite = session.request.code == .mmioWrite
        let range = done..<done + min(8, area.byteCount - done)
        let access = DeviceMemoryAccess(
            gpa: GPA(session.request.info1 &+ UInt64(done)), byteCount: range.count, isWrite: isWrite,
            data: isWrite ? Array(data[range]) : [])
        return .exit(.mmio(access)) { cpu, machine, reply in
            if !isWrite { session.store(reply.bytes(range.count), at: done, in: area, of: machine) }
            return cpu.deviceMemory(area, data, from: range.upperBound, session)
        }
    }
}

extension UserReply {
    /// So many bytes of a reply: zeros where it has none, nothing beyond.
    fileprivate func bytes(_ count: Int) -> [UInt8] {
        guard case .data(let bytes) = self else { return [UInt8](repeating: 0, count: count) }
        return Array(bytes.prefix(count)) + [UInt8](repeating: 0, count: max(0, count - bytes.count))
    }
}
