// KVM_PRE_FAULT_MEMORY: user space has a range mapped before the guest touches it.

public import SNPArchitecture
internal import Scheduling
internal import Synchronization

/// `struct kvm_pre_fault_memory`: what is left to do stands in it after each call.
public struct PreFaultRequest: Hashable, Sendable {
    /// The next address.
    public var gpa: GPA
    /// The bytes from there on.
    public var byteCount: UInt64
    /// Must be 0.
    public var flags: UInt64 = 0
    /// Must be 0.
    public var padding: [UInt64] = [0, 0, 0, 0, 0]

    /// Makes a request.
    public init(gpa: GPA, byteCount: UInt64) {
        self.gpa = gpa
        self.byteCount = byteCount
    }
}

extension VirtualCPU {
    /// KVM_PRE_FAULT_MEMORY: maps a range as the guest would by touching it. What is done is taken off the request, so that
    /// a caller repeats the call until its size is 0.
    ///
    /// - Spec: KVMAPI, KVM_PRE_FAULT_MEMORY
    /// - Throws: in check order: EIO (dead), EINVAL (flags, padding, alignment, empty, wraps), EOPNOTSUPP (before
    ///   LAUNCH_FINISH), and then, if nothing could be mapped: EINTR (`interruptRun`), ENOENT (no slot), EFAULT or what the
    ///   backing refused
    /// - Deviates: slots do not move while the call runs, so that there is no EAGAIN
    public func preFault(_ request: inout PreFaultRequest) throws(Errno) {
        guard let machine else { throw .ioError }
        var (gpa, left) = (request.gpa, request.byteCount)
        let failure = lock.withLock { preFault(machine, &gpa, &left, request) }
        let isDone = left < request.byteCount
        (request.gpa, request.byteCount) = (gpa, left)
        if let failure, !isDone { throw failure }
    }

    private func preFault(
        _ machine: VirtualMachine, _ gpa: inout GPA, _ left: inout UInt64, _ request: PreFaultRequest
    ) -> Errno? {
        guard machine.isAlive else { return .ioError }
        guard request.flags == 0, request.padding.allSatisfy({ $0 == 0 }) else { return .invalidArgument }
        guard gpa.pageOffset == 0, left & 0xfff == 0, left > 0, gpa.advanced(checked: left) != nil else {
            return .invalidArgument
        }
        while left > 0 {
            // As a signal: seen between two pages, and kept for the run that it was meant for.
            guard !requests.withLock({ $0.leavesGuest }) else { return .interrupted }
            let piece = min(left, PageSize.size2M.byteCount - gpa.rawValue % PageSize.size2M.byteCount)
            do throws(Errno) {
                let done = try machine.preFault(gpa, byteCount: piece) << 12
                gpa = gpa + done
                left -= done
            } catch { return error }
        }
        return nil
    }
}
